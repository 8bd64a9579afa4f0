"""The rows of `kata sessions list`: one line each, two where a terminal is too narrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kata_cli.app.session_list import RunRow


def run_row(row: RunRow, width: int | None) -> str:
    """A run in one line; on a terminal of `width` columns in lines that fit, the title on its own."""
    facts = _facts(row)
    whole = f"{facts}  {row.title}"
    if width is None or len(whole) <= width:
        return f"{whole}\n"
    return "".join(f"{_cut(line, width)}\n" for line in (facts, f"    {row.title}"))


def _facts(row: RunRow) -> str:
    from kata_cli.output.figures import count, dollars, seconds

    parts = [row.run_id, f"{row.status:<11}", f"{row.workflow:<8}", f"{row.runtime_mode:<6}"]
    parts.append(f"{seconds(row.duration_s) if row.duration_s is not None else '':>10}")
    parts.append(f"{count(row.tokens):>6} tokens")
    parts.append(dollars(row.cost_usd))
    return "  ".join(part for part in parts if part)


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"
