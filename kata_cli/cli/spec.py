"""`kata spec`: deterministic checks on spec files; no model is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kata_cli.cli import options as o
from kata_cli.cli import shell
from kata_cli.cli.groups import CONTEXT, KataCommand, group
from kata_cli.core.errors import KataError

if TYPE_CHECKING:
    from kata_cli.core.errors import Failure

app = group("spec", "Check, format, trace and compare spec files, without a model.")

Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE...", help="Spec files; - is stdin.", show_default=False),
]
Format = Annotated[
    str | None,
    o.option("--format", help="What stdout carries (default text).", metavar="text|json|sarif|junit|github"),
]
AsJson = Annotated[bool, o.option("--json", help="The same as --format json.")]
Strict = Annotated[bool, o.option("--strict", help="Apply the rules of style too, and fail on warnings.")]
FailOn = Annotated[
    str | None,
    o.option(
        "--fail-on",
        help="Fail on findings of this severity or worse (default error).",
        metavar="error|warning|info",
    ),
]
Check = Annotated[bool, o.option("--check", help="Write nothing; list the files that would change.")]


@app.command(cls=KataCommand, context_settings=CONTEXT)
def lint(
    files: Files = None,
    format: Format = None,
    as_json: AsJson = False,
    strict: Strict = False,
    fail_on: FailOn = None,
) -> int:
    """Check spec files against kata's rules; exit 10 when one is broken."""
    from kata_cli.app.spec_lint import lint_files, shown, summary

    chosen = _format(format, as_json)
    report, failure = lint_files(_named(files, "lint"), is_strict=strict, fail_on=fail_on, say=shell.say)
    shell.redactor()  # a finding may quote the file
    result = shown(report, chosen)
    if isinstance(result, str):
        shell.put(result)
    else:
        shell.put_json(result)
    if failure is None and chosen != "json":
        shell.say(summary(report))
    return _told(failure, chosen)


@app.command(cls=KataCommand, context_settings=CONTEXT)
def fmt(files: Files = None, check: Check = False, as_json: o.Json = False) -> int:
    """Bring spec files into kata's one layout, in place; - filters stdin."""
    from kata_cli.app.spec_files import STDIN
    from kata_cli.app.spec_fmt import changed_rows, filter_stdin, format_files

    names = _named(files, "fmt")
    if STDIN in names and not check:
        if len(names) > 1 or as_json:
            raise KataError("usage", "- filters stdin to stdout, alone and as text", "kata spec fmt -")
        shell.put(filter_stdin(shell.say))
        return 0
    report, failure = format_files(names, is_check=check, say=shell.say)
    if as_json:
        shell.put_json(report)
    for row in () if as_json else changed_rows(report):
        if check:
            shell.put(f"{row}\n")
        else:
            shell.say(f"formatted {row}")
    return _told(failure, "json" if as_json else "text")


def _named(files: list[str] | None, command: str) -> list[str]:
    if not files:
        raise KataError("usage", "no file was named", f"kata spec {command} FILE…, or - for stdin")
    return files


def _format(format: str | None, as_json: bool) -> str:
    from kata_cli.app.spec_lint import FORMATS

    if as_json and format not in (None, "json"):
        raise KataError("usage", f"--json and --format {format} exclude each other", "kata spec lint --help")
    chosen = "json" if as_json else format or "text"
    if chosen not in FORMATS:
        choices = ", ".join(FORMATS)
        raise KataError(
            "usage", f"--format: expected one of {choices}, got {chosen!r}", "kata spec lint --help"
        )
    return chosen


def _told(failure: Failure | None, format: str) -> int:
    if failure is None:
        return 0
    shell.tell(failure, as_json=format == "json")
    return failure.exit
