"""The rows of `kata sessions list`: one line each, two where a terminal is too narrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kata_cli.app.session_list import RunList, RunRow, SessionRow

MAX_CHARS = 64


def in_order(listed: RunList, width: int | None) -> list[str]:
    """Runs and sessions of a page, what changed last first."""
    rows = [(row.updated_at, run_row(row, width)) for row in listed.runs]
    rows += [(row.updated_at, session_row(row, width)) for row in listed.sessions]
    return [told for _, told in sorted(rows, key=lambda row: row[0], reverse=True)]


def run_row(row: RunRow, width: int | None) -> str:
    """A run in one line; on a terminal of `width` columns in lines that fit, the title on its own."""
    return _fitted(_facts(row), row.title, width)


def session_row(row: SessionRow, width: int | None) -> str:
    """A session without runs, as `run_row` does it."""
    from kata_cli.core.text import one_line
    from kata_cli.output.figures import plural

    parts = [row.session_id, f"{row.status:<9}", "session ", f"{plural(row.messages, 'message'):>12}"]
    parts += [row.updated_at, one_line(row.model, MAX_CHARS)]
    return _fitted("  ".join(part for part in parts if part), one_line(row.title, MAX_CHARS), width)


def _fitted(facts: str, title: str, width: int | None) -> str:
    whole = f"{facts}  {title}"
    if width is None or len(whole) <= width:
        return f"{whole}\n"
    return "".join(f"{_cut(line, width)}\n" for line in (facts, f"    {title}"))


def _facts(row: RunRow) -> str:
    from kata_cli.output.figures import count, dollars, seconds

    parts = [row.run_id, f"{row.status:<11}", f"{row.workflow:<8}", f"{row.runtime_mode:<6}"]
    parts.append(f"{seconds(row.duration_s) if row.duration_s is not None else '':>10}")
    parts.append(f"{count(row.tokens):>6} tokens")
    parts.append(dollars(row.cost_usd))
    return "  ".join(part for part in parts if part)


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"
