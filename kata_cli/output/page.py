"""A run as one HTML page that needs nothing else: no script, no font, no request, also from `file://`."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import msgspec

from kata_cli.core.events import Recorded, TaskFinished
from kata_cli.core.records import RunRecord, TaskRecord, elapsed_s
from kata_cli.core.text import one_line
from kata_cli.output.figures import count, dollars, plural, seconds
from kata_cli.output.page_draft import Draft, draft_html
from kata_cli.output.page_events import events_table
from kata_cli.output.page_graph import graph_svg
from kata_cli.output.page_markup import Markup, element, join, style
from kata_cli.output.page_plots import usage_plots
from kata_cli.output.page_timeline import timeline_svg

STYLE_FILE = Path(__file__).with_name("page.css")
TITLE_CHARS = 80


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a run made: a draft, or a text; neither when it did not come so far."""

    draft: Draft | None = None
    text: str = ""


def page(record: RunRecord, recorded: list[Recorded], result: Result) -> str:
    """The page of a run. The same run gives the same text."""
    css = STYLE_FILE.read_text("utf-8")
    body = element(
        "main",
        element("h1", one_line(record.goal, TITLE_CHARS) or record.run_id),
        _facts(record),
        _problems(record),
        _work(record, recorded),
        _result(result),
        _answers(recorded),
        element("h2", "Events"),
        _folded(plural(len(recorded), "event"), events_table(record, recorded)),
    )
    return f"<!doctype html>\n{element('html', _head(record, css), element('body', body), lang='en')}\n"


def _head(record: RunRecord, css: str) -> Markup:
    """The policy lets in this page's own style sheet, known by its hash, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{record.run_id} · {one_line(record.goal, TITLE_CHARS)}"),
        style(css),
    )


def _facts(record: RunRecord) -> Markup:
    facts = {
        "run": record.run_id,
        "session": record.session_id,
        "goal": record.goal,
        "workflow": record.workflow,
        "mode": f"{record.runtime_mode} ({record.mode_source})",
        "model": record.model,
        "host": record.host,
        "life": " → ".join(f"{step.state} {step.at}" for step in record.timeline),
        "exit": "" if record.exit_code is None else str(record.exit_code),
        "time": seconds(elapsed_s(record)),
        "tokens": _tokens(record),
        "cost": dollars(record.usage.cost_usd) or "unknown",
        "context": _context(record),
        "kata": record.kata_version,
    }
    rows = [join([element("dt", name), element("dd", value)]) for name, value in facts.items() if value]
    return join([element("p", record.status, class_=f"status {record.status}"), element("dl", *rows)])


def _tokens(record: RunRecord) -> str:
    usage = record.usage
    cached = f", {count(usage.cache_read)} from a cache" if usage.cache_read else ""
    return f"{count(usage.total)} ({count(usage.input)} in, {count(usage.output)} out{cached})"


def _context(record: RunRecord) -> str:
    context = record.context
    if context is None:
        return ""
    return f"{len(context.files)} of {plural(context.seen, 'file')}, {count(context.tokens)} tokens"


def _problems(record: RunRecord) -> Markup | None:
    """Why tasks failed, then why the run did, what the linter found, and the warnings."""
    told = [f"task {task.id}: {_reason(task)}" for task in record.tasks if _reason(task)]
    if record.error is not None:
        told.append(f"run: {record.error.code}: {record.error.message}")
    told += [f"finding {finding.rule} {finding.severity}: {finding.message}" for finding in record.findings]
    told += [f"warning: {warning}" for warning in record.warnings]
    return element("ul", *(element("li", line) for line in told), class_="problems") if told else None


def _reason(task: TaskRecord) -> str:
    if task.skipped_for:
        return f"skipped, since {task.skipped_for} failed"
    return f"{task.error.code}: {task.error.message}" if task.error else ""


def _work(record: RunRecord, recorded: list[Recorded]) -> Markup:
    if not record.tasks:
        return element("p", "This run has no tasks.", class_="quiet")
    plots = usage_plots(record, recorded)
    return join(
        [
            element("h2", "Timeline"),
            _wide(timeline_svg(record)),
            element("h2", "Tasks"),
            _wide(graph_svg(record.tasks)),
            element("h2", "Usage"),
            element("div", *plots, class_="plots")
            if plots
            else element("p", "Nothing was reported.", class_="quiet"),
        ]
    )


def _result(result: Result) -> Markup | None:
    if result.draft is not None:
        return join([element("h2", "Draft"), draft_html(result.draft)])
    if result.text:
        return join([element("h2", "Result"), element("pre", result.text)])
    return None


def _answers(recorded: list[Recorded]) -> Markup | None:
    ended = [entry.event for entry in recorded if isinstance(entry.event, TaskFinished)]
    folded = [_folded(event.task, element("pre", event.output)) for event in ended if event.output]
    return join([element("h2", "Answers"), _wide(join(folded))]) if folded else None


def _folded(title: str, content: Markup) -> Markup:
    return element("details", element("summary", title), _wide(content))


def _wide(content: Markup) -> Markup:
    """What may be larger than the page scrolls within it, by keyboard too."""
    return element("div", content, class_="wide", tabindex=0)
