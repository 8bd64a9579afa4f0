"""How the mock provider reads a goal: its clauses, what they are about and where they belong."""

from __future__ import annotations

import pytest
from mock_material import FILES, prompt, request, spec_of

from kata_cli.providers.mock.author import write_answer
from kata_cli.providers.mock.goal import read_goal, shortened
from kata_cli.spec.render import render


@pytest.mark.parametrize(
    ("goal", "clauses"),
    [
        ("Add a flag and document it", ["Add a flag", "document it"]),
        ("Add salt and pepper", ["Add salt and pepper"]),
        ("Make load and store atomic", ["Make load and store atomic"]),
        ("Retry the upload and log its size", ["Retry the upload", "log its size"]),
        ("- cache the index\n- drop stale rows", ["cache the index", "drop stale rows"]),
        ("Please add a flag.", ["add a flag"]),
        ("Why is the search slow and odd?", ["Why is the search slow and odd?"]),
    ],
)
def test_a_goal_is_taken_apart_where_it_names_separate_work(goal: str, clauses: list[str]) -> None:
    """Bullets, sentences and `and VERB` part a goal; `and NOUN` does not."""
    assert read_goal(goal).clauses == clauses


def test_nothing_is_forbidden_that_the_goal_does_not_forbid() -> None:
    """A goal says nothing of what is left out, so the draft does not either."""
    assert spec_of("Retry the upload").non_goals == []


def test_a_long_goal_makes_no_long_draft() -> None:
    """A goal of 100 KB is cut in every sentence, and the draft says how much of it was not taken up."""
    document = spec_of("Retry the upload " + "of the box " * 9_000)
    assert len(document.goal) <= 1_003
    assert len(render(document)) < 8_000
    many = spec_of("\n".join(f"- Add flag{n}" for n in range(20)))
    assert "Requirements follow from the first 12 points of the goal, 8 do not." in many.assumptions


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Warn of what is lost with the output", "Warn of what is lost …"),
        ("Warn of what is lost again and again", "Warn of what is lost again …"),
        ("Warn of all that `a very long command` says", "Warn of all …"),
    ],
)
def test_a_cut_title_does_not_dangle(text: str, short: str) -> None:
    """No function word and no open code span stands before the ellipsis."""
    assert shortened(text, 31) == short


def test_a_clause_without_its_subject_goes_on_where_the_one_before_was() -> None:
    """The word `error` does not lead to the file named errors."""
    files = [*FILES, ("box/errors.py", "class BoxError(Exception): ...\n", "class BoxError:1")]
    document = spec_of("Limit the upload and raise an error instead", prompt(files))
    assert [task.path for task in document.tasks if task.role == "implement"][:2] == ["box/uploader.py"] * 2


@pytest.mark.parametrize(
    ("goal", "title"),
    [
        ("Fix: retry the upload", "Retry the upload"),
        ("feat(cli)!: add a flag", "Add a flag"),
        ("Fix the upload: it hangs", "Fix the upload: it hangs"),
    ],
)
def test_a_label_is_not_part_of_a_goal(goal: str, title: str) -> None:
    """What kind of change it is goes before the goal and is dropped."""
    assert read_goal(goal).title == title


def test_what_looks_like_a_gap_is_written_as_it_was_meant() -> None:
    """A goal that shouts or names a `<place>` gives a draft without placeholders."""
    document = spec_of("Add --out <file> to `box <name>`. Why is it slow???")
    assert document.title == "Add --out `<file>` to `box <name>`"
    assert document.goal.endswith("Why is it slow?")


def test_what_is_said_twice_is_one_clause() -> None:
    """A sentence that comes again asks for nothing new."""
    assert read_goal("Cache it. Cache it. Drop rows.").clauses == ["Cache it", "Drop rows"]


def test_each_step_names_the_place_of_its_own_clause() -> None:
    """The plan of `implement` leads to the same places as the tasks of the draft."""
    answer = write_answer(request("Print progress in `main` of cli. Retry `Uploader`"))
    assert "Print progress in `main` of cli: `box/cli.py`" in answer
    assert "Retry `Uploader`: `box/uploader.py`" in answer


def test_points_stay_apart_in_the_goal() -> None:
    """A list becomes one sentence with its parts still told apart."""
    assert read_goal("Do this:\n- cache it\n- drop rows").text == "Do this: cache it; drop rows"


def test_a_clause_that_refers_back_stays_where_the_one_before_it_was() -> None:
    """`log its size` is about what the clause before names, whatever file is best at logging."""
    files = [*FILES, ("box/logs.py", "def log_size(): ...\n", "def log_size:1")]
    document = spec_of("Retry the upload and log its size", prompt(files))
    assert {task.path for task in document.tasks if task.role == "implement"} <= {
        "box/uploader.py",
        "README.md",
    }
