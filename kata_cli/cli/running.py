"""A run from the shell: which screen it gets, and how its end is told."""

from __future__ import annotations

import os

from kata_cli.app.opening import Streams
from kata_cli.app.options import RunOptions
from kata_cli.app.place import working_directory
from kata_cli.app.prepare import Prepared, in_ci, prepare, resolved_settings
from kata_cli.app.recall import as_recorded, read_record, without_others
from kata_cli.app.run import execute
from kata_cli.cli import shell
from kata_cli.core import loop
from kata_cli.core.errors import Exit, Failure, KataError
from kata_cli.output.console import Writer, columns, is_terminal, wants_colour
from kata_cli.output.screen import Log, Quiet, Screen

MIN_COLUMNS = 50  # below this the rows of the live display would be cut to nothing


def start(options: RunOptions) -> int:
    """Prepare and do one run. The exit status. Raises `shell.Refused`, which knows the runtime mode."""
    resolved = resolved_settings(options, os.environ, working_directory())
    record = read_record(options, resolved)
    if record.is_given:
        options = as_recorded(options, record)
        resolved = resolved_settings(options, os.environ, working_directory())
        resolved = without_others(resolved, options, record)
    mode = resolved.settings.runtime_mode
    try:
        prepared = prepare(options, resolved, record, os.environ, working_directory(), shell.say)
        if options.is_dry_run:
            return _preview(prepared)
        failure = _do(prepared)
    except KataError as error:
        raise shell.Refused(error.failure, mode, resolved.mode_source) from error
    if failure is None:
        return 0
    shell.tell(failure, as_json=options.format != "text", runtime_mode=mode)
    return failure.exit


def _preview(prepared: Prepared) -> int:
    from kata_cli.app.dry_run import show_dry_run

    shell.put(show_dry_run(prepared, os.environ, shell.redactor()))
    return Exit.OK


def _do(prepared: Prepared) -> Failure | None:
    if prepared.is_fixed:
        shell.stdout, shell.stderr = Writer(1, is_inline=True), Writer(2, is_inline=True)
    streams = Streams(shell.stdout, _screen(prepared))
    return loop.run(execute(prepared, os.environ, streams, shell.redactor()), is_virtual=prepared.is_fixed)


def _screen(prepared: Prepared) -> Screen:
    options, env = prepared.options, os.environ
    if options.is_quiet:
        return Quiet(shell.stderr)
    is_tty = is_terminal(2)
    if not is_tty or columns(2) < MIN_COLUMNS or in_ci(env) or env.get("TERM", "") in ("dumb", ""):
        return Log(shell.stderr, is_verbose=options.is_verbose)
    from kata_cli.output.human import LiveScreen

    color = prepared.resolved.settings.color
    has_colour = wants_colour(color, env, is_tty=is_tty)
    return LiveScreen(shell.stderr, has_colour=has_colour, is_verbose=options.is_verbose)
