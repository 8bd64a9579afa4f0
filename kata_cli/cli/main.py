"""The root command and the one error boundary: every way to fail becomes one line, one hint, one status."""

from __future__ import annotations

import contextlib
import io
import os
import signal
from typing import Annotated

import typer
from typer.exceptions import TyperException

from kata_cli import __version__
from kata_cli.cli import shell
from kata_cli.cli.completion import prepare_completion
from kata_cli.cli.groups import CONTEXT
from kata_cli.cli.root import RootGroup
from kata_cli.core.errors import Exit, Failure, KataError

app = typer.Typer(
    name="kata",
    cls=RootGroup,
    help="From a goal to a spec draft, by a graph of LLM agents, from a shell.",
    context_settings=CONTEXT,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", show_default=False)
    ] = False,
) -> None:
    """From a goal to a spec draft, by a graph of LLM agents, from a shell."""
    if version:
        shell.put(f"kata {__version__}\n")
        raise typer.Exit(0)
    if context.invoked_subcommand is None:
        shell.put(context.get_help() + "\n")
        raise typer.Exit(0)


def run_and_exit(argv: list[str]) -> None:
    """Run a command line and end the process."""
    shell.fill_closed_descriptors()
    _catch_interrupts()
    code = run_command(argv)
    shell.end(shell.close(code, as_json=_format(argv) != "text"))


class _Interrupted(BaseException):
    """Ctrl-C outside a run. The framework would turn a `KeyboardInterrupt` into a silent 130."""


def _catch_interrupts() -> None:
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: object) -> None:
    raise _Interrupted


def run_command(argv: list[str]) -> int:
    """Run a command line. The exit status; what went wrong has been told."""
    framework = io.StringIO()
    try:
        _check_encoding(argv)
        prepare_completion(os.environ)
        with contextlib.redirect_stdout(framework):
            return int(app(args=argv, prog_name="kata", standalone_mode=False) or Exit.OK)
    except SystemExit as answered:  # completion ends like this
        return int(answered.code or Exit.OK)
    except shell.Refused as error:
        return _refuse(error.failure, argv, error.runtime_mode, error.mode_source)
    except KataError as error:
        return _refuse(error.failure, argv)
    except TyperException as error:
        return _refuse(_usage_failure(error), argv)
    except _Interrupted:
        return _refuse(Failure(code="interrupted", message="stopped by SIGINT", exit_code=Exit.INT), argv)
    except Exception as error:
        return _refuse(_bug(error, argv), argv)
    finally:
        # Help goes out as all data does: a closed pipe is quiet, a full disk is told.
        shell.put(framework.getvalue())


def _check_encoding(argv: list[str]) -> None:
    for argument in argv:
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(argument).decode("utf-8", "backslashreplace")
            raise KataError(
                "usage", f"an argument is not UTF-8: {shown}", "rename the file, or pipe its text"
            ) from None


def _usage_failure(error: TyperException) -> Failure:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "kata"
    message = error.format_message()
    message = message[:1].lower() + message[1:].rstrip(".")
    hint = f"{path} --help"
    if "unexpected extra argument" in message:
        hint = f"quote the goal and globs as one argument, or use --goal-file  ({path} --help)"
    return Failure(code="usage", message=message, remediation=hint)


def _bug(error: Exception, argv: list[str]) -> Failure:
    if "--debug" in argv or os.environ.get("KATA_DEBUG"):
        import traceback

        from kata_cli.core.redact import Redactor

        shell.say(Redactor().text(traceback.format_exc()).rstrip())
    return Failure(code="unexpected_error", message=f"a bug in kata: {type(error).__name__}: {error}")


def _refuse(
    failure: Failure, argv: list[str], runtime_mode: str | None = None, mode_source: str | None = None
) -> int:
    """Tell a failure in the form that was asked for. `run` owes programs a document on stdout as well."""
    form = _format(argv)
    if argv[:1] == ["run"] and form != "text":
        from kata_cli.output import machine

        if form == "json":
            shell.put_json(machine.refusal_document(failure, runtime_mode, mode_source))
        else:
            import time

            shell.stdout.write(machine.refusal_line(failure, time.time()))
    shell.tell(failure, as_json=form != "text", runtime_mode=runtime_mode)
    return failure.exit


def _format(argv: list[str]) -> str:
    """The output format, read without the parser: it may be the parser that refused."""
    words = argv[: argv.index("--")] if "--" in argv else argv
    if "--json" in words:
        return "json"
    for index, word in enumerate(words):
        value = word.partition("=")[2] if word.startswith("--format=") else ""
        if word == "--format" and index + 1 < len(words):
            value = words[index + 1]
        if value in ("json", "jsonl"):
            return value
    return "text"
