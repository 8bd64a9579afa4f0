"""What the next run learns of a session: turns in order, bounded, nothing of them invented."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_events import finished, lines, recorded, started

from kata_cli.app.history import Turn, earlier_text, turns
from kata_cli.core.errors import KataError
from kata_cli.core.events import DraftCreated, Event, ResultInfo, RunFinished, TaskFinished
from kata_cli.core.fence import blocks
from kata_cli.core.messages import estimate_tokens
from kata_cli.core.session import CompactionEntry, Entry, HeadEntry, MessageEntry, RunEntry, Session
from kata_cli.spec.document import Document, Requirement
from kata_cli.spec.render import render
from kata_cli.store.runs import RunStore
from kata_cli.store.sessions import SessionStore
from kata_cli.store.views import write_record

SESSION = "s-20261121-054412-k3f9q2"
TS = "2026-11-21T05:44:12.000Z"
DRAFT = Document(
    id="d",
    title="T",
    runtime_mode="mock",
    goal="Do it.",
    requirements=[Requirement(id="REQ-001", title="A", text="It SHALL do.")],
)
SUMMARY = CompactionEntry(summary="all so far", model="m", tokens_before=9, tokens_after=2)


def run_id(number: int) -> str:
    return f"20261121-054412-{number:06d}"


def make_run(runs: RunStore, number: int, *, kind: str = "spec") -> RunEntry:
    """A run on disk with a draft, a text, or a failure."""
    ended = RunFinished(
        status="completed" if kind != "failed" else "failed",
        exit_code=0,
        result=None if kind == "failed" else ResultInfo(kind=kind, task="answer"),  # type: ignore[arg-type]
    )
    made: list[Event] = [DraftCreated(document=msgspec.to_builtins(DRAFT))] if kind == "spec" else []
    answer = TaskFinished(task="answer", status="completed", output=f"answer {number}")
    events = [started(), *finished()[1:5], answer, *made, ended]
    with_goal = msgspec.structs.replace(started(), goal=f"goal {number}")
    run = runs.create(run_id(number))
    run.journal.append(lines(recorded([with_goal, *events[1:]], run_id(number))))
    run.close()
    return RunEntry(run_id=run_id(number))


def session_of(state: Path, *entries: Entry) -> Session:
    with SessionStore(state).create(SESSION, project="/p", ts=TS) as session:
        for entry in entries:
            session.append(entry, ts=TS)
        return session.session


def test_turns_follow_the_path_with_goal_and_result(tmp_path: Path) -> None:
    """Drafts as Markdown and document, texts as text, a failure as its goal; a branch left is out."""
    runs = RunStore(tmp_path)
    session = session_of(
        tmp_path,
        make_run(runs, 1),
        make_run(runs, 2),
        HeadEntry(target="e1"),
        make_run(runs, 3, kind="text"),
        make_run(runs, 4, kind="failed"),
        MessageEntry(role="user", text="hello"),
        MessageEntry(role="assistant", text="hi"),
    )
    found, warnings = turns(session, runs)
    assert warnings == []
    assert found == [
        Turn(
            kind="spec",
            run_id=run_id(1),
            goal="goal 1",
            status="completed",
            text=render(DRAFT),
            document=DRAFT,
        ),
        Turn(kind="text", run_id=run_id(3), goal="goal 3", status="completed", text="answer 3\n"),
        Turn(kind="nothing", run_id=run_id(4), goal="goal 4", status="failed"),
        Turn(kind="message", goal="hello"),
        Turn(kind="message", text="hi"),
    ]


def test_se14_a_summary_comes_first_and_the_last_draft_stays_revisable(tmp_path: Path) -> None:
    """What was compacted is told by its summary alone; its newest draft follows without its text."""
    runs = RunStore(tmp_path)
    entries = [make_run(runs, 1), make_run(runs, 2), make_run(runs, 3, kind="failed"), SUMMARY]
    session = session_of(tmp_path, *entries, make_run(runs, 4, kind="text"))
    found, _ = turns(session, runs)
    assert [(turn.kind, turn.run_id, turn.text) for turn in found] == [
        ("summary", "", "all so far"),
        ("spec", run_id(2), ""),
        ("text", run_id(4), "answer 4\n"),
    ]
    assert found[1].document == DRAFT


@pytest.mark.parametrize("gone", [run_id(7), "../../etc/passwd", "20261121"])
def test_a_run_that_is_gone_is_a_warning(tmp_path: Path, gone: str) -> None:
    """The session goes on with what is left; a hostile id is no path."""
    runs = RunStore(tmp_path)
    session = session_of(tmp_path, RunEntry(run_id=gone), make_run(runs, 2))
    found, warnings = turns(session, runs)
    assert [turn.run_id for turn in found] == [run_id(2)]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"session {SESSION}, e1: ")


def _spoil(runs: RunStore, number: int) -> None:
    """Lose the run's draft, while `run.json` still tells of it."""
    directory = runs.directory / run_id(number)
    write_record(directory, runs.load(run_id(number)))
    journal = directory / "events.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:3]))


@pytest.mark.parametrize("after", [[], [SUMMARY]], ids=["newest", "compacted"])
def test_s2_a_newest_run_that_is_damaged_is_an_error(tmp_path: Path, after: list[Entry]) -> None:
    """No older draft takes the place of the one that cannot be read, and none is begun anew."""
    runs = RunStore(tmp_path)
    session = session_of(tmp_path, make_run(runs, 1), make_run(runs, 2), *after)
    _spoil(runs, 2)
    with pytest.raises(KataError, match=f"the run {run_id(2)}, the last of session {SESSION}") as caught:
        turns(session, runs)
    assert (caught.value.failure.code, run_id(2) in caught.value.failure.hint) == ("io", True)


def test_s2_an_older_run_that_is_damaged_is_a_warning(tmp_path: Path) -> None:
    """The session goes on from its newest draft."""
    runs = RunStore(tmp_path)
    session = session_of(tmp_path, make_run(runs, 1), make_run(runs, 2))
    _spoil(runs, 1)
    found, warnings = turns(session, runs)
    assert [turn.run_id for turn in found] == [run_id(2)]
    assert warnings == [f"session {SESSION}, e1: the journal ends before the run did"]


def test_an_empty_session_has_no_turns(tmp_path: Path) -> None:
    """Nothing before, nothing to tell."""
    assert turns(session_of(tmp_path), RunStore(tmp_path)) == ([], [])
    assert earlier_text([], 1000) == ""


_turns = st.lists(
    st.builds(
        Turn,
        kind=st.sampled_from(["spec", "text", "summary", "message"]),
        run_id=st.sampled_from(["", run_id(1)]),
        goal=st.text("ab \né<", max_size=300),
        status=st.sampled_from(["", "completed"]),
        text=st.text("ab \né</>earlier", max_size=900),
    ),
    max_size=5,
)


@given(_turns, st.integers(0, 400))
@settings(max_examples=100, deadline=None)
def test_the_earlier_text_keeps_its_bound_and_its_fence(made: list[Turn], max_tokens: int) -> None:
    """Never over the limit; one block per turn that is kept, whatever the turns say."""
    text = earlier_text(made, max_tokens)
    assert estimate_tokens(text) <= max_tokens
    found = list(blocks(text))
    assert all(block.tag == "earlier" for block in found)
    assert len(found) <= len(made)
    assert text.count("<earlier") == len(found)
    assert [block.attributes["kind"] for block in found] == [
        turn.kind for turn in made[len(made) - len(found) :]
    ]


def test_the_newest_turn_is_kept_whole_and_older_ones_are_cut(tmp_path: Path) -> None:
    """What is recent counts most; what was cut says so."""
    old = Turn(kind="text", run_id=run_id(1), goal="old goal", text="old line\n" * 200)
    new = Turn(kind="text", run_id=run_id(2), goal="new goal", text="new line\n" * 20)
    first, last = blocks(earlier_text([old, new], 150))
    assert last.text == "Goal: new goal\n\n" + "new line\n" * 19 + "new line"
    assert first.text.startswith("Goal: old goal\n\nold line\n")
    assert first.text.endswith("old line\n[the rest is left out]")
    assert len(list(blocks(earlier_text([old, new], 100_000)))) == 2
    assert "left out" not in earlier_text([old, new], 100_000)
