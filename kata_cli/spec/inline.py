"""Text inside one line of a draft: code spans, escapes, and what may stand there at all.

Code spans follow CommonMark 0.31 section 6.1: a run of backticks closes at the next run of equal length.
"""

from __future__ import annotations

import re

from kata_cli.core.text import neutral

_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_BACKTICKS = re.compile(r"`+")
_NOTE_PREFIX = " — "
_OPENER = re.compile(
    r"[0-9]{1,9}(?=\\*[.)](?:\s|$))"
    r"|(?=\\*(?:[#>|]|[-*+](?:\s|$)|-{3}|\*{3}|_{3}|`{3}|~{3}"
    r"|\[[A-Za-z0-9_. -]*\](?:\s|$)|\((?:REQ|AC|T|Q)-))"
)
_COMMENT = re.compile(r"<!--(?:(?!<!--).)*?-->")


def plain(text: str) -> str:
    """One line without edge blanks, control characters or lone surrogates; inner spaces stay as they are."""
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
    return _COMMENT.sub(" ", _CODE.sub(" ", text))


def has_code(text: str) -> bool:
    """Whether a code span stands in the text."""
    return _CODE.search(text) is not None


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
    span = _CODE.match(text)
    if span is None or not span[2].strip():
        return "", text
    rest = text[span.end() :]
    if rest and not rest.startswith(_NOTE_PREFIX):
        return "", text
    return span[2].strip(), rest.removeprefix(_NOTE_PREFIX).strip()


def join_command(command: str, note: str) -> str:
    """Command and note as `split_command` reads them."""
    return _NOTE_PREFIX.join(part for part in (code(command) if command else "", note) if part)
