"""Text inside one line of a draft: code spans, escapes, and what may stand there at all.

Code spans follow CommonMark 0.31 section 6.1: a run of backticks closes at the next run of equal length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kata_cli.core.text import neutral

_BACKTICKS = re.compile(r"`+")
_NOTE_PREFIX = " — "
_OPENER = re.compile(
    r"[0-9]{1,9}(?=\\*[.)](?:\s|$))"
    r"|(?=\\*(?:[#>|]|[-*+](?:\s|$)|-{3}|\*{3}|_{3}|`{3}|~{3}"
    r"|\[[A-Za-z0-9_. -]*\](?:\s|$)|\((?:REQ|AC|T|Q)-))"
)
_COMMENT = re.compile(r"<!--((?:(?!<!--).)*?)-->")
_REMARK = re.compile(r"\s*<!--(?:(?!<!--|-->).)*-->$")


def plain(text: str) -> str:
    """One line without edge blanks, control characters or lone surrogates; inner spaces stay as they are."""
    if text.isprintable():  # nearly all texts, at a tenth of the cost
        return text.strip()
    sound = text.encode("utf-8", "replace").decode()
    return neutral(" ".join(part.strip() for part in sound.splitlines() if part.strip())).strip()


def escape(text: str) -> str:
    """The text with a backslash before what would open a Markdown block at the start of a line."""
    opener = _OPENER.match(text)
    return f"{text[: opener.end()]}\\{text[opener.end() :]}" if opener else text


def unescape(text: str) -> str:
    """The text as it was before `escape`."""
    opener = _OPENER.match(text)
    if opener and text.startswith("\\", opener.end()):
        return text[: opener.end()] + text[opener.end() + 1 :]
    return text


def code(text: str) -> str:
    """The text as a code span whose fence is longer than any run of backticks in it."""
    fence = "`" * (1 + max((len(run) for run in _BACKTICKS.findall(text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def prose(text: str) -> str:
    """The text with a blank in place of each code span and HTML comment, for rules about words."""
    return _COMMENT.sub(" ", without_code(text))


def without_code(text: str) -> str:
    """The text with a blank in place of each code span."""
    if "`" not in text:
        return text
    parts = []
    end = 0
    for span in _code_spans(text):
        parts.append(text[end : span.start])
        end = span.stop
    return " ".join([*parts, text[end:]])


def _code_spans(text: str) -> Iterator[slice]:
    """Where code spans stand, fences included; one pass, however many runs of backticks are unpaired."""
    runs = [(found.start(), found.end()) for found in _BACKTICKS.finditer(text)]
    closers: list[int | None] = []
    last_of_length: dict[int, int] = {}
    for number in range(len(runs) - 1, -1, -1):
        start, end = runs[number]
        closers.append(last_of_length.get(end - start))
        last_of_length[end - start] = number
    closers.reverse()
    number = 0
    while number < len(runs):
        closer = closers[number]
        if closer is not None:
            yield slice(runs[number][0], runs[closer][1])
            number = closer
        number += 1


def comments(text: str) -> list[str]:
    """What stands in the HTML comments of a line, code spans aside."""
    return _COMMENT.findall(without_code(text))


def split_remark(text: str) -> tuple[str, str]:
    """``edit in `a` <!-- note -->`` as text and comment; the comment is empty where none ends the text."""
    start = text.rfind("<!--")
    if start < 0 or not _REMARK.match(text, start):
        return text, ""
    return text[:start].rstrip(), text[start:]


def has_code(text: str) -> bool:
    """Whether a code span stands in the text."""
    return next(_code_spans(text), None) is not None


def split_path(text: str) -> tuple[str, str]:
    """``edit the guard in `src/a.py` `` as text and path; the path is empty where there is none."""
    body = text.rstrip("`")
    fence = text[len(body) :]
    before, opener, content = body.rpartition(f"in {fence}")
    is_path = fence and opener and content.strip() and fence not in _BACKTICKS.findall(content)
    if not is_path or content.startswith("`") or before[-1:].strip():
        return text, ""
    return before.strip(), content.strip()


def split_command(text: str) -> tuple[str, str]:
    """`` `pytest -q` — takes a minute`` as command and note; either may be empty."""
    span = next(_code_spans(text), None) if text.startswith("`") else None
    if span is None or span.start:
        return "", text
    command, rest = text[span].strip("`").strip(), text[span.stop :]
    if not command or (rest and not rest.startswith(_NOTE_PREFIX) and not _REMARK.match(rest)):
        return "", text
    return command, rest.removeprefix(_NOTE_PREFIX).strip()


def join_command(command: str, note: str) -> str:
    """Command and note as `split_command` reads them."""
    return _NOTE_PREFIX.join(part for part in (code(command) if command else "", note) if part)
