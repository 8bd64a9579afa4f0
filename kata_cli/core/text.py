"""Text from outside, made safe to show: on a terminal, in a CI log, in a status row."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Everything that moves a cursor, starts an escape sequence, reorders or hides text: C0 but \t and \n, DEL,
# C1, invisible and bidi controls, line separators, lone surrogates, the tag block. U+200C and U+200D stay:
# Persian and emoji need them.
_UNSAFE = re.compile(
    "\r\n|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def neutral(text: str) -> str:
    """Untrusted text with every control character shown as a visible escape; `\\r\\n` becomes `\\n`.

    C0 and DEL are written in caret form (`^[`), all others as `\\u{9b}`. Idempotent.
    """
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    found = match[0]
    if found == "\r\n":
        return "\n"
    code = ord(found)
    return f"^{chr(code ^ 0x40)}" if code < 0x80 else f"\\u{{{code:x}}}"


class NeutralStream:
    """`neutral` for text that arrives in pieces; only a trailing `\\r` waits for the next piece."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        return neutral(text.removesuffix("\r"))

    def flush(self) -> str:
        held, self._held = self._held, ""
        return neutral(held)


def one_line(text: str, max_chars: int) -> str:
    """Untrusted text as one row: white space runs become one space, what is too long ends in `…`."""
    row = " ".join(neutral(text).split())
    return row if len(row) <= max_chars else row[: max(max_chars - 1, 0)] + "…"


def near(name: str, choices: Iterable[str]) -> str:
    """`did you mean a or b?` for the choices most like `name`, or an empty string."""
    from difflib import get_close_matches

    by_folded = {choice.casefold(): choice for choice in choices}
    found = [by_folded[key] for key in get_close_matches(name.casefold(), by_folded, n=3)]
    if not found:
        return ""
    *others, last = found
    return f"did you mean {', '.join(others)} or {last}?" if others else f"did you mean {last}?"
