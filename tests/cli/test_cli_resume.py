"""`--resume` after each way in which a run can end, from other places, and over what has changed."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from cli.records import asked, events, fault, whole
from cli.shell import MOCK, Shell, finish, signal_at
from kata_cli.core.jsonl import split_lines
from servers.vendor import Reply, Seen, Status, VendorServer

SPEC = (*MOCK, "Make save atomic", "-j", "1")
GOLDEN = Path(__file__).parent.parent / "store" / "golden"
TWO = (GOLDEN / "small.toml").read_text()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell of its own."""
    return Shell(tmp_path)


def models(run: Path) -> set[str]:
    """The models that a run asked."""
    return {event["model"] for event in events(run) if event["type"] == "attempt.started"}


def failed(shell: Shell) -> Path:
    """A run that failed at `verify`, with two answers before it."""
    assert shell.kata(*SPEC, *fault(shell, "verify")).code == 8
    run: Path = shell.runs[-1]
    return run


def test_after_the_deadline(shell: Shell) -> None:
    """A run that its `--timeout` ended goes on without that deadline."""
    ended = shell.kata(*SPEC, *fault(shell, "verify", "stall"), "--timeout", "2s")
    assert ended.code == 124
    done = asked(shell.runs[-1])[:-1]
    assert done
    whole(shell, "run", "--resume", "last")
    assert not set(done) & set(asked(shell.runs[-1]))


def test_after_a_spent_budget_the_limit_still_holds(shell: Shell) -> None:
    """Without a new limit the old one counts on and is named; a higher one lets the run end."""
    shell.kata(*SPEC, "--token-budget", "12000").refused(7)
    spent = shell.last_run["usage"]
    told = shell.kata("run", "--resume", "last").refused(7)
    assert f"{spent['input'] + spent['output']:,} tokens spent" in told
    assert asked(shell.runs[-1]) == []
    whole(shell, "run", "--resume", "last", "--token-budget", "90000")
    assert asked(shell.runs[-1]) == ["synthesize"]


def test_after_a_failure_that_was_let_pass(shell: Shell) -> None:
    """What failed under `on_failure = "continue"` is asked again with what failed for good."""
    failing = TWO.replace('id = "look"', 'id = "look"\non_failure = "continue"')
    path = shell.write("two.toml", failing)
    scenario = shell.faults("task_failed", times=2)
    assert shell.kata(*MOCK, "-w", path, "Make save atomic", *scenario).code == 8
    whole(shell, "run", "--resume", "last")
    assert asked(shell.runs[-1]) == ["look", "tell"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_t3_after_an_output_that_could_not_be_written(shell: Shell) -> None:
    """T3: all answers are there, so nothing is asked; the result goes to another place."""
    _after_a_lost_output(shell, lambda folder: folder.chmod(0o500))


def test_t3_after_the_directory_of_the_output_went_away(shell: Shell) -> None:
    """T3: the same where the directory is deleted during the run."""
    _after_a_lost_output(shell, shutil.rmtree)


def _after_a_lost_output(shell: Shell, lose: Any) -> None:
    folder = shell.project / "out"
    folder.mkdir()
    running = shell.start(*SPEC, *shell.faults(latency_ms=100), "-o", "out/spec.md", "--format", "jsonl")
    assert running.stdout is not None
    seen = running.stdout.readline()
    lose(folder)
    stdout, stderr = running.communicate(timeout=20)
    assert running.returncode == 11, stderr
    assert json.loads(split_lines(seen + stdout)[-1])["status"] == "failed"
    whole(shell, "run", "--resume", "last", "-o", "spec.md")
    assert asked(shell.runs[-1]) == []
    assert (shell.project / "spec.md").read_bytes() == (shell.runs[-1] / "spec.md").read_bytes()


def test_rm_10_a_resumed_run_says_who_chose_its_mode(shell: Shell) -> None:
    """A variable chose it then; that the record hands it on like a flag is nobody's choice."""
    env = {"KATA_RUNTIME_MODE": "mock"}
    argv = ("run", "--no-stdin", "-w", "quick", "Make save atomic", *shell.faults("task_failed"))
    assert shell.kata(*argv, env=env).code == 8
    whole(shell, "run", "--resume", "last")
    assert shell.last_run["mode_source"] == "env"


def test_before_the_context_was_read_there_is_nothing_to_resume(shell: Shell) -> None:
    """A run of which only the beginning is known is refused with the way on; nothing is made."""
    process = shell.start(*SPEC, *shell.faults(latency_ms=15_000), "--format", "jsonl")
    signal_at(process, signal.SIGKILL, "plan.created")
    path = shell.runs[-1] / "events.jsonl"
    path.write_bytes(split_lines(path.read_bytes())[0].strip() + b"\n")
    assert "nothing to resume" in shell.kata("run", "--resume", "last").refused(2)
    assert len(shell.runs) == 1


def test_before_the_plan_all_is_asked_over_the_same_context(shell: Shell) -> None:
    """A run that had read its context, but asked nobody, begins with that context."""
    process = shell.start(*SPEC, *shell.faults(latency_ms=15_000), "--format", "jsonl")
    signal_at(process, signal.SIGKILL, "plan.created")
    path = shell.runs[-1] / "events.jsonl"
    path.write_bytes(b"".join(line.strip() + b"\n" for line in split_lines(path.read_bytes())[:2]))
    whole(shell, "run", "--resume", "last")
    resumed = shell.runs[-1]
    whole(shell, *SPEC)
    assert (resumed / "spec.md").read_bytes() == (shell.runs[-1] / "spec.md").read_bytes()


def test_a_vendor_is_not_asked_twice(shell: Shell) -> None:
    """Mode native: after a refusal the vendor gets the request that failed, and no other."""

    def answer(seen: Seen) -> Reply | Status:
        return Status(status=400) if "You tell." in json.dumps(seen.body) and fails else Reply(text="one")

    fails = True
    path = shell.write("two.toml", TWO)
    with VendorServer(answer) as server:
        env = {"OPENAI_BASE_URL": server.openai_url}
        ended = shell.kata("run", "--no-stdin", "-w", path, "Why?", "-m", "openai/some", env=env)
        assert (ended.code, len(server.requests)) == (5, 2)
        fails = False
        ended = whole(shell, "run", "--resume", "last", env=env)
        assert (ended.text, len(server.requests)) == ("one\n", 3)
    assert models(shell.runs[-1]) == {"openai/some"}


def test_another_model_answers_what_is_left(shell: Shell) -> None:
    """`-m` counts for what is asked now; without it the recorded model does, whatever settings say."""
    run = failed(shell)
    shell.kata(
        "run",
        "--resume",
        run.name,
        *fault(shell, "critique"),
        env={"KATA_PROVIDER": "openai", "KATA_MODEL": "x"},
    )
    assert (shell.last_run["model"], models(shell.runs[-1])) == ("mock/mock-1", {"mock/mock-1"})
    whole(shell, "run", "--resume", "last", "-m", "mock/other")
    assert (shell.last_run["model"], models(shell.runs[-1])) == ("mock/other", {"mock/other"})


def test_settings_of_today_do_not_shape_a_run_of_yesterday(shell: Shell) -> None:
    """A variable that asks for thinking now does not change the requests of a run that did without."""
    failed(shell)
    whole(shell, "run", "--resume", "last", env={"KATA_THINKING": "high", "KATA_TEMPERATURE": "1"})
    requests = [event["request"] for event in events(shell.runs[-1]) if event["type"] == "attempt.started"]
    assert all("thinking" not in request and "temperature" not in request for request in requests)


def test_in_a_session_that_was_removed(shell: Shell) -> None:
    """The run goes on in a session of its own."""
    failed(shell)
    for session in (shell.home / ".local/state/kata/sessions").glob("s-*.jsonl"):
        session.unlink()
    document = whole(shell, "run", "--resume", "last", "--json").document
    assert document["session_id"] == f"s-{document['run_id']}"


def test_from_another_directory(shell: Shell) -> None:
    """A run is found by its id anywhere, keeps its project, and its files are looked at where they are."""
    run = failed(shell)
    shell.kata("run", "--resume", run.name, *fault(shell, "critique"), cwd=shell.home)
    started = events(shell.runs[-1])[0]
    assert started["project"] == started["context_root"] == str(shell.project)
    shell.write("shelf/store.py", "gone = 1\n")
    told = shell.kata("run", "--resume", shell.runs[-1].name, cwd=shell.home).refused(2)
    assert "shelf/store.py" in told
    whole(shell, "run", "--resume", "last", "--accept-changes")


def test_another_home_does_not_know_the_run(shell: Shell, tmp_path: Path) -> None:
    """`--home` decides which runs there are."""
    run = failed(shell)
    other = tmp_path / "other"
    shell.kata("run", "--resume", run.name, "--home", other).refused(2)
    shutil.copytree(shell.home / ".local/state/kata", other)
    whole(shell, "run", "--resume", run.name, "--home", other)
    assert len(list((other / "runs").glob("[0-9]*"))) == 2


@pytest.mark.parametrize("become", ["gone", "directory", "fifo"])
def test_deleted_files_are_named(shell: Shell, become: str) -> None:
    """A file of the context that is gone, or no file any more, is a change; nothing waits for a pipe."""
    failed(shell)
    path = shell.project / "shelf/store.py"
    path.unlink()
    if become != "gone":
        {"directory": os.mkdir, "fifo": os.mkfifo}[become](path)
    assert "shelf/store.py" in shell.kata("run", "--resume", "last").refused(2)
    whole(shell, "run", "--resume", "last", "--accept-changes")


def test_a_changed_workflow_file_does_not_count(shell: Shell) -> None:
    """The graph is the recorded one, also when its file has changed or is gone."""
    path = shell.write("two.toml", TWO)
    argv = (*MOCK, "--no-context", "-w", path, "Make save atomic")
    assert shell.kata(*argv, *fault(shell, "tell")).code == 8
    path.write_text("no workflow")
    whole(shell, "run", "--resume", "last", *fault(shell, "look"))
    assert asked(shell.runs[-1]) == ["tell"]


def test_a_session_stands_for_its_newest_run(shell: Shell) -> None:
    """A session id resumes the last run of the session, which may be complete."""
    run = failed(shell)
    whole(shell, "run", "--resume", f"s-{run.name}")
    assert shell.runs[-1].name in shell.kata("run", "--resume", f"s-{run.name}").refused(2)


@pytest.mark.parametrize(
    "more",
    [("--var", "area=x"), ("--no-context",), ("--stdin",), ("-s", "Be brief.")],
    ids=lambda more: more[0],
)
def test_inputs_beside_a_record_are_refused(shell: Shell, more: tuple[str, ...]) -> None:
    """Nothing that was given is dropped in silence."""
    failed(shell)
    for flag in ("--resume", "--replay"):
        assert flag in shell.kata("run", flag, "last", *more).refused(2)
    assert len(shell.runs) == 1


def test_a_resumed_run_without_the_one_before(shell: Shell) -> None:
    """A resumed run tells what it took over, so it can be resumed when that run has been removed."""
    run = failed(shell)
    shell.kata("run", "--resume", run.name, *fault(shell, "critique"))
    done = set(asked(run)) - {"verify"}
    shutil.rmtree(run)
    whole(shell, "run", "--resume", "last")
    assert not done & set(asked(shell.runs[-1]))


def test_t4_two_cannot_resume_one_run(shell: Shell) -> None:
    """T4: who comes second is told who has the session, and leaves no run behind."""
    run = failed(shell)
    first = shell.start("run", "--resume", run.name, *shell.faults(latency_ms=15_000), "--format", "jsonl")
    assert first.stdout is not None
    first.stdout.readline()
    try:
        assert str(first.pid) in shell.kata("run", "--resume", run.name).refused(11)
        assert len(shell.runs) == 2
    finally:
        first.terminate()
        finish(first)


def test_t5_a_run_that_recorded_no_workflow_is_refused(shell: Shell) -> None:
    """T5: a journal of the first form holds no definition: one line, the version, a way on."""
    run = placed(shell, "v1-without-definition")
    for flag in ("--resume", "--replay"):
        told = shell.kata("run", flag, run).refused(11)
        assert "recorded by kata 0.1.0" in told


def test_t5_a_golden_run_is_resumed(shell: Shell) -> None:
    """T5: a journal of version 1, as it was written once, is gone on from."""
    run = placed(shell, "v1")
    whole(shell, "run", "--resume", run)
    assert asked(shell.runs[-1]) == ["tell"]


@pytest.mark.parametrize("form", ["v1-without-definition", "v1"])
def test_t5_golden_exchanges_answer(shell: Shell, form: str) -> None:
    """T5: exchanges that were recorded once answer the same goal to the byte."""
    path = shell.write("small.toml", TWO)
    argv = ("run", "--no-stdin", "--no-context", "-w", path, "Make save atomic")
    ended = whole(shell, *argv, "--replay", GOLDEN / f"{form}.exchanges.jsonl")
    assert ended.text == (GOLDEN / "answer.txt").read_text()


def test_t5_a_newer_journal_is_refused(shell: Shell) -> None:
    """T5: a version that this kata does not know is an io error that says what to install."""
    run = placed(shell, "v1")
    path = shell.runs[-1] / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'{"v":1,', b'{"v":2,'))
    assert "upgrade kata" in shell.kata("run", "--resume", run).refused(11)


def placed(shell: Shell, form: str) -> str:
    """A golden journal in the store, as the run that it tells of."""
    journal = (GOLDEN / f"{form}.events.jsonl").read_bytes()
    run_id = str(json.loads(split_lines(journal)[0])["run_id"])
    folder = shell.home / ".local/state/kata/runs" / run_id
    folder.mkdir(parents=True)
    (folder / "events.jsonl").write_bytes(journal)
    return run_id
