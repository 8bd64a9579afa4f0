"""What goes into the prompt, piece by piece, and the account of it."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from typing import Literal

from kata_cli.context.snippets import Piece
from kata_cli.context.symbols import listed, symbols
from kata_cli.core.errors import KataError
from kata_cli.core.events import ContextFile, ContextGathered
from kata_cli.core.fence import fence
from kata_cli.core.messages import estimate_tokens

_SEPARATOR = "\n\n"
_MARK = re.compile(r"\[redacted")

Origin = Literal["project", "file", "stdin"]


class Bundle:
    """Collects fenced pieces up to a number of tokens. All text is redacted before it is cut."""

    def __init__(self, max_tokens: int, redact: Callable[[str], str]) -> None:
        self.seen = 0
        self.left_out: Counter[str] = Counter()
        self.diagnostics: list[str] = []
        self.max_tokens = max_tokens
        self._redact = redact
        self._tokens = 0
        self._redactions = 0
        self._blocks: list[str] = []
        self._files: list[ContextFile] = []

    def add_stdin(self, text: str) -> None:
        """All of stdin, whatever its length."""
        shown = self._redact(text)
        block = fence("input", shown, {"name": "stdin"})
        self._keep(
            block, shown != text, [self._entry("stdin", text.encode(), block, _whole(shown), "stdin", 0.0)]
        )

    def add_named(self, name: str, data: bytes, text: str) -> None:
        """A whole file that the user named, whatever its length."""
        shown = self._redact(text)
        block, entry = self._fenced(name, data, _whole(shown), "file", 0.0)
        self._keep(block, shown != text, [entry])

    def require_fit(self, max_tokens: int) -> None:
        """Raises `KataError` limit_reached when what was named is over the limit: it is never cut."""
        if self._tokens > max_tokens:
            raise KataError(
                "limit_reached",
                f"the files and stdin given are about {self._tokens:,} tokens, context.max_named_tokens is"
                f" {max_tokens:,}",
                "name fewer files with -f, or raise context.max_named_tokens in kata.toml",
            )

    def add_pieces(
        self, path: str, data: bytes, text: str, cut: Callable[[str], list[Piece]], score: float = 0.0
    ) -> bool:
        """The pieces of a tree file, all or none: False, and counted, when they do not fit."""
        shown = self._redact(text)
        fenced = [self._fenced(path, data, piece, "project", score) for piece in cut(shown)]
        block = _SEPARATOR.join(block for block, _ in fenced)
        if self._tokens + _cost(block) > self.max_tokens:
            self.left_out["over_budget"] += 1
            return False
        if text and not fenced:
            self.left_out["long_lines"] += 1
        if fenced:
            self._keep(block, shown != text, [entry for _, entry in fenced])
        return bool(fenced)

    def event(self, root: str) -> ContextGathered:
        """The finished account."""
        text = _SEPARATOR.join(self._blocks)
        return ContextGathered(
            root=root,
            text=text,
            tokens=estimate_tokens(text),
            files=self._files,
            seen=self.seen,
            left_out=dict(sorted(self.left_out.items())),
            redactions=self._redactions,
            diagnostics=self.diagnostics,
        )

    def _keep(self, block: str, is_redacted: bool, entries: list[ContextFile]) -> None:
        self._blocks.append(block)
        self._files += entries
        self._tokens += _cost(block)
        self._redactions += len(_MARK.findall(block)) if is_redacted else 0

    def _fenced(
        self, path: str, data: bytes, piece: Piece, origin: Origin, score: float
    ) -> tuple[str, ContextFile]:
        attributes = {"path": path, "lines": f"{piece.first_line}-{piece.last_line}"}
        if found := listed(symbols(path, piece.text, piece.first_line)):
            attributes["symbols"] = found
        block = fence("file", piece.text, attributes)
        return block, self._entry(path, data, block, piece, origin, score)

    @staticmethod
    def _entry(path: str, data: bytes, block: str, piece: Piece, origin: Origin, score: float) -> ContextFile:
        return ContextFile(
            path=path,
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            tokens=_cost(block),
            first_line=piece.first_line,
            last_line=piece.last_line,
            score=score,
            origin=origin,
        )


def _whole(text: str) -> Piece:
    return Piece(text, 1, max(1, text.count("\n") + (not text.endswith("\n"))))


def _cost(block: str) -> int:
    return estimate_tokens(block + _SEPARATOR) if block else 0
