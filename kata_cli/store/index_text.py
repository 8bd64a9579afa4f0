"""Full-text search in goals, drafts and answers: SQLite's FTS5, filled when somebody searches."""

from __future__ import annotations

import os
import re
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.store.index_file import transaction
from kata_cli.store.index_rows import RunRow, decode_row, storable
from kata_cli.store.journal import read_start
from kata_cli.store.reading import read_beginning

MAX_PART_BYTES = 65_536  # of a goal, a draft, an answer; words further down are not found
MAX_ANSWERS = 64
SNIPPET_WORDS = 16
_CHUNK_CHARS = 1 << 24
_TERM = re.compile(r'"([^"]*)"?(\*?)|([^\s"]+)')
_OPEN, _CLOSE = "\x02", "\x03"
_BREAK = "\x1f"
# Scripts without blanks between words, by Unicode block: Thai and Lao, Myanmar, Khmer, Chinese, Japanese; and
# Korean, whose particles stick to words. FTS5's tokenizer takes a whole run of them as one word.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3130-\u318f"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff]+"
)

_Text = tuple[int, str, str]  # the number of a run, its scope, its text


class Hit(msgspec.Struct, kw_only=True):
    """A run in which the words occur; `snippet` is text around them, each hit in brackets."""

    run: RunRow
    snippet: str


def match_expression(query: str) -> str:
    """A query of words, `"phrases"` and `prefixes*` in the syntax of FTS5, all of which must occur.

    Whatever else FTS5 would read as an operator is a word like others. Raises `KataError` usage when there
    is no word at all.
    """
    terms = [_quoted(match) for match in _TERM.finditer(query) if re.search(r"[^\W_]", match[0])]
    if not terms:
        raise KataError("usage", "the query has no word", 'kata sessions search "atomic save"')
    return " AND ".join(terms)


def _quoted(match: re.Match[str]) -> str:
    phrase, star, word = match.groups()
    text = word.rstrip("*") if phrase is None else phrase
    is_prefix = star or (word or "").endswith("*")
    text = _broken(text.replace("\0", " "))
    return f'"{text}"{"*" if is_prefix else ""}'


def _broken(text: str) -> str:
    """Text in which each character of a script without blanks is a word, so that several are a phrase."""
    return _UNSPACED.sub(lambda run: f"{_BREAK}{_BREAK.join(run[0])}{_BREAK}", text)


def add_texts(connection: sqlite3.Connection, directory: Path) -> None:
    """Read the texts of all runs below `directory` that the index has not got yet."""
    waiting = connection.execute("SELECT number, run_id, project FROM runs WHERE has_text = 0").fetchall()
    texts = ((number, _scope(project), _run_text(directory / run_id)) for number, run_id, project in waiting)
    for chunk in _chunks(texts):
        numbers = [(number,) for number, _, _ in chunk]
        with transaction(connection):
            connection.executemany("DELETE FROM texts WHERE rowid = ?", numbers)
            connection.executemany("INSERT INTO texts (rowid, scope, text) VALUES (?, ?, ?)", chunk)
            connection.executemany("UPDATE runs SET has_text = 1 WHERE number = ?", numbers)


def drop_texts(connection: sqlite3.Connection, run_ids: set[str]) -> None:
    """Forget the texts of runs, and leave none of their words in the file.

    FTS5 keeps the words of a deleted row until segments are merged (sqlite.org/fts5.html, section 6.5); its
    own secure-delete is younger than the SQLite of many machines.
    """
    held = "SELECT number FROM runs WHERE run_id = ? AND has_text"
    numbers = [row for run_id in run_ids for row in connection.execute(held, (run_id,))]
    if numbers:
        connection.executemany("DELETE FROM texts WHERE rowid = ?", numbers)
        connection.execute("INSERT INTO texts (texts) VALUES ('optimize')")


def _chunks(texts: Iterator[_Text]) -> Iterator[list[_Text]]:
    """As many texts as memory may hold: each chunk costs a wait for the disk."""
    chunk: list[_Text] = []
    chars = 0
    for text in texts:
        chunk.append(text)
        chars += len(text[2])
        if chars >= _CHUNK_CHARS:
            yield chunk
            chunk, chars = [], 0
    if chunk:
        yield chunk


def find_text(
    connection: sqlite3.Connection, query: str, project: str | None, limit: int, offset: int
) -> list[Hit]:
    """A page of the runs, newest first, in which all of a query occurs. Raises `KataError` usage."""
    expression = f"text : ({match_expression(query)})"
    if project is not None:
        project = storable(project)
        expression = f'scope : "{_scope(project)}" AND {expression}'
    found = connection.execute(
        f"SELECT runs.row, snippet(texts, 1, ?, ?, '…', {SNIPPET_WORDS}) FROM texts JOIN runs"
        " ON runs.number = texts.rowid WHERE texts MATCH ? AND (? IS NULL OR runs.project = ?)"
        " ORDER BY texts.rowid DESC LIMIT ? OFFSET ?",
        (_OPEN, _CLOSE, expression, project, project, limit, offset),
    )
    return [Hit(run=decode_row(row), snippet=_bracketed(text)) for row, text in found]


def _scope(project: str) -> str:
    """One token that stands for a project, so that a search in one of many does not walk through all."""
    return f"p{zlib.crc32(project.encode()):08x}"


def _bracketed(snippet: str) -> str:
    return " ".join(snippet.replace(_BREAK, "").replace(_OPEN, "[").replace(_CLOSE, "]").split())


def _run_text(directory: Path) -> str:
    return _broken("\n".join(_parts(directory)))


def _parts(directory: Path) -> Iterator[str]:
    start = read_start(directory / "events.jsonl")
    if start is not None:
        yield start.goal[:MAX_PART_BYTES]
    for path in (f"{directory}/spec.md", *_answers(f"{directory}/tasks")):
        try:
            yield read_beginning(path, MAX_PART_BYTES).decode("utf-8", "replace")
        except KataError:  # not written, or not kata's
            continue


def _answers(directory: str) -> list[str]:
    try:
        found = sorted(name for name in os.listdir(directory) if name.endswith(".md"))
    except OSError:
        return []
    return [f"{directory}/{name}" for name in found[:MAX_ANSWERS]]
