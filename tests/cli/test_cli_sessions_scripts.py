"""Searches in scripts without blanks between words, and listings on narrow terminals."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.shell import MOCK, Shell
from cli.terminal import on_terminal

GOALS = {
    "chinese": "缓存模型列表并显示给用户",
    "japanese": "モデルの一覧をキャッシュする",
    "thai": "แสดงแคชของผู้ใช้",
    "korean": "모델목록을 캐시한다",
    "mixed": "为cache加锁 with fsync",
}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A run with a goal in each script."""
    shell = Shell(tmp_path_factory.mktemp("scripts"))
    for goal in GOALS.values():
        assert shell.kata(*MOCK, "-w", "ask", goal).code == 0
    return shell


@pytest.mark.parametrize(
    ("query", "script"),
    [
        ("缓存", "chinese"),
        ("用户 模型", "chinese"),
        ('"模型列表"', "chinese"),
        ("显示*", "chinese"),
        ("一覧", "japanese"),
        ("キャッシュ", "japanese"),
        ("แคช", "thai"),
        ("목록", "korean"),
        ("cache", "mixed"),
        ("加锁 fsy*", "mixed"),
    ],
)
def test_se02_words_are_found_where_no_blank_parts_them(shell: Shell, query: str, script: str) -> None:
    """By a part of a run of characters; the snippet has the text as it was written."""
    (hit,) = shell.kata("sessions", "search", query, "--json").document["hits"]
    assert hit["run"]["title"] == GOALS[script]
    assert "[" in hit["snippet"]
    assert hit["snippet"].isprintable()


@pytest.mark.parametrize("query", ["存缓", "模列", "cach", "型示"])
def test_characters_in_another_order_are_no_hit(shell: Shell, query: str) -> None:
    """Characters of one word stand beside each other; a Latin word needs its star as ever."""
    assert shell.kata("sessions", "search", query, "--json").document["hits"] == []


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_a_listing_fits_its_terminal(tmp_path: Path, columns: int) -> None:
    """No line is wider than the terminal, so no word is broken; a pipe gets one whole line per run."""
    shell = Shell(tmp_path)
    goal = "Make save atomic and keep torn files apart"
    assert shell.kata(*MOCK, "-w", "ask", goal).code == 0
    shown = on_terminal(shell, "sessions", "list", streams="stdout", columns=columns)
    lines = shown.text.splitlines()
    assert all(len(line) <= columns for line in lines)
    assert len(lines) == (1 if columns == 200 else 2)
    assert goal[:30] in lines[-1]
    piped = shell.kata("sessions", "list").text
    assert piped.count("\n") == 1
    assert piped.endswith(f"{goal}\n")
