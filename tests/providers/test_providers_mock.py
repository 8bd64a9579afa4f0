"""The mock provider: what it derives from a prompt, and how a scenario makes it fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core import loop
from kata_cli.core.errors import KataError
from kata_cli.core.events import ContentDelta, Event, ReplyFailed, ReplyFinished
from kata_cli.core.fence import fence
from kata_cli.core.messages import Message, ModelRef, Request
from kata_cli.core.ports import Credential, Timeouts
from kata_cli.providers import registry
from kata_cli.providers.mock import MockProvider
from kata_cli.providers.mock.author import write_answer
from kata_cli.providers.mock.goal import read_goal
from kata_cli.providers.mock.material import places, read_material, system_name, unknown_terms
from kata_cli.providers.mock.scenario import Fault, Scenario, read_scenario
from kata_cli.spec.answer import ANSWER_SCHEMA, ANSWER_SCHEMA_NAME, answer_to_document
from kata_cli.spec.document import Document
from kata_cli.spec.lint import lint
from kata_cli.spec.parse import parse
from kata_cli.spec.render import render

UPLOADER = """class Uploader:
    def send(self, data):
        if not data:
            raise ValueError("empty")
"""
FILES = [
    ("pyproject.toml", '[project]\nname = "box"\n', ""),
    ("README.md", "# box\n\nA small box that uploads what is put into it.\n", ""),
    ("box/uploader.py", UPLOADER, "class Uploader:1, def send:2"),
    (
        "box/cli.py",
        "from box.uploader import Uploader\n\ndef main():\n    Uploader().send(b'')\n",
        "def main:3",
    ),
    (
        "tests/test_uploader.py",
        "from box.uploader import Uploader\n\ndef test_send(): ...\n",
        "def test_send:3",
    ),
]


def prompt(files: list[tuple[str, str, str]] = FILES) -> str:
    """A prompt as the context room makes it."""
    return "\n\n".join(
        fence("file", text, {"path": path, "lines": f"1-{text.count(chr(10))}", "symbols": listed})
        for path, text, listed in files
    )


def request(goal: str = "Retry the upload", text: str | None = None, **fields: object) -> Request:
    values = {"task": "t", "role": "implement", "goal": goal, "model": ModelRef("mock", "mock-1"), **fields}
    message = Message("user", f"{goal}\n\n{prompt() if text is None else text}")
    return Request(messages=(message,), **values)  # type: ignore[arg-type]


def spec_of(goal: str, text: str | None = None) -> Document:
    """The document that the mock writes for a goal, after the same checks as a model's answer."""
    asked = request(goal, text, schema=ANSWER_SCHEMA, schema_name=ANSWER_SCHEMA_NAME)
    document = answer_to_document(write_answer(asked), spec_id="x", runtime_mode="mock")
    assert isinstance(document, Document), document
    return document


@pytest.mark.parametrize(
    ("goal", "clauses"),
    [
        ("Add a flag and document it", ["Add a flag", "document it"]),
        ("Add salt and pepper", ["Add salt and pepper"]),
        ("- cache the index\n- drop stale rows", ["cache the index", "drop stale rows"]),
        ("Please add a flag.", ["add a flag"]),
        ("Why is the search slow and odd?", ["Why is the search slow and odd?"]),
    ],
)
def test_a_goal_is_taken_apart_where_it_names_separate_work(goal: str, clauses: list[str]) -> None:
    """Bullets, sentences and `and VERB` part a goal; `and NOUN` does not."""
    assert read_goal(goal).clauses == clauses


def test_the_prompt_is_read_as_a_model_would_read_it() -> None:
    """Files, their symbols and the project's own name come from the fenced text alone."""
    material = read_material(request())
    assert [file.path for file in material.files] == [path for path, _, _ in FILES]
    assert system_name(material) == "box"
    assert places(material)[0].file.path == "box/uploader.py"
    assert [symbol.bare for symbol in places(material)[0].symbols] == ["Uploader"]


def test_pieces_of_one_file_keep_their_line_numbers() -> None:
    """A refusal found in the second piece of a file is told with the line it has in the file."""
    pieces = "\n\n".join(
        [
            fence("file", "def send():", {"path": "a.py", "lines": "1-1", "symbols": "def send:1"}),
            fence(
                "file",
                "def check():\n    raise KeyError",
                {"path": "a.py", "lines": "90-91", "symbols": "def check:90"},
            ),
        ]
    )
    document = spec_of("Check what is sent", pieces)
    assert any("`a.py:91` gives KeyError" in criterion.text for criterion in document.criteria)


def test_the_draft_names_what_is_really_there() -> None:
    """Paths, symbols, the refusal with its line, the test file and its command come from the files."""
    text = render(spec_of("Retry the upload three times"))
    for evidence in (
        "`Uploader` (line 1)",
        "box/uploader.py",
        "ValueError",
        "`box/uploader.py:4`",
        "python -m pytest tests/test_uploader.py",
        "`Uploader` is also named in `box/cli.py`",
    ):
        assert evidence in text


def test_the_draft_traces_and_lints_without_error() -> None:
    """Every requirement has a criterion and a task, every criterion a step: lint finds no error."""
    document = spec_of("Add a retry to the upload and log every attempt; keep the order of uploads")
    assert [finding for finding in lint(document) if finding.severity == "error"] == []
    assert parse(render(document)) == document


def test_what_is_not_there_becomes_a_question() -> None:
    """A name in the goal that no file mentions is asked about, not invented."""
    goal = "Send every upload of the box to `redis_store`"
    assert unknown_terms(read_material(request(goal))) == ["redis_store"]
    assert "redis_store" in spec_of(goal).open_questions[0].text


words = st.text("abcdefgh `#-*<>[](){}\"'\\\n_:;,.?!|", max_size=120)


@settings(max_examples=100, deadline=None)
@given(goal=words.filter(lambda text: bool(text.strip())), body=words)
def test_any_goal_and_file_give_a_document(goal: str, body: str) -> None:
    """No goal and no file content makes the mock write something that is not a spec."""
    document = spec_of(goal.strip(), prompt([("a.py", body, "def a:1")]))
    assert parse(render(document)) == document


@pytest.mark.parametrize(
    "role", ["investigate", "implement", "verify", "debug", "critique", "review", "answer", "historian"]
)
def test_every_role_gets_a_labelled_text(role: str) -> None:
    """Texts say that no model was asked, and are the same each time."""
    asked = request(role=role)
    assert write_answer(asked).startswith("*Mock mode")
    assert write_answer(asked) == write_answer(asked)


def test_the_reviewer_names_place_and_rule() -> None:
    """Findings in a diff carry the file and the line of the new version."""
    diff = "--- a/x.py\n+++ b/x.py\n@@ -1,2 +7,3 @@\n keep\n+eval(text)\n-gone\n"
    answer = write_answer(request("Review", fence("input", diff, {"name": "stdin"}), role="review"))
    assert "**serious** `x.py:8`: text is executed as code" in answer
    assert "code changes and no test does" in answer


def answers(scenario: Scenario, times: int = 1, **fields: Any) -> list[list[Event]]:
    """What a provider yields for the same request, `times` times, on virtual time."""

    async def ask() -> list[list[Event]]:
        provider = MockProvider(registry.MOCK, Credential(), Timeouts(idle_s=3.0), scenario)
        return [[event async for event in provider.stream(request(**fields))] for _ in range(times)]

    return loop.run(ask(), is_virtual=True)


def test_deltas_add_up_to_the_reply() -> None:
    """What is streamed is what is answered, with its usage."""
    *deltas, end = answers(Scenario())[0]
    assert isinstance(end, ReplyFinished)
    assert "".join(event.text for event in deltas if isinstance(event, ContentDelta)) == end.reply.text
    assert end.reply.usage.output > 0


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("rate_limited", "rate_limited"),
        ("provider_unavailable", "provider_unavailable"),
        ("invalid_auth", "invalid_auth"),
        ("session_expired", "session_expired"),
        ("empty", "invalid_output"),
        ("task_failed", "task_failed"),
        ("stall", "timeout"),
    ],
)
def test_a_fault_acts_as_often_as_it_says(kind: str, code: str) -> None:
    """The first `times` requests fail with the code of the fault, the next is answered."""
    first, second = answers(Scenario(faults=[Fault(kind=kind)]), times=2)  # type: ignore[arg-type]
    assert isinstance(first[-1], ReplyFailed)
    assert first[-1].failure.code == code
    assert isinstance(second[-1], ReplyFinished)


def test_truncated_and_bad_schema_are_answers() -> None:
    """They come as replies: one cut at its limit, one that is no JSON."""
    cut = answers(Scenario(faults=[Fault(kind="truncated")]))[0][-1]
    assert isinstance(cut, ReplyFinished)
    assert cut.reply.stop == "length"
    fields: dict[str, Any] = {"schema": ANSWER_SCHEMA, "schema_name": ANSWER_SCHEMA_NAME}
    bad = answers(Scenario(faults=[Fault(kind="bad_schema")]), 1, **fields)[0][-1]
    assert isinstance(bad, ReplyFinished)
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(bad.reply.text)


def test_a_crash_is_raised() -> None:
    """A crash is a bug in an adapter, not a failure of the request."""
    with pytest.raises(RuntimeError, match="crash"):
        answers(Scenario(faults=[Fault(kind="crash")]))


@pytest.mark.parametrize(
    ("goal", "role", "fails"),
    [
        ("what if uploads fail", "implement", True),
        ("what about failover", "implement", False),
        ("delegate-fail", "verify", True),
        ("delegate-fail", "implement", False),
        ("delegate-fail in implement", "implement", True),
    ],
)
def test_keywords_act_only_when_asked_for(goal: str, role: str, fails: bool) -> None:
    """`fail` and `delegate-fail` do nothing without `keywords`, and are told apart with it."""
    for keywords in (False, True):
        end = answers(Scenario(keywords=keywords), goal=goal, role=role)[0][-1]
        assert isinstance(end, ReplyFailed) == (keywords and fails)


def test_a_wrong_scenario_names_file_and_key(tmp_path: Path) -> None:
    """Unknown kinds and keys are config errors; a missing file is io."""
    path = tmp_path / "s.toml"
    path.write_text('[[faults]]\nkind = "explode"\n')
    with pytest.raises(KataError, match=r"faults\[0\]\.kind: invalid enum value") as caught:
        read_scenario(path)
    assert caught.value.failure.code == "config"
    with pytest.raises(KataError, match="no scenario file"):
        read_scenario(tmp_path / "none.toml")
