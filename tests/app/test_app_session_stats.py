"""Sums over runs: only what was recorded counts, and what is unknown stays unknown."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.app.session_stats import Sums, stats_of
from kata_cli.store.index_rows import RunRow


def row(status: str = "completed", model: str = "openai/m", **figures: float | None) -> RunRow:
    """A run as the index has it."""
    return RunRow(
        run_id="20261121-054412-k3f9q2",
        session_id="s-one",
        status=status,
        exit_code=0,
        title="t",
        workflow="spec",
        runtime_mode="native",
        model=model,
        project="/p",
        created_at="2026-11-21T05:44:12.000Z",
        updated_at="2026-11-21T05:44:12.000Z",
        duration_s=figures.get("duration_s"),
        tokens=int(figures.get("tokens") or 0),
        cost_usd=figures.get("cost_usd"),
    )


def test_se_16_runs_are_summed_by_what_tells_them_apart() -> None:
    """SE-16: by state, workflow, mode, model and day; each group adds up to the total."""
    rows = [
        row(duration_s=1.0, tokens=10, cost_usd=0.1),
        row(duration_s=3.0, tokens=20),
        row(status="failed", model="anthropic/n", duration_s=2.0, tokens=5, cost_usd=0.2),
    ]
    stats = stats_of(rows, ["w"])
    assert [(sums.name, sums.runs) for sums in stats.by_status] == [("completed", 2), ("failed", 1)]
    assert [(sums.name, sums.tokens) for sums in stats.by_model] == [("anthropic/n", 5), ("openai/m", 30)]
    assert [sums.name for sums in (*stats.by_workflow, *stats.by_mode, *stats.by_day)] == [
        "spec",
        "native",
        "2026-11-21",
    ]
    assert (stats.total.cost_usd, stats.total.priced_runs) == (0.3, 2)
    assert (stats.total.median_s, stats.total.p95_s) == (2.0, 3.0)
    assert stats.warnings == ["w"]


def test_what_is_unknown_stays_unknown() -> None:
    """No price, no duration, no run: None and never 0."""
    unknown = stats_of([row()], []).total
    assert (unknown.cost_usd, unknown.priced_runs, unknown.median_s, unknown.p95_s) == (None, 0, None, None)
    empty = stats_of([], [])
    assert (empty.total.runs, empty.total.tokens, empty.by_status) == (0, 0, [])


durations = st.lists(st.floats(0, 1e5), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(durations)
def test_the_95th_percentile_is_reached_by_no_less(taken: list[float]) -> None:
    """At least 95 % of the runs took no longer than p95, which one of them took; the median is not above."""
    total: Sums = stats_of([row(duration_s=duration_s) for duration_s in taken], []).total
    assert total.p95_s is not None
    assert total.median_s is not None
    assert sum(round(duration_s, 3) <= total.p95_s for duration_s in taken) >= 0.95 * len(taken)
    assert total.p95_s in {round(duration_s, 3) for duration_s in taken}
    assert min(taken) - 0.001 <= total.median_s <= total.p95_s + 0.001
