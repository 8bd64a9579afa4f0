"""Views are a function of the journal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from faulty_fs import ERRNOS, FaultyFs, torture
from hypothesis import HealthCheck, given, settings
from made_events import finished, recorded, request, started, streams, unfinished

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import (
    AttemptFailed,
    AttemptStarted,
    DraftCreated,
    Event,
    Recorded,
    ResultInfo,
    RunFinished,
    TaskFinished,
    UsageReported,
)
from kata_cli.core.messages import Reply, Request, Usage
from kata_cli.core.records import RunRecord
from kata_cli.store.exchanges import exchanges, read_exchanges
from kata_cli.store.views import fold, is_viewed, read_ended, write_views

LINE_KEYS = ["v", "task", "attempt", "model", "request", "reply", "failure"]


def render(document: dict[str, Any]) -> dict[str, bytes]:
    """A stand-in for the spec's renderer."""
    return {"spec.md": repr(sorted(document.items())).encode(), "spec.json": msgspec.json.encode(document)}


def _files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def _exchanges(directory: Path, events: list[Event]) -> list[dict[str, Any]]:
    write_views(directory, recorded(events), render)
    return [json.loads(line) for line in (directory / "exchanges.jsonl").read_bytes().splitlines()]


def test_a_finished_run_has_all_its_views(tmp_path: Path) -> None:
    """The spec, the answers, the exchanges and the record lie beside the journal."""
    record = write_views(tmp_path, recorded(finished()), render)
    files = _files(tmp_path)
    assert sorted(files) == ["exchanges.jsonl", "run.json", "spec.json", "spec.md", "tasks/answer.md"]
    assert files["tasks/answer.md"] == b"yes\n"
    assert files["run.json"].startswith(b'{\n  "schema": "kata.run/v1",\n  "run_id": ')
    assert files["run.json"].endswith(b"}\n")
    assert msgspec.json.decode(files["run.json"], type=RunRecord) == record == fold(recorded(finished()))


def test_run_json_is_written_last(tmp_path: Path) -> None:
    """A `run.json` that says the run has ended implies that all else is there."""
    names: list[str] = []

    class Watching(FaultyFs):
        def replace(self, src: Path, dst: Path) -> None:
            names.append(dst.name)
            super().replace(src, dst)

    write_views(tmp_path, recorded(finished()), render, Watching())
    assert names[-1] == "run.json"


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(streams)
def test_views_can_be_written_again_with_identical_bytes(tmp_path: Path, entries: list[Recorded]) -> None:
    """Writing twice changes nothing; a deleted `run.json` comes back as it was."""
    write_views(tmp_path, entries, render)
    before = _files(tmp_path)
    (tmp_path / "run.json").unlink()
    write_views(tmp_path, entries, render)
    assert _files(tmp_path) == before
    assert not any(".." in name or ".tmp" in name for name in before)


def test_f1_a_task_id_that_is_no_file_name_gets_no_file(tmp_path: Path) -> None:
    """A plan made by a model cannot write outside the run."""
    run = tmp_path / "run"
    run.mkdir()
    ids = ["../evil", "/abs", "UP", "a/b", ".hid", "x" * 65, "nul\0", ""]
    ends = [TaskFinished(task=task, status="completed", output="x") for task in ids]
    write_views(run, recorded([started(), *ends]), render)
    assert sorted(_files(tmp_path)) == ["run/exchanges.jsonl", "run/run.json"]


def test_f3_an_answer_is_safe_to_show_in_its_file(tmp_path: Path) -> None:
    """Escape sequences and bells are written out; text without any is the same byte for byte."""
    clean = "Grüße, 缓存\n\tdone\n"
    answers = [
        TaskFinished(task="hostile", status="completed", output="\x1b[31mred\x07"),
        TaskFinished(task="clean", status="completed", output=clean),
    ]
    write_views(tmp_path, recorded([*finished()[:-2], *answers]), render)
    assert (tmp_path / "tasks/hostile.md").read_bytes() == b"^[[31mred^G\n"
    assert (tmp_path / "tasks/clean.md").read_bytes() == clean.encode()


def test_an_answered_attempt_is_one_line(tmp_path: Path) -> None:
    """The reply is the task's output with what the provider reported of it."""
    (line,) = _exchanges(tmp_path, finished())
    assert list(line) == LINE_KEYS
    assert line["failure"] is None
    assert line["reply"] == {
        "text": "yes",
        "stop": "stop",
        "usage": {"input": 3, "output": 4},
        "request_id": None,
        "model": "m-1",
    }
    assert msgspec.convert(line["reply"], Reply) == Reply(
        text="yes", model="m-1", usage=Usage(input=3, output=4)
    )
    assert msgspec.convert(line["request"], Request) == request("answer")


def test_a_failed_attempt_and_its_repair_are_two_lines(tmp_path: Path) -> None:
    """An answer that did not hold is kept with the reason; the next attempt has the final answer."""
    failure = Failure(code="invalid_output", message="no JSON")
    again = AttemptStarted(task="answer", attempt=2, model="mock/mock", request=request("answer"))
    first, second = _exchanges(
        tmp_path,
        [
            *unfinished(),
            AttemptFailed(task="answer", attempt=1, failure=failure, delay_s=0.0, answer="half"),
            UsageReported(
                task="answer", attempt=1, usage=Usage(output=1), model="m", stop="length", request_id="r1"
            ),
            again,
            TaskFinished(task="answer", status="completed", output="whole"),
        ],
    )
    assert first["failure"] == {"code": "invalid_output", "message": "no JSON"}
    assert first["reply"]["text"] == "half"
    assert (first["reply"]["stop"], first["reply"]["request_id"]) == ("length", "r1")
    assert (second["attempt"], second["reply"]["text"], second["failure"]) == (2, "whole", None)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(streams)
def test_exchanges_are_read_back_as_they_were_written(tmp_path: Path, entries: list[Recorded]) -> None:
    """Reading is the inverse of writing."""
    write_views(tmp_path, entries, render)
    assert read_exchanges(tmp_path / "exchanges.jsonl") == exchanges(entries)


@pytest.mark.parametrize("line", [b"", b"{}", b"[1]", b"\xff", b"[" * 5000, b'{"v":1,"task":3}'])
def test_a_line_that_is_no_exchange_is_named(tmp_path: Path, line: bytes) -> None:
    """An io error with the file and the number of the line."""
    write_views(tmp_path, recorded(finished()), render)
    file = tmp_path / "exchanges.jsonl"
    file.write_bytes(file.read_bytes() + line + b"\n")
    with pytest.raises(KataError) as caught:
        read_exchanges(file)
    assert str(caught.value) == f"cannot read {file}: line 2 is no exchange"
    assert caught.value.failure.exit == 11


def test_exchanges_that_are_missing_are_an_io_error(tmp_path: Path) -> None:
    """The path is in the message."""
    with pytest.raises(KataError, match="jsonl: No such file"):
        read_exchanges(tmp_path / "exchanges.jsonl")


def test_an_attempt_that_got_nothing_has_no_reply(tmp_path: Path) -> None:
    """Neither an open attempt nor one that failed without an answer invents a reply."""
    (open_line,) = _exchanges(tmp_path, unfinished())
    assert (open_line["reply"], open_line["failure"]) == (None, None)
    end = TaskFinished(task="answer", status="failed", failure=Failure(code="timeout", message="late"))
    (line,) = _exchanges(tmp_path, [*unfinished(), end])
    assert (line["reply"], line["failure"]["code"]) == (None, "timeout")


def test_the_last_draft_is_the_one_rendered(tmp_path: Path) -> None:
    """A repaired draft replaces the first."""
    drafts: list[Event] = [DraftCreated(document={"n": 1}), DraftCreated(document={"n": 2})]
    write_views(tmp_path, recorded([started(), *drafts]), render)
    assert (tmp_path / "spec.json").read_bytes() == b'{"n":2}'


@pytest.mark.parametrize(("events", "synced"), [(unfinished(), []), (finished(), ["spec.md", "spec.json"])])
def test_only_the_draft_waits_for_the_disk(tmp_path: Path, events: list[Event], synced: list[str]) -> None:
    """The journal has all that the views have; the draft, a file and its directory each, is shown by path."""
    fs = FaultyFs()
    write_views(tmp_path, recorded(events), render, fs)
    assert fs.calls.count("fsync") == 2 * len(synced)


@pytest.mark.parametrize("name", ["spec.md", "tasks/answer.md", "exchanges.jsonl"])
@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_lost_views_are_noticed(tmp_path: Path, name: str, harm: Callable[[Path], object]) -> None:
    """A view that is missing or empty is told; an answer without a file has none."""
    result = ResultInfo(task="answer", kind="spec")
    odd = TaskFinished(task="../x", status="completed", output="x")
    end = RunFinished(status="completed", exit_code=0, result=result)
    record = write_views(tmp_path, recorded([*finished()[:-1], odd, end]), render)
    assert is_viewed(tmp_path, record)
    harm(tmp_path / name)
    assert not is_viewed(tmp_path, record)


def test_te12_refused_transitions_become_warnings() -> None:
    """A journal that contradicts itself is read, and says so."""
    record = fold(recorded([*finished(), *unfinished()[3:4]]))
    assert record.status == "completed"
    assert record.warnings == [
        "task answer cannot go from completed to delegating (allowed: nothing: it is final)"
    ]


@pytest.mark.parametrize("fault", ERRNOS)
def test_f01_to_f10_each_failing_call_of_the_views(tmp_path: Path, fault: str) -> None:
    """Whatever call fails, no file is torn, nothing stray is left, and the journal can restore all."""
    good = tmp_path / "good"
    good.mkdir()
    write_views(good, recorded(finished()), render)
    wanted = _files(good)
    run = tmp_path / "run"
    run.mkdir()

    def check(error: KataError | None) -> None:
        assert _files(run).items() <= wanted.items()
        write_views(run, recorded(finished()), render)
        assert _files(run) == wanted

    torture(lambda fs: write_views(run, recorded(finished()), render, fs), check, ERRNOS[fault], short=False)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"{" * 5000, b"\xff",
        b'{"run_id":"%s","status":"running"}',
        b'{"run_id":"other","status":"failed"}',
        b'{"run_id":"%s","status":"failed","schema":"kata.run/v2"}',
    ],
)  # fmt: skip
def test_only_a_sound_run_json_of_an_ended_run_is_trusted(tmp_path: Path, data: bytes) -> None:
    """Everything else is left to the journal."""
    (tmp_path / "run.json").write_bytes(data.replace(b"%s", tmp_path.name.encode()))
    assert read_ended(tmp_path) is None
