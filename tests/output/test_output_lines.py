"""The sentences and figures that people read, and the screens that show them."""

from __future__ import annotations

import os

import pytest

from kata_cli.core.errors import Failure
from kata_cli.core.events import (
    AttemptFailed,
    AttemptStarted,
    ContextFile,
    ContextGathered,
    Event,
    PlanCreated,
    PlannedTask,
    Recorded,
    ResultInfo,
    RunFinished,
    RunStarted,
    TaskFinished,
    TaskStarted,
    UsageReported,
)
from kata_cli.core.messages import ModelRef, Request, Usage
from kata_cli.core.records import RunRecord
from kata_cli.output import figures, lines
from kata_cli.output.console import Writer
from kata_cli.output.screen import HEARTBEAT_S, Log, Quiet

BUSY = Failure(code="rate_limited", message="slow\x1b[2J down")
ASKED = Request(task="look", model=ModelRef("openai", "m"), messages=())
EVENTS: list[Event] = [
    RunStarted(
        session_id="s-1",
        goal="g",
        workflow="spec",
        workflow_source="",
        runtime_mode="native",
        mode_source="flag",
        model="openai/m",
        key_source="OPENAI_API_KEY",
        host="api.openai.com",
    ),
    ContextGathered(
        files=[ContextFile(path=path, sha256="0", bytes=1, tokens=1) for path in ("a", "a", "b")],
        tokens=8_200,
        diagnostics=["git is missing"],
    ),
    PlanCreated(tasks=[PlannedTask(id="look", role="investigate"), PlannedTask(id="sum", role="debug")]),
    TaskStarted(task="look"),
    AttemptStarted(task="look", attempt=1, model="openai/m", request=ASKED),
    AttemptFailed(task="look", attempt=1, failure=BUSY, delay_s=0.5),
    UsageReported(task="look", attempt=2, usage=Usage(input=2_000, output=100, cost_usd=0.214)),
    TaskFinished(task="look", status="completed", duration_s=4.12),
    TaskFinished(task="sum", status="skipped", skipped_for="look"),
    RunFinished(
        status="completed", exit_code=0, result=ResultInfo(kind="spec", path="/x/spec.md"), duration_s=41
    ),
]


def recorded() -> list[Recorded]:
    return [
        Recorded(seq, "2026-11-21T05:44:12.000Z", "20261121-054412-k3f9q2", e) for seq, e in enumerate(EVENTS)
    ]


def told_by(is_verbose: bool) -> str:
    """What the plain log writes for the events above."""
    reader, fd = os.pipe()
    writer = Writer(fd, is_inline=True)
    log, record = Log(writer, is_verbose=is_verbose), RunRecord()
    for entry in recorded():
        record.apply(entry)
        log.show([entry], record)
    os.close(fd)
    with os.fdopen(reader, "rb") as file:
        return file.read().decode()


def test_the_log_has_one_plain_line_per_change() -> None:
    """Header, start, failed attempt and end of each task; escape sequences are shown, not obeyed."""
    assert told_by(is_verbose=False).splitlines() == [
        "native openai/m · key OPENAI_API_KEY · context 2 files, 8.2k tokens · api.openai.com",
        "look started",
        "look attempt 1: rate_limited: slow^[[2J down; again in 0.5 s",
        "look completed · 4.1 s · 2.1k tokens",
        "sum skipped: look failed",
    ]


def test_verbose_adds_the_diagnostics() -> None:
    """`-v` shows why something was left out of the context."""
    assert "git is missing" in told_by(is_verbose=True)


def test_the_summary_is_one_line() -> None:
    """The last line of a run, in the order of the contract."""
    record = RunRecord()
    for entry in recorded():
        record.apply(entry)
    assert lines.summary(record, "draft 6 REQ 9 AC 8 T") == (
        "draft 6 REQ 9 AC 8 T · 41 s · 2.1k tokens · $0.21 · 20261121-054412-k3f9q2 · /x/spec.md"
    )


def test_silence_is_broken_by_a_heartbeat() -> None:
    """After 30 s without a change the log says what still runs, and then not again for 30 s."""
    reader, fd = os.pipe()
    log, record = Log(Writer(fd, is_inline=True)), RunRecord()
    for entry in recorded()[:4]:
        record.apply(entry)
    for now_s in (0.0, HEARTBEAT_S - 1, HEARTBEAT_S, HEARTBEAT_S + 1, 2 * HEARTBEAT_S):
        log.tick(record, now_s)
    os.close(fd)
    with os.fdopen(reader, "rb") as file:
        assert file.read().decode().splitlines() == ["still running: look"] * 2


def test_quiet_shows_only_what_is_said() -> None:
    """`-q` drops progress, not messages."""
    reader, fd = os.pipe()
    screen, record = Quiet(Writer(fd, is_inline=True)), RunRecord()
    screen.show(recorded(), record)
    screen.tick(record, 100.0)
    screen.pause()
    screen.say("kata: no")
    os.close(fd)
    with os.fdopen(reader, "rb") as file:
        assert file.read() == b"kata: no\n"


@pytest.mark.parametrize(
    ("value_s", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (41.4, "41 s"),
        (119, "119 s"),
        (200, "3 min 20 s"),
        (3_900, "1 h 05 min"),
    ],
)
def test_seconds_are_written_for_people(value_s: float, text: str) -> None:
    """Finer for short times, coarser for long ones."""
    assert figures.seconds(value_s) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (1_000, "1.0k"), (23_456, "23k"), (1_200_000, "1.2M")]
)
def test_counts_are_written_for_people(value: int, text: str) -> None:
    """Two digits are enough."""
    assert figures.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (0.0, "$0.00"), (0.0004, "$0.0004"), (0.214, "$0.21"), (12.0, "$12.00")]
)
def test_an_unknown_price_is_not_zero(value: float | None, text: str) -> None:
    """Nothing is shown where no price is known."""
    assert figures.dollars(value) == text


@pytest.mark.parametrize(
    ("value_s", "text"),
    [(3, "3 s ago"), (125, "2 min ago"), (7_300, "2 h ago"), (90_000, "1 day ago"), (200_000, "2 days ago")],
)
def test_ages_are_written_for_people(value_s: float, text: str) -> None:
    """The largest unit that fits."""
    assert figures.ago(value_s) == text
