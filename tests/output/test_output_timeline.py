"""The timeline of a run on a terminal: bars on one axis, in any width."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core.records import RunRecord, Step, TaskRecord
from kata_cli.output.spans import Span, last_second, spans
from kata_cli.output.timeline import MAX_WIDTH, MIN_WIDTH, timeline
from output.page_runs import failing_run, folded, recorded, started, text_run, wide_run, worked


def bars(lines: list[str]) -> dict[str, tuple[int, int]]:
    """Where the bar of each task begins and ends, in columns."""
    found = {}
    for line in lines:
        drawn = [column for column, letter in enumerate(line) if letter in "█▒░"]
        if drawn:
            found[line.split()[0]] = (drawn[0], drawn[-1] + 1)
    return found


def test_bars_stand_where_the_tasks_were_at_work() -> None:
    """SE-03: a later task stands further right, siblings begin together, a longer task has a longer bar."""
    drawn = bars(timeline(folded(failing_run()), 100))
    assert list(drawn) == ["investigate", "implement", "verify", "debug"]
    assert drawn["investigate"][1] <= drawn["implement"][0] + 1
    assert drawn["implement"][0] == drawn["verify"][0] == drawn["debug"][0]
    assert drawn["verify"][1] < drawn["implement"][1] < drawn["debug"][1]


def test_each_task_has_its_state_figures_and_reason() -> None:
    """SE-04, SE-05: state, seconds, tokens, cost beside the bar; below it why it failed or was skipped."""
    lines = timeline(folded(failing_run()), 120)
    row = next(line for line in lines if line.split()[0] == "implement")
    assert row.split()[-5:] == ["14", "s", "1.5k", "tokens", "$0.05"]
    assert "completed" in row
    assert "    rate_limited: 429 from the provider" in lines
    assert lines[lines.index("    skipped: verify failed") - 1].split()[0] == "critique"
    assert "41 s" in lines[0]


@pytest.mark.parametrize("width", [1, 40, 60, 80, 120, 200, 1_000])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Between 40 and 200 columns every row fits; what is narrower or wider is treated like those."""
    limit = max(MIN_WIDTH, min(width, MAX_WIDTH))
    for record in (folded(failing_run()), folded(wide_run(30)), folded(text_run("yes"))):
        assert max(map(len, timeline(record, width))) <= limit
    assert ("tokens" in timeline(folded(failing_run()), width)[1]) == (limit >= 60)


def test_a_run_without_tasks_has_no_timeline() -> None:
    """A run that ended before its plan draws nothing."""
    assert timeline(folded(recorded([started()])), 80) == []


def test_a_task_at_work_lasts_until_the_last_sign_of_life() -> None:
    """An unfinished run is drawn up to its last event, with an open bar."""
    entries = recorded([started(), *worked("look", 1.0, 4.0)[:2], *worked("read", 2.0, 6.0)])
    record = folded(entries)
    assert spans(record) == [Span(1.0, 6.0), Span(2.0, 6.0)]
    assert "░" in timeline(record, 80)[1]


def test_stamps_of_one_batch_do_not_hide_a_duration() -> None:
    """Both ends of a quick task are recorded in one batch: its own clock says how long it took."""
    at = "2026-11-21T05:44:14.000Z"
    task = TaskRecord(id="a", status="completed", duration_s=1.5)
    task.timeline = [Step("delegating", at), Step("completed", at)]
    record = RunRecord(created_at="2026-11-21T05:44:12.000Z", tasks=[task])
    assert spans(record) == [Span(0.5, 2.0)]


def test_d1_a_clock_that_was_set_back_draws_no_negative_bar() -> None:
    """D1: a stamp before the start of the run, or no stamp at all, counts as its first moment."""
    task = TaskRecord(id="a", status="completed")
    task.timeline = [Step("delegating", "2026-11-21T05:44:10.000Z"), Step("completed", "yesterday")]
    record = RunRecord(created_at="2026-11-21T05:44:12.000Z", tasks=[task])
    assert spans(record) == [Span(0.0, 0.0)]
    assert timeline(record, 80)[1].count("█") == 1


def test_a_task_that_began_anew_is_drawn_where_it_ended() -> None:
    """A resumed run has worked on a task twice: the bar is that of the last time."""
    stamps = [f"2026-11-21T05:44:{second}.000Z" for second in (13, 14, 22, 25)]
    states = ("delegating", "failed", "delegating", "completed")
    task = TaskRecord(id="a", status="completed", duration_s=3.0)
    task.timeline = [Step(state, at) for state, at in zip(states, stamps, strict=True)]
    record = RunRecord(created_at="2026-11-21T05:44:12.000Z", tasks=[task])
    assert spans(record) == [Span(10.0, 13.0)]


times = st.floats(0, 1e6, allow_nan=False)
tasks = st.lists(st.tuples(st.text(max_size=70), times, times), min_size=1, max_size=8)


@settings(max_examples=80, deadline=None)
@given(tasks, st.integers(0, 260))
def test_any_run_fits_any_terminal(made: list[tuple[str, float, float]], width: int) -> None:
    """Whatever tasks are called and however long they took: each has one bar, inside the axis."""
    events = [event for name, start, took in made for event in worked(name, start, start + took)]
    record = folded(recorded([started(), *events]))
    lines = timeline(record, width)
    assert len(lines) == 1 + len(record.tasks)
    assert max(map(len, lines)) <= max(MIN_WIDTH, min(width, MAX_WIDTH))
    assert all(any(letter in "█▒░" for letter in line) for line in lines[1:])
    assert last_second(record) >= max(span.end_s for span in spans(record) if span)
