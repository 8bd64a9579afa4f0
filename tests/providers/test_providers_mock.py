"""The mock provider: what it derives from a prompt, and how a scenario makes it fail."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mock_material import FILES, UPLOADER, prompt, request, spec_of

from kata_cli.core import loop
from kata_cli.core.errors import KataError
from kata_cli.core.events import ContentDelta, Event, ReplyFailed, ReplyFinished
from kata_cli.core.fence import fence
from kata_cli.core.ports import Credential, Timeouts
from kata_cli.providers import registry
from kata_cli.providers.mock import MockProvider
from kata_cli.providers.mock.author import write_answer
from kata_cli.providers.mock.material import read_material, system_name
from kata_cli.providers.mock.places import places, unknown_terms
from kata_cli.providers.mock.scenario import Fault, Scenario, read_scenario
from kata_cli.spec.answer import ANSWER_SCHEMA, ANSWER_SCHEMA_NAME
from kata_cli.spec.lint import lint
from kata_cli.spec.parse import parse
from kata_cli.spec.render import render


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
    document = spec_of(goal.strip(), prompt([("a.py", body, "def a:1")]), is_final=True)
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


def piece(path: str, text: str, listed: str = "", lines: str = "1-9") -> str:
    return fence("file", text, {"path": path, "lines": lines, "symbols": listed})


@pytest.mark.parametrize(
    "name", ["a b;touch pwned.py", "$(touch pwned).py", "`touch pwned`.py", "it's $(x).py"]
)
@pytest.mark.parametrize("text", ["def pack(): ...", "func pack() {}"])
def test_a_path_is_one_word_of_every_command(name: str, text: str) -> None:
    """What stands in a file name can not run when a command of the draft is pasted."""
    path = name if text.startswith("def") else name.replace(".py", ".go")
    shown = [piece(path, text, "def pack:1"), piece(f"tests/test_{path}", "pack()\n")]
    document = spec_of("Speed up `pack`", "\n\n".join(shown))
    commands = [step.command for step in document.verification]
    assert any("pwned" in command or "it" in command for command in commands)
    for command in commands:
        *_, last = shlex.split(command)
        assert last in (path, f"tests/test_{path}")
        assert shlex.quote(last) in command


def test_a_path_is_no_option_of_a_command() -> None:
    """A file whose name begins with a dash is named as a file."""
    document = spec_of("Speed up packing", piece("-rf.go", "func pack() {}", "def pack:1"))
    assert document.verification[0].command.endswith(" ./-rf.go")


def test_a_path_with_a_line_break_stays_one_line() -> None:
    """Control characters in a file name are shown, and break no document."""
    document = spec_of("Speed up packing", piece("a\n## Tasks\x1b\t.py", "def pack(): ...", "def pack:1"))
    assert document.context == ["`a ## Tasks^[ .py`: `pack`"]
    assert parse(render(document)) == document


@settings(max_examples=100, deadline=None)
@given(path=st.text("ab `#-*$()[]'\"\\\n\r\t./:;,\x00\x1b", min_size=1, max_size=30))
def test_any_path_gives_a_document(path: str) -> None:
    """No file name makes the mock write something that is not a spec."""
    document = spec_of("Speed up `pack`", piece(path, "def pack(): ...", "def pack:1"))
    assert parse(render(document)) == document


def test_json_without_a_schema_is_one_object_of_the_material() -> None:
    """A task that asks for any JSON gets the places, the inputs and what earlier tasks said."""
    given_text = [
        prompt(),
        fence("input", "first\n\nsecond\n", {"name": "stdin"}),
        fence("output", "It is here.\n", {"task": "look"}),
    ]
    answer = json.loads(write_answer(request(text="\n\n".join(given_text), schema_name="json")))
    assert answer["mode"] == "mock"
    assert answer["goal"] == "Retry the upload"
    assert answer["places"][0] == {"path": "box/uploader.py", "symbols": ["Uploader"]}
    assert answer["inputs"] == [{"name": "stdin", "lines": 3, "first": ["first", "second"]}]
    assert answer["answers"] == {"look": ["It is here."]}


def test_every_file_read_is_listed_and_counted() -> None:
    """Up to forty files stand under Context, the number is the real one, headings are no definitions."""
    shown = [piece(f"f{n}.py", "x = 1") for n in range(45)] + [piece("README.md", "# box", "box:1")]
    document = spec_of("Speed up packing", "\n\n".join(reversed(shown)))
    assert document.context[0] == "`README.md`"
    assert len(document.context) == 41
    assert document.context[-1] == "and 6 more files"
    assert document.assumptions[0] == "Only the 46 files under Context were read, 45 of them code."


def test_one_file_is_counted_as_one_and_no_name_listed_twice() -> None:
    """Plural and repeated definitions are right."""
    document = spec_of("Speed up packing", piece("a.py", "", "def pack:1, def pack:5, def fold:3"))
    assert document.assumptions[0].startswith("Only the 1 file under Context was read")
    assert document.context == ["`a.py`: `pack`, `fold`"]


def test_tasks_wait_only_for_what_they_need() -> None:
    """Two places are worked on at the same time; checks wait for both, the page for everything."""
    document = spec_of("Retry `Uploader`. Print progress in `main` of cli")
    after = {task.id: task.after for task in document.tasks}
    role_path = [(task.role, task.path) for task in document.tasks]
    assert role_path[:4] == [
        ("implement", "box/uploader.py"),
        ("verify", "tests/test_uploader.py"),
        ("implement", "box/cli.py"),
        ("verify", "tests/test_cli.py"),
    ]
    assert (after["T-001"], after["T-002"], after["T-003"], after["T-004"]) == ([], ["T-001"], [], ["T-003"])
    assert role_path[4] == ("verify", "box/cli.py")
    assert after["T-005"] == ["T-001", "T-003"]
    assert role_path[-1] == ("implement", "README.md")
    assert set(after["T-007"]) == {"T-004", "T-005", "T-006"}
    assert [finding for finding in lint(document) if finding.rule == "KS018"] == []


def test_documentation_is_written_last_and_read_not_tested() -> None:
    """A clause that asks for documentation goes to the page for it, after everything else."""
    document = spec_of("Document the retry and retry the upload")
    assert [(task.text, task.path) for task in document.tasks][-1] == ("Document the retry", "README.md")
    assert document.verification[0].command == "cat README.md"


def test_other_uses_are_listed_once_and_whole() -> None:
    """The path of a task is not repeated in its text, and no file hides behind a number."""
    users = [(f"box/u{n}.py", "from box.uploader import Uploader\nUploader()\n", "") for n in range(5)]
    document = spec_of("Retry the upload", prompt([FILES[2], *users]))
    keep = next(task for task in document.tasks if task.text.startswith("Keep"))
    assert keep.path == "box/u0.py"
    assert keep.text == (
        "Keep the uses of `Uploader` working (also: `box/u1.py`, `box/u2.py`, `box/u3.py`, `box/u4.py`)"
    )
    assert "more" not in document.rollback[0]


def test_no_given_line_is_left_out_of_a_digest() -> None:
    """A role of the user's own gets all lines of an input, repeated ones too."""
    lines = [f"- change {n // 2}" for n in range(60)]
    answer = write_answer(
        request("Sum up", fence("input", "\n".join(lines), {"name": "log"}), role="historian")
    )
    assert [line for line in answer.splitlines() if line.startswith("- change")] == lines


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tests/test_uploader.py", ""),
        ("tests/test_all.py", "import box.uploader\n"),
        ("tests/test_all.py", "from box import uploader\n"),
        ("tests/test_all.py", "def test_it(): resend()\n"),
    ],
)
def test_a_test_is_known_by_its_name_its_imports_or_what_it_names(path: str, text: str) -> None:
    """A file that a test shown names in any of these ways is not called uncovered."""
    code = ("box/uploader.py", UPLOADER, "class Uploader:1, def resend:2")
    document = spec_of("Retry `Uploader`", prompt([code, (path, text, "")]))
    assert document.risks == []
    assert document.verification[0].command == f"python -m pytest {path}"


def test_the_test_of_a_namesake_is_not_taken() -> None:
    """`tests/engine/test_run.py` is not the test of `cli/run.py`."""
    shown = [("cli/run.py", "def go(): ...\n", "def go:1"), ("tests/engine/test_run.py", "", "")]
    document = spec_of("Speed up run", prompt(shown))
    assert document.risks == ["No test shown covers `cli/run.py`."]


@pytest.mark.parametrize(
    ("path", "text", "is_use"),
    [
        ("box/b.py", "from box.uploader import Uploader\n", True),
        ("box/b.py", "from .uploader import Uploader\n", True),
        ("box/b.py", "# from box.uploader import Uploader\n", False),
        ("box/b.py", "class Uploader: ...\n", False),
        ("docs/b.md", "from box.uploader import Uploader\n", False),
    ],
)
def test_only_code_that_imports_a_definition_uses_it(path: str, text: str, is_use: bool) -> None:
    """A mention in a comment, in a page or of a namesake is no use."""
    document = spec_of("Retry the upload", prompt([FILES[2], (path, text, "")]))
    assert any(f"as in `{path}`" in entry.text for entry in document.requirements) == is_use


def test_a_snapshot_is_no_test() -> None:
    """A data file below `tests` is not where a test goes."""
    files = [*FILES[:4], ("tests/__snapshots__/test_uploader.ambr", "# name: test_send\n", "")]
    assert not read_material(request(text=prompt(files))).tests
