"""The spec files that a command names: read whole, `-` for stdin."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from kata_cli.app.inputs import MAX_DRAFT_BYTES, STDIN_FD, text_file
from kata_cli.app.stdin import read_text
from kata_cli.core.errors import KataError
from kata_cli.spec.blocks import SpecSyntaxError
from kata_cli.spec.document import Document
from kata_cli.spec.parse import parse_with_lines

STDIN = "-"

Say = Callable[[str], None]


class SpecFile(msgspec.Struct, frozen=True):
    """A draft that was read, `<stdin>` perhaps; `lines` says where its parts stand."""

    path: str
    document: Document
    lines: dict[str, int]


def read_specs(names: Sequence[str], say: Say) -> list[SpecFile]:
    """The drafts of these names.

    Raises `KataError`: io for what cannot be read or has a newer schema, usage for text that is no draft.
    """
    check_names(names)
    return [_read(name, say) for name in names]


def check_names(names: Sequence[str]) -> None:
    """Refuse stdin named twice. Raises `KataError` usage."""
    if list(names).count(STDIN) > 1:
        raise KataError("usage", "stdin can be read only once", "name a file in place of one -")


def spec_text(name: str, say: Say) -> str:
    """The text of a spec file or of stdin. Raises `KataError` io if it cannot be read as text."""
    if name == STDIN:
        return read_text(
            STDIN_FD,
            wait_s=None,
            say=lambda _: say("waiting for the spec on stdin"),
            max_bytes=MAX_DRAFT_BYTES,
        )
    return text_file(Path(name), "spec", MAX_DRAFT_BYTES)


def _read(name: str, say: Say) -> SpecFile:
    text, path = spec_text(name, say), "<stdin>" if name == STDIN else name
    try:
        document, lines = parse_with_lines(text)
    except SpecSyntaxError as error:
        raise KataError("usage", f"{path}: {error}", f"kata spec lint {shlex.quote(name)}") from None
    except KataError as error:
        raise KataError(error.failure.code, f"{path}: {error}", error.failure.remediation) from None
    return SpecFile(path, document, lines)
