"""The page of a run: complete, harmless whatever models say, and the same for the same run."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core.errors import Failure
from kata_cli.core.events import (
    AttemptFailed,
    ContextGathered,
    DraftCreated,
    FindingReported,
    PlanCreated,
    PlannedTask,
    Recorded,
    RunFinished,
    TaskFinished,
    ToolFinished,
    ToolStarted,
    UsageReported,
)
from kata_cli.core.messages import Usage
from kata_cli.output.page import Result, page
from kata_cli.output.page_draft import Draft, DraftRow, DraftSection
from kata_cli.output.page_graph import BOX_HEIGHT, BOX_WIDTH, depths, graph_svg, layout
from output.page_runs import failing_run, folded, recorded, started, text_run, wide_run, worked

VOID = {"meta", "rect", "path", "line", "polyline"}
HOSTILE = [
    "<script>alert(1)</script>",
    '"onload="alert(1)',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "</pre></details><img src=x onerror=alert(1)>",
    "</svg><iframe src=//evil.example>",
    "<!-- --><!doctype html>",
    "]]><x>",
    "javascript:alert(1)",
    "&lt;b&gt; &amp;",
    "\x1b[31m\x9b1m\x07\x00\x7f\r",
    "safe\u202egnp.exe\u2066\u200b\ufeff\u2028",
    "tag\U000e0041",
    "\ud800",
]


class Parsed(HTMLParser):
    """The elements of a page with their attributes, and its text; the nesting must be right."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def structure(self) -> list[tuple[str, tuple[str, ...]]]:
        """The elements with the names of their attributes alone."""
        return [(tag, tuple(attributes)) for tag, attributes in self.elements]

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def saying(word: str) -> tuple[list[Recorded], Result]:
    """A run in which every text from outside is the same word."""
    failure = Failure(code="task_failed", message=word)
    entries = recorded(
        [
            started(word),
            (0.1, ContextGathered(root=word, text=word, seen=1)),
            (
                0.2,
                PlanCreated(
                    tasks=[PlannedTask(id=word, role=word), PlannedTask(id="second", role=word, needs=[word])]
                ),
            ),
            *worked(word, 0.3, 1.0, failure=failure),
            (1.1, AttemptFailed(task=word, attempt=1, failure=failure, delay_s=0.5)),
            (1.2, ToolStarted(task=word, tool=word, input=word)),
            (1.3, ToolFinished(task=word, tool=word, is_error=True)),
            (1.4, UsageReported(task=word, attempt=1, usage=Usage(input=1, cost_usd=0.1), model=word)),
            (1.5, TaskFinished(task="second", status="skipped", skipped_for=word)),
            (1.6, TaskFinished(task="third", status="completed", output=word)),
            (1.7, DraftCreated(document={"title": word})),
            (1.8, FindingReported(rule=word, severity="error", message=word)),
            (1.9, RunFinished(status="failed", exit_code=8, failure=failure, warnings=[word])),
        ]
    )
    row = DraftRow(id=word, title=word, text=word, code=word, refs=[word], after=[word])
    section = DraftSection(name=word, rows=[row, DraftRow(text=word)])
    return entries, Result(draft=Draft(title=word, note=word, sections=[section]))


def page_of(entries: list[Recorded], result: Result | None = None) -> str:
    return page(folded(entries), entries, result or Result())


@pytest.mark.parametrize("word", HOSTILE, ids=ascii)
def test_x1_hostile_text_stays_text(word: str) -> None:
    """X1, SC-01: markup, quotes, escapes and bidi marks of a model change no element and no attribute."""
    source = page_of(*saying(word))
    parsed, harmless = Parsed(source), Parsed(page_of(*saying("word")))
    assert parsed.structure == harmless.structure
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028\u202e\u2066\ufeff\ud800\U000e0041]", source
    )
    assert source.encode()


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_characters="`"), min_size=1, max_size=40))
def test_x1_any_text_stays_text(word: str) -> None:
    """X1: the elements of a page do not depend on what was said in the run."""
    assert Parsed(page_of(*saying(word))).structure == Parsed(page_of(*saying("word"))).structure


def test_a_page_needs_nothing_else() -> None:
    """No script, no address, no inline style; the policy lets in the page's own style sheet alone."""
    source = page_of(*saying("word"))
    parsed = Parsed(source)
    tags = {tag for tag, _ in parsed.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "form", "base", "use", "image"}
    attributes = {name for _, given_ in parsed.elements for name in given_}
    assert not {name for name in attributes if name.startswith("on")} | attributes & {"src", "style"}
    assert {(a["href"] or "")[:1] for a in parsed.named("a")} == {"#"}
    assert "//" not in source.replace("<!doctype html>", "")
    [policy] = [a["content"] or "" for a in parsed.named("meta") if a.get("http-equiv")]
    css = re.findall(r"<style>(.*?)</style>", source, re.S)
    assert len(css) == 1
    digest = base64.b64encode(hashlib.sha256(css[0].encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "prefers-color-scheme: dark" in css[0]
    assert "url(" not in css[0]


def test_se_03_a_page_tells_the_whole_run() -> None:
    """SE-03, SE-05: facts, why tasks and then the run failed, bars, graph, plots and every event."""
    entries = failing_run()
    parsed = Parsed(page_of(entries))
    for words in (
        "Make save atomic",
        "native (default)",
        "openai/m",
        "6.0k (4.8k in, 1.2k out)",
        "$0.07",
        "41 s",
    ):
        assert words in parsed.text, words
    text = parsed.text
    assert text.index("task verify: rate_limited") < text.index("run: rate_limited")
    assert "critique: skipped, since verify failed" in text
    classes = [a.get("class") for a in parsed.named("rect")]
    assert classes.count("bar completed") == 2
    assert classes.count("bar failed") == 2
    assert [c for c in classes if c and c.startswith("box")].count("box skipped") == 1
    assert len([a for a in parsed.named("path") if a["class"] == "arrow"]) == 10
    assert len(parsed.named("polyline")) == 2
    assert len(parsed.named("tr")) == 1 + len(entries)
    assert "Answer of implement." in text


RUNS = {
    "no tasks": recorded([started(), (1.0, RunFinished(status="failed", exit_code=4))]),
    "only begun": recorded([started()]),
    "unfinished": recorded([started(), *worked("look", 1.0, 2.0)[:2]]),
    "interrupted": recorded(
        [started(), *worked("look", 1.0, 2.0)[:2], (3.0, RunFinished(status="interrupted", exit_code=130))]
    ),
    "no time": recorded(
        [started(), *worked("look", 0.0, 0.0), (0.0, RunFinished(status="completed", exit_code=0))]
    ),
    "text": text_run("It writes."),
    "1,000 tasks": wide_run(1_000),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_any_kind_has_a_page(name: str) -> None:
    """Without tasks, just begun, interrupted, instant or with 1,000 tasks: a sound page, twice the same."""
    entries = RUNS[name]
    source = page_of(entries, Result(text="It writes."))
    parsed = Parsed(source)
    record = folded(entries)
    assert record.status in parsed.text
    assert len(parsed.named("tr")) == 1 + len(entries)
    assert [a["class"] for a in parsed.named("rect") if (a["class"] or "").startswith("box")] == [
        f"box {task.status}" for task in record.tasks
    ]
    assert source == page_of(entries, Result(text="It writes."))


def test_unknown_costs_stay_unknown() -> None:
    """Where no price is known there is no plot of cost, and the page says so."""
    entries = recorded([started(), *worked("look", 1.0, 2.0, cost=None)])
    parsed = Parsed(page_of(entries))
    assert len(parsed.named("polyline")) == 1
    assert "unknown" in parsed.text


def test_a_free_run_has_no_plot_of_its_cost() -> None:
    """What came to nothing is told in the facts; a flat line would say no more."""
    parsed = Parsed(page_of(recorded([started(), *worked("look", 1.0, 2.0, cost=0.0)])))
    assert len(parsed.named("polyline")) == 1
    assert "$0.00" in parsed.text


def test_plots_step_up_to_the_sum() -> None:
    """Each report lifts the curve where it came; no step goes back or down."""
    [tokens, cost] = Parsed(page_of(failing_run())).named("polyline")
    for curve in (tokens, cost):
        corners = [tuple(map(float, pair.split(","))) for pair in (curve["points"] or "").split()]
        assert corners == sorted(corners, key=lambda corner: (corner[0], -corner[1]))
        assert (corners[0][1], corners[-1][1]) == (144.0, 14.0)


def test_d1_a_clock_that_was_set_back_bends_no_plot() -> None:
    """D1: reports are drawn in the order of their stamps, which may not be that of the journal."""
    early, late = recorded([started(), *worked("a", 1.0, 2.0)]), recorded([started(), *worked("b", 1.0, 9.0)])
    [tokens, _] = Parsed(page_of([*late, *early[1:]])).named("polyline")
    across = [float(pair.split(",")[0]) for pair in (tokens["points"] or "").split()]
    assert across == sorted(across)


def test_references_of_a_draft_lead_somewhere() -> None:
    """A reference links to the row of that id; one that names nothing is plain text; backticks are code."""
    rows = [
        DraftRow(id="REQ-001", text="The store SHALL call `fsync`."),
        DraftRow(id="AC-001", refs=["REQ-001", "REQ-404"], text="THEN `` a`b `` stays"),
    ]
    draft = Draft(title="T", note="n", sections=[DraftSection(name="Requirements", rows=rows)])
    parsed = Parsed(page_of(recorded([started()]), Result(draft=draft)))
    assert [a["href"] for a in parsed.named("a")] == ["#REQ-001"]
    assert {a["id"] for a in parsed.named("li") if "id" in a} == {"REQ-001", "AC-001"}
    assert "REQ-404" in parsed.text
    assert {"fsync", "a`b"} <= set(parsed.words)


names = st.integers(0, 9).map(lambda number: f"t{number}")
graphs = st.dictionaries(names, st.lists(names, max_size=4, unique=True), max_size=10).map(
    lambda graph: {name: [need for need in needs if need in graph] for name, needs in graph.items()}
)


@settings(max_examples=80, deadline=None)
@given(graphs)
def test_a_task_stands_right_of_what_it_needs(needs: dict[str, list[str]]) -> None:
    """Every task has a place of its own; without a cycle every need stands further left."""
    places = layout(needs)
    assert set(places) == set(needs)
    corners = [(place.x, place.y) for place in places.values()]
    assert len(set(corners)) == len(corners)
    found = depths(needs)
    last = max(found.values(), default=0)
    for name, listed in needs.items():
        if found[name] < last:
            assert all(places[need].x + BOX_WIDTH < places[name].x for need in listed)


def test_a_need_that_is_no_task_draws_no_arrow() -> None:
    """A foreign journal may name needs that are not there."""
    [task] = folded(recorded([started(), *worked("look", 1.0, 2.0)])).tasks
    drawn = graph_svg([msgspec.structs.replace(task, needs=["ghost"])])
    assert "arrow" not in drawn
    assert f'height="{BOX_HEIGHT}"' in drawn
