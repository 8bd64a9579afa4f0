"""The law of the format: what is written reads back as the same document."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.spec.answer import document_to_answer
from kata_cli.spec.document import Criterion, Document, Question, Requirement, Step, Task, clean
from kata_cli.spec.inline import split_command, split_path
from kata_cli.spec.parse import parse
from kata_cli.spec.render import render, spec_json

FRAGMENTS = st.sampled_from(
    [
        *("#", "## Tasks", "### REQ-002 x", "---", "- ", "* ", "+", "1. ", "2)", ">", "|", "```", "~~~"),
        *("`", "``", "`a`", " in `x`", "in `a`b`", " — after: none", " — after: T-002", "— ", "***"),
        *("(REQ-001)", "(REQ-", "[ ]", "[x] ", "[implement]", "**AC-001**", "AC-001: ", "Q-001"),
        *("\n", "\r\n", "\t", "  ", "\u2028", "\x85", "\x00", "\x1b[31m", "\u202e", "\ud800", "\xa0"),
        *("e\u0301", "日本語", "😀", "after:", "schema: 1", '"', "é", "\\", "\\-", "\\#"),
        *("<!-- x", "-->", "\ufeff"),
    ]
)
TEXTS = st.one_of(
    st.lists(FRAGMENTS | st.text(max_size=4), max_size=6).map("".join),
    st.text(max_size=30),
)


def ids(prefix: str) -> st.SearchStrategy[str]:
    return st.integers(0, 1200).map(lambda number: f"{prefix}-{number:03d}")


def id_lists(prefix: str) -> st.SearchStrategy[list[str]]:
    return st.lists(ids(prefix), max_size=3)


LISTS = st.lists(TEXTS, max_size=3)
ROLES = st.sampled_from(["", "implement", "my-role.2", "x"])
DOCUMENTS = st.builds(
    Document,
    id=TEXTS,
    title=TEXTS,
    status=st.sampled_from(["draft", "accepted", "superseded"]),
    revision=st.integers(1, 10**6),
    runtime_mode=TEXTS,
    goal=TEXTS,
    non_goals=LISTS,
    assumptions=LISTS,
    context=LISTS,
    requirements=st.lists(st.builds(Requirement, id=ids("REQ"), title=TEXTS, text=TEXTS), max_size=3),
    criteria=st.lists(
        st.builds(Criterion, id=ids("AC"), requirements=id_lists("REQ"), text=TEXTS), max_size=3
    ),
    tasks=st.lists(
        st.builds(
            Task,
            id=ids("T"),
            is_done=st.booleans(),
            role=ROLES,
            requirements=id_lists("REQ"),
            text=TEXTS,
            path=TEXTS,
            after=id_lists("T"),
        ),
        max_size=3,
    ),
    verification=st.lists(st.builds(Step, criterion=ids("AC"), command=TEXTS, note=TEXTS), max_size=3),
    risks=LISTS,
    rollback=LISTS,
    decisions=LISTS,
    open_questions=st.lists(st.builds(Question, id=ids("Q"), text=TEXTS), max_size=3),
)


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS)
def test_markdown_reads_back_as_the_same_document(document: Document) -> None:
    """parse(render(d)) == d for every clean document, whatever its texts contain."""
    assert parse(render(document)) == clean(document)


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS)
def test_json_reads_back_as_the_same_document(document: Document) -> None:
    """spec.json holds the same document beside the provenance."""
    data = spec_json(document, run={}, generator={}, inputs=[], hashes={})
    assert msgspec.json.decode(data, type=Document) == clean(document)


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS)
def test_cleaning_twice_changes_nothing_more(document: Document) -> None:
    """clean is idempotent, so its result is the canonical form."""
    assert clean(clean(document)) == clean(document)


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS)
def test_rendered_text_is_canonical(document: Document) -> None:
    """Rendering what was parsed gives the same bytes, with one newline at the end and no control bytes."""
    text = render(document)
    assert render(parse(text)) == text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "\n\n\n" not in text
    assert not [char for char in text if ord(char) < 0x20 and char not in "\n\t"]


@pytest.mark.parametrize("path", ["a`b", "`", "``x", "x in `y", "a  b", "e\u0301.md", "C:\\x\\y"])
def test_paths_keep_every_character(path: str) -> None:
    """A path in a code span comes back exactly, backticks and inner blanks included."""
    document = Document(id="s", title="t", tasks=[Task(id="T-001", text="edit", path=path)])
    assert parse(render(document)).tasks[0].path == path


def test_commands_keep_inner_blanks() -> None:
    """A command is code: its blanks, quotes and backticks are not tidied away."""
    step = Step(criterion="AC-001", command="grep 'a  b' `git ls-files` | wc -l", note="counts — twice")
    document = Document(id="s", title="t", verification=[step])
    assert parse(render(document)).verification == [step]


def test_a_path_written_into_the_text_becomes_the_path() -> None:
    """Model and Markdown agree on where the path is, so a text that ends in a path gives it up."""
    document = clean(Document(id="s", title="t", tasks=[Task(id="T-001", text="edit in `a.py`")]))
    assert (document.tasks[0].text, document.tasks[0].path) == ("edit", "a.py")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("edit in `a.py`", ("edit", "a.py")),
        ("in `a.py`", ("", "a.py")),
        ("edit ``in`` in ``a`b``", ("edit ``in``", "a`b")),
        ("edit within `a.py`", ("edit within `a.py`", "")),
        ("edit in `a` and `b`", ("edit in `a` and `b`", "")),
        ("edit in ` `", ("edit in ` `", "")),
        ("edit in ``a`", ("edit in ``a`", "")),
        ("edit", ("edit", "")),
    ],
)
def test_only_a_closing_code_span_is_a_path(text: str, expected: tuple[str, str]) -> None:
    """A path is the one code span at the end, after the word in; all else is text."""
    assert split_path(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`pytest`", ("pytest", "")),
        ("`pytest` — slow", ("pytest", "slow")),
        ("`pytest` and `ruff`", ("", "`pytest` and `ruff`")),
        ("run `pytest`", ("", "run `pytest`")),
        ("` ` — x", ("", "` ` — x")),
        ("", ("", "")),
    ],
)
def test_only_an_opening_code_span_is_a_command(text: str, expected: tuple[str, str]) -> None:
    """A command is the one code span at the start, alone or before a dash; all else is a note."""
    assert split_command(text) == expected


def test_json_refuses_ids_of_another_form() -> None:
    """A spec.json edited by hand cannot bring in an id that Markdown cannot hold."""
    data = b'{"id": "s", "title": "t", "requirements": [{"id": "R 1"}]}'
    with pytest.raises(msgspec.ValidationError, match="REQ-"):
        msgspec.json.decode(data, type=Document)


@given(DOCUMENTS)
@settings(max_examples=60, deadline=None)
def test_a_document_shown_as_an_answer_holds_all_that_a_model_may_write(document: Document) -> None:
    """Ticks, status and identity are kata's own; everything else reads back from the answer form."""
    answer = document_to_answer(document)
    own = {name: getattr(document, name) for name in ("id", "status", "revision", "runtime_mode")}
    back = msgspec.convert({**own, **answer}, Document)
    undone = [msgspec.structs.replace(task, is_done=False) for task in document.tasks]
    assert back == msgspec.structs.replace(document, tasks=undone)
