"""Figures as people read them: seconds, tokens, bytes, dollars."""

from __future__ import annotations


def seconds(value_s: float) -> str:
    """`0.4 s`, `41 s`, `3 min 20 s`, `1 h 05 min`."""
    if value_s < 10:
        return f"{value_s:.1f} s"
    if value_s < 120:
        return f"{value_s:.0f} s"
    minutes, rest_s = divmod(round(value_s), 60)
    if minutes < 60:
        return f"{minutes} min {rest_s:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def count(value: int) -> str:
    """`870`, `8.7k`, `23k`, `1.2M`."""
    for limit, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= limit:
            scaled = value / limit
            return f"{scaled:.1f}{unit}" if scaled < 10 else f"{scaled:.0f}{unit}"
    return str(value)


def dollars(value_usd: float | None) -> str:
    """`$0.21`, `$0.0004`, or `` where the price is unknown."""
    if value_usd is None:
        return ""
    return f"${value_usd:.4f}" if 0 < value_usd < 0.01 else f"${value_usd:.2f}"


def size(value_bytes: int) -> str:
    """`870 B`, `8.7 kB`, `23 MB`, `1.2 GB`."""
    for limit, unit in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")):
        if value_bytes >= limit:
            scaled = value_bytes / limit
            return f"{scaled:.1f} {unit}" if scaled < 10 else f"{scaled:.0f} {unit}"
    return f"{value_bytes} B"


def plural(number: int, noun: str) -> str:
    """`1 file`, `3 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def ago(value_s: float) -> str:
    """`12 s ago`, `5 min ago`, `3 h ago`, `4 days ago`."""
    for size_s, unit in ((86_400, "day"), (3_600, "h"), (60, "min")):
        if value_s >= size_s:
            number = int(value_s // size_s)
            return f"{plural(number, unit) if unit == 'day' else f'{number} {unit}'} ago"
    return f"{max(0, int(value_s))} s ago"
