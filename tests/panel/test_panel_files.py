"""The files of the panel: a fixed list, whole in the package, without anything from elsewhere."""

from __future__ import annotations

import re

import pytest

from kata_cli.service.panel import FOLDER, NAMES, find

MAX_LINES = 250


def test_the_list_names_what_is_there() -> None:
    """Each file of the folder is served, and nothing else is."""
    assert {path.name for path in FOLDER.iterdir()} == NAMES


@pytest.mark.parametrize(
    "name", ["", "..", "../panel.py", "/etc/passwd", "panel.py", "INDEX.HTML", "index.html\0", "."]
)
def test_no_other_name_finds_a_file(name: str) -> None:
    """F1: a name that is not on the list is no file, whatever it looks like."""
    assert find(name) is None


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_file_is_small_and_brings_nothing_from_elsewhere(name: str) -> None:
    """No script or style inside the page, no HTML made of text, no address but our own."""
    found = find(name)
    assert found is not None
    text = found.data.decode()
    assert text.count("\n") <= (MAX_LINES if name.endswith(".js") else 2 * MAX_LINES)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|setHTML", text
    )
    assert not re.search(r"localStorage|sessionStorage|indexedDB|document\.cookie", text)
    assert not re.search(r"<style|<script>|\sstyle=|\son[a-z]+=", text)
    assert set(re.findall(r"https?://[\w.]+", text)) <= {"http://www.w3.org"}


def test_the_page_loads_only_what_is_served() -> None:
    """Every module and file that is named exists."""
    texts = {name: (find(name) or pytest.fail(name)).data.decode() for name in NAMES}
    named = {
        found for text in texts.values() for found in re.findall(r'(?:from "\./|"/panel/)([\w.]+)"', text)
    }
    assert named <= NAMES
    assert NAMES - named == {"index.html"}
