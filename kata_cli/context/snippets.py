"""Which lines of a file are shown: all of a small one, else the windows around its best lines."""

from __future__ import annotations

import re

import msgspec

WHOLE_BYTES = 4_000
MAX_PIECE_BYTES = 6_000  # of all windows of one file together
LINES_BEFORE, LINES_AFTER = 8, 24
MAX_HIT_LINES = 12


class Piece(msgspec.Struct, frozen=True):
    """Whole lines of a file; lines count from 1, inclusive."""

    text: str
    first_line: int
    last_line: int


def pieces(text: str, terms: list[str]) -> list[Piece]:
    """The lines worth showing, in order, never overlapping, never cut; none if each line is too long."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if len(text.encode()) <= WHOLE_BYTES:
        return [_piece(lines, 0, len(lines))] if lines else []
    chosen: list[tuple[int, int]] = []
    room = MAX_PIECE_BYTES
    for number in _best_lines(lines, terms) or [0]:
        if any(start <= number < end for start, end in chosen):
            continue
        window = _window(lines, number, room)
        if window[0] < window[1]:
            chosen = _merge([*chosen, window])
            room = MAX_PIECE_BYTES - sum(_bytes(lines, each) for each in chosen)
    return [_piece(lines, start, end) for start, end in chosen]


def head(text: str, max_bytes: int) -> list[Piece]:
    """The first lines of a text that fit."""
    lines = text.split("\n")
    end, room = 0, max_bytes
    while end < len(lines) and (room := room - len(lines[end].encode()) - 1) >= 0:
        end += 1
    while end and not lines[end - 1].strip():
        end -= 1
    return [_piece(lines, 0, end)] if end else []


def _best_lines(lines: list[str], terms: list[str]) -> list[int]:
    """Numbers of the lines that hold most of the terms, best first, ties from the top."""
    if not terms:
        return []
    pattern = re.compile("|".join(re.escape(term) for term in sorted(terms, key=len, reverse=True)))
    found = [(-len(set(pattern.findall(line.lower()))), number) for number, line in enumerate(lines)]
    return [number for count, number in sorted(found)[:MAX_HIT_LINES] if count]


def _window(lines: list[str], number: int, room: int) -> tuple[int, int]:
    """Lines around one line that fit into a number of bytes, half-open; empty if the line alone does not."""
    start = end = number
    below = range(number, min(len(lines), number + LINES_AFTER + 1))
    above = range(number - 1, max(-1, number - LINES_BEFORE - 1), -1)
    for each in below:
        if (room := room - len(lines[each].encode()) - 1) < 0:
            return start, end
        end = each + 1
    for each in above:
        if (room := room - len(lines[each].encode()) - 1) < 0:
            break
        start = each
    return start, end


def _merge(windows: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(windows):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _bytes(lines: list[str], window: tuple[int, int]) -> int:
    return sum(len(line.encode()) + 1 for line in lines[window[0] : window[1]])


def _piece(lines: list[str], start: int, end: int) -> Piece:
    return Piece("\n".join(lines[start:end]), start + 1, end)
