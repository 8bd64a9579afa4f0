"""What `kata spec fmt` needs: drafts in their one layout, written back where they stand."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec

from kata_cli.app.spec_files import STDIN, Say, spec_text
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.text import one_line
from kata_cli.output.figures import plural
from kata_cli.spec.blocks import SpecSyntaxError
from kata_cli.spec.parse import parse
from kata_cli.spec.render import render
from kata_cli.spec.report import harmless
from kata_cli.store.atomic import refused, write_file

NAME_CHARS = 4096


class Formatted(msgspec.Struct, kw_only=True):
    """What became of the files (`kata.fmt/v1`): `changed` were not in the layout, `refused` are untouched."""

    schema: str = "kata.fmt/v1"
    changed: list[str] = []
    unchanged: list[str] = []
    refused: list[str] = []


def format_text(text: str) -> str:
    """The draft in its canonical form, which it keeps when it is formatted again.

    Raises `SpecSyntaxError` for anything that a document cannot hold, so that no word is ever dropped, and
    `KataError` io for a later schema.
    """
    return render(parse(text))


def format_files(names: Sequence[str], *, is_check: bool, say: Say) -> tuple[Formatted, Failure | None]:
    """Rewrite each file that is not in the layout, or only name it; a file that is no draft stays as it is.

    The failure is that of the first file refused, else `findings` where a check found something to change.
    """
    report = Formatted()
    failures: list[Failure] = []
    for name in names:
        try:
            is_changed = _format(name, is_check, say)
        except KataError as error:
            failures.append(error.failure)
            report.refused.append(name)
        else:
            (report.changed if is_changed else report.unchanged).append(name)
    return report, _failure(report, failures, is_check=is_check)


def changed_rows(report: Formatted) -> list[str]:
    """The names of the changed files, each as one row that is safe to show."""
    return [harmless(one_line(name, NAME_CHARS)) for name in report.changed]


def filter_stdin(say: Say) -> str:
    """The draft on stdin in its canonical form. Raises `KataError` like `format_text`."""
    return _formatted(STDIN, spec_text(STDIN, say))


def _format(name: str, is_check: bool, say: Say) -> bool:
    before = spec_text(name, say)
    after = _formatted(name, before)
    if after != before and not is_check and name != STDIN:
        _replace(Path(name), after)
    return after != before


def _formatted(name: str, text: str) -> str:
    try:
        return format_text(text)
    except KataError as error:
        file = "<stdin>" if name == STDIN else name
        hint = f"kata spec lint {shlex.quote(name)}" if isinstance(error, SpecSyntaxError) else ""
        raise KataError(error.failure.code, f"{file}: {error}", hint or error.failure.remediation) from None


def _replace(path: Path, text: str) -> None:
    """Write a file anew with the mode it has; of a symlink the file it leads to. Raises `KataError` io."""
    try:
        target = path.resolve(strict=True)
        mode = stat.S_IMODE(target.stat().st_mode)
    except OSError as error:
        raise refused("write", path, error) from None
    if not os.access(target, os.W_OK):
        raise KataError("io", f"cannot write {path}: it is read-only", f"chmod u+w {shlex.quote(str(path))}")
    write_file(target, text.encode(), mode=mode)
    if stat.S_IMODE(target.stat().st_mode) != mode:  # the umask narrowed it
        target.chmod(mode)


def _failure(report: Formatted, failures: list[Failure], *, is_check: bool) -> Failure | None:
    if failures:
        message = "; ".join(failure.message for failure in failures)
        return msgspec.structs.replace(failures[0], message=message)
    if is_check and report.changed:
        count = plural(len(report.changed), "file")
        names = " ".join(shlex.quote(name) for name in report.changed if name != STDIN)
        return Failure(
            code="findings",
            message=f"{count} not in kata's layout",
            remediation=f"kata spec fmt {names}".strip(),
        )
    return None
