"""The Markdown report of a run: readable, and not to be broken by what models say."""

from __future__ import annotations

import re

import pytest

from kata_cli.core.events import Recorded
from kata_cli.output.report import report
from output.page_runs import failing_run, folded, recorded, started, text_run, worked

DRAFT = '---\nid: "x"\n---\n\n## Goal\n\nDo it.\n\n### REQ-001 Title\n'


def told(entries: list[Recorded], draft: str = "", text: str = "") -> str:
    """The report of some events."""
    return report(folded(entries), entries, draft=draft, text=text)


def test_a_report_tells_facts_tasks_problems_and_answers() -> None:
    """SE-03, SE-05: facts and tasks as tables, tasks before the run among the problems, every answer."""
    text = told(failing_run(), draft=DRAFT)
    headings = re.findall(r"^#{1,6} .*$", text, re.M)
    assert headings == [
        "# Make save atomic",
        "## Tasks",
        "## Problems",
        "## Draft",
        "### Goal",
        "#### REQ-001 Title",
        "## Answers",
        "### investigate",
        "### implement",
    ]
    assert "| implement | completed | 14 s | 1.5k | $0.05 |" in text
    assert "| status | failed, exit 6 |" in text
    assert text.index("verify failed") < text.index("- rate\\_limited: 429")
    assert "id:" not in text


@pytest.mark.parametrize(
    "word", ["a | b", "<script>x</script>", "# x", "[a](javascript:x)", "a\n# b", "x\x1b[31m\u202e", "`" * 9]
)
def test_x1_what_a_model_says_breaks_nothing_out(word: str) -> None:
    """X1: cells, headings and fences hold whatever stands in them."""
    [harmless, hostile] = [
        told([*recorded([started(said), *worked(said, 1.0, 2.0)]), *text_run(said)[-2:]], text=said)
        for said in ("word", word)
    ]
    rows = [line for line in hostile.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3, 6}
    assert len(rows) == len([line for line in harmless.splitlines() if line.startswith("|")])
    outside = re.sub(r"^(`{3,})\n.*?\n\1$", "", hostile, flags=re.M | re.S)
    assert "<script>" not in outside.replace("\\<", "")
    assert outside.count("\n# ") == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", hostile)


def test_a_text_result_is_fenced() -> None:
    """The answer of a text workflow stands under Result, as it is."""
    assert "## Result\n\n```\nIt writes.\n```\n" in told(text_run("It writes."), text="It writes.")


def test_a_fence_is_longer_than_any_in_it() -> None:
    """An answer with a fence of its own cannot close ours."""
    inner = "`" * 5
    text = told(text_run("x"), text=f"a\n{inner}\nb")
    assert f"## Result\n\n`{inner}\na\n{inner}\nb\n`{inner}\n" in text
