"""Full-text search in goals, drafts and answers: SQLite's FTS5, filled when somebody searches."""

from __future__ import annotations

import os
import re
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.store.index_file import transaction
from kata_cli.store.index_rows import RunRow, storable
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

_Text = tuple[int, str, str]  # the number of a row, its scope, its text


class Kind(NamedTuple):
    """What can be searched: a table of rows, the name of their ids, and the table of their texts."""

    rows: str
    id: str
    texts: str


RUNS = Kind("runs", "run_id", "texts")
CONVERSATIONS = Kind("conversations", "session_id", "conversation_texts")


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


def add_texts(connection: sqlite3.Connection, kind: Kind, read: Callable[[str], str]) -> None:
    """Add the texts that the index has not got yet; `read` gives that of an id."""
    query = f"SELECT number, {kind.id}, project FROM {kind.rows} WHERE has_text = 0"
    waiting = connection.execute(query).fetchall()
    texts = ((number, _scope(project), _broken(read(row_id))) for number, row_id, project in waiting)
    for chunk in _chunks(texts):
        numbers = [(number,) for number, _, _ in chunk]
        with transaction(connection):
            connection.executemany(f"DELETE FROM {kind.texts} WHERE rowid = ?", numbers)
            connection.executemany(f"INSERT INTO {kind.texts} (rowid, scope, text) VALUES (?, ?, ?)", chunk)
            connection.executemany(f"UPDATE {kind.rows} SET has_text = 1 WHERE number = ?", numbers)


def drop_texts(connection: sqlite3.Connection, kind: Kind, ids: set[str]) -> None:
    """Forget the texts of some ids, and leave none of their words in the file.

    FTS5 keeps the words of a deleted row until segments are merged (sqlite.org/fts5.html, section 6.5); its
    own secure-delete is younger than the SQLite of many machines.
    """
    held = f"SELECT number FROM {kind.rows} WHERE {kind.id} = ? AND has_text"
    numbers = [row for row_id in ids for row in connection.execute(held, (row_id,))]
    if numbers:
        connection.executemany(f"DELETE FROM {kind.texts} WHERE rowid = ?", numbers)
        connection.execute(f"INSERT INTO {kind.texts} ({kind.texts}) VALUES ('optimize')")


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
    connection: sqlite3.Connection, kind: Kind, query: str, project: str | None, limit: int, offset: int
) -> list[tuple[bytes, str]]:
    """A page of rows, newest first, in whose text all of a query occurs; each with text around the words.

    Raises `KataError` usage.
    """
    expression = f"text : ({match_expression(query)})"
    if project is not None:
        project = storable(project)
        expression = f'scope : "{_scope(project)}" AND {expression}'
    found = connection.execute(
        f"SELECT row, snippet({kind.texts}, 1, ?, ?, '…', {SNIPPET_WORDS}) FROM {kind.texts} JOIN {kind.rows}"
        f" ON number = {kind.texts}.rowid WHERE {kind.texts} MATCH ? AND (? IS NULL OR project = ?)"
        f" ORDER BY {kind.texts}.rowid DESC LIMIT ? OFFSET ?",
        (_OPEN, _CLOSE, expression, project, project, limit, offset),
    )
    return [(row, _bracketed(text)) for row, text in found]


def _scope(project: str) -> str:
    """One token that stands for a project, so that a search in one of many does not walk through all."""
    return f"p{zlib.crc32(project.encode()):08x}"


def _bracketed(snippet: str) -> str:
    return " ".join(snippet.replace(_BREAK, "").replace(_OPEN, "[").replace(_CLOSE, "]").split())


def run_text(directory: Path) -> str:
    """Goal, draft and answers of a run."""
    return "\n".join(_parts(directory))


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
