"""Terms of a goal and the order of files."""

from __future__ import annotations

from pathlib import Path

import pytest
from context_project import Project, paths
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.context.rank import MAX_TERMS, STOP_WORDS, terms


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        ("Fix the retry of HTTPServer", ["fix", "retry", "httpserver", "http", "server"]),
        ("parse_money in getUserName", ["parsemoney", "parse", "money", "getusername", "user", "name"]),
        ("a of to 12 345", []),
        ("Prüfe die Größe", ["prüfe", "die", "größe"]),
        ("", []),
    ],
)
def test_cx04_terms_are_words_and_parts_of_identifiers(goal: str, expected: list[str]) -> None:
    """Three letters or more, no stop words, identifiers whole and in parts."""
    assert terms(goal) == expected


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300))
def test_terms_hold_for_any_text(goal: str) -> None:
    """Each term is long enough, comes once, and there are never too many."""
    found = terms(goal)
    assert len(found) == len(set(found)) <= MAX_TERMS
    assert all(len(term) >= 3 and term not in STOP_WORDS for term in found)


@settings(max_examples=50, deadline=None)
@given(goal=st.text(max_size=60))
def test_any_goal_is_a_safe_query(tmp_path_factory: pytest.TempPathFactory, goal: str) -> None:
    """Quotes, operators and control characters of a goal never reach the query language."""
    project = Project(tmp_path_factory.mktemp("any") / "p", is_git=False)
    project.write("parser.py", "parser\n")
    assert project.gather(f'{goal} parser" OR (NEAR*').diagnostics == []


def test_a_name_counts_more_than_a_mention(tmp_path: Path) -> None:
    """The file that is called after the thing comes before those that speak of it."""
    project = Project(tmp_path / "p", is_git=False)
    project.write("other.py", "parser parser parser\n")
    project.write("parser.py", "def run(): ...\n")
    assert paths(project.gather("parser"))[:2] == ["parser.py", "other.py"]


def test_equal_scores_are_ordered_by_path(tmp_path: Path) -> None:
    """Ties never depend on the order of the directory."""
    project = Project(tmp_path / "p", is_git=False)
    for name in ("zeta.py", "alpha.py", "mid.py"):
        project.write(name, "parser\n")
    found = project.gather("parser")
    assert len({file.score for file in found.files}) == 1
    assert paths(found) == ["alpha.py", "mid.py", "zeta.py"]


def test_a_rare_word_counts_more_than_a_frequent_one(tmp_path: Path) -> None:
    """What few files have tells more about them."""
    project = Project(tmp_path / "p", is_git=False)
    for number in range(8):
        project.write(f"f{number}.py", "retry\n")
    project.write("z.py", "quota\n")
    assert paths(project.gather("retry quota"))[0] == "z.py"


def test_a_longer_word_and_camel_case_are_found_by_their_beginning(tmp_path: Path) -> None:
    """The word `parser` also finds `parserError`."""
    project = Project(tmp_path / "p", is_git=False)
    project.write("a.ts", "throw new parserError()\n")
    assert paths(project.gather("parser")) == ["a.ts"]
    assert project.gather("parser").files[0].score > 0


def test_the_file_that_says_it_more_often_comes_first(tmp_path: Path) -> None:
    """Of two files of one length, how often a word occurs decides."""
    project = Project(tmp_path / "p", is_git=False)
    project.write("a.py", "quota other other other\n")
    project.write("b.py", "quota quota quota other\n")
    found = project.gather("quota")
    assert paths(found) == ["b.py", "a.py"]
    assert found.files[0].score > found.files[1].score


def test_letters_beyond_ascii_are_found_in_any_case(tmp_path: Path) -> None:
    """A goal in another language finds its words."""
    project = Project(tmp_path / "p", is_git=False)
    project.write("a.md", "Die „Übergröße“ fehlt.\n")
    project.write("b.md", "Nichts davon.\n")
    assert paths(project.gather("übergröße")) == ["a.md"]
    assert project.gather("übergröße").files[0].score > 0
