"""What `kata doctor` needs: the table of checks, and the report of one walk through it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from kata_cli import __version__
from kata_cli.app import checks_access, checks_machine, checks_programs, checks_setup
from kata_cli.app.check import Check, Machine, Site, Status, failed
from kata_cli.app.options import Common
from kata_cli.app.place import working_directory
from kata_cli.app.prepare import resolved_settings
from kata_cli.app.providers import open_service
from kata_cli.config.credentials import CredentialFinder
from kata_cli.config.resolve import Resolved
from kata_cli.core.clock import SystemClock, stamp
from kata_cli.core.errors import Exit, Failure, KataError
from kata_cli.core.ports import Clock
from kata_cli.core.redact import Redactor
from kata_cli.output.figures import plural

P = TypeVar("P")

MACHINE_CHECKS: dict[str, Callable[[Machine], Iterator[Check]]] = {
    "python": checks_programs.check_python,
    "git": checks_programs.check_git,
    "node": checks_programs.check_node,
    "clock": checks_machine.check_clock,
    "completion": checks_machine.check_completion,
}
SITE_CHECKS: dict[str, Callable[[Site], Iterator[Check]]] = {
    "config": checks_setup.check_config,
    "project": checks_setup.check_project,
    "permissions": checks_setup.check_permissions,
    "store": checks_setup.check_store,
    "disk": checks_setup.check_disk,
    "pi": checks_programs.check_pi,
    "credentials": checks_access.check_credentials,
    "provider": checks_access.check_provider,
    "models": checks_access.check_models,
}
SEVERITY: tuple[Status, ...] = ("ready", "warning", "error")


class DoctorReport(msgspec.Struct, kw_only=True):
    """All checks (`kata.doctor/v1`); `status` is the worst of theirs, `exit_code` 10 if that is an error."""

    schema: str = "kata.doctor/v1"
    status: Status
    exit_code: int
    kata_version: str
    runtime_mode: str | None
    checked_at: str
    checks: list[Check]


def examine(options: Common) -> tuple[DoctorReport, Failure | None]:
    """The report, and what it found as a failure if there is an error in it.

    Raises `KataError` usage for a wrong flag; whatever else is wrong is a row.
    """
    machine = Machine(env=os.environ, clock=SystemClock())
    redactor = Redactor()
    checks = _walk(MACHINE_CHECKS, machine, machine.clock)
    resolved = _settings(options, machine)
    if isinstance(resolved, Failure):
        # The rest depends on settings; what cannot be read is the one thing to mend first.
        checks += _walk({"config": lambda failure: iter([failed(failure)])}, resolved, machine.clock)
    else:
        checks += _walk(SITE_CHECKS, _site(options, machine, resolved, redactor), machine.clock)
    mode = None if isinstance(resolved, Failure) else resolved.settings.runtime_mode
    report = _report([_redacted(row, redactor) for row in checks], mode, machine.clock)
    return report, _failure(report)


def _settings(options: Common, machine: Machine) -> Resolved | Failure:
    try:
        return resolved_settings(options, machine.env, working_directory())
    except KataError as error:
        has_flags = options.profile is not None or any(value is not None for value in options.flags.values())
        if error.failure.code == "usage" and has_flags:
            raise
        return error.failure


def _site(options: Common, machine: Machine, resolved: Resolved, redactor: Redactor) -> Site:
    key_file = Path(options.api_key_file) if options.api_key_file else None
    service = open_service(
        resolved,
        machine.env,
        clock=machine.clock,
        redactor=redactor,
        api_key_file=options.api_key_file,
    )
    return Site(
        machine=machine,
        resolved=resolved,
        is_isolated=options.is_isolated,
        finder=CredentialFinder(machine.env, resolved.paths, resolved, key_file),
        service=service,
        redactor=redactor,
        api_key_file=options.api_key_file,
    )


def _walk(table: dict[str, Callable[[P], Iterator[Check]]], place: P, clock: Clock) -> list[Check]:
    """The rows of all checks of a table, each with its name and time; a failure is a row too."""
    rows = []
    for name, check in table.items():
        try:
            found = list(check(place))
        except KataError as error:
            found = [failed(error.failure)]
        except OSError as error:
            found = [failed(Failure(code="io", message=str(error)))]
        now = stamp(clock.time())
        rows += [msgspec.structs.replace(row, name=name, checked_at=now) for row in found]
    return rows


def _redacted(row: Check, redactor: Redactor) -> Check:
    return msgspec.structs.replace(row, detail=redactor.text(row.detail), remedy=redactor.text(row.remedy))


def _report(checks: list[Check], mode: str | None, clock: Clock) -> DoctorReport:
    worst = max((row.status for row in checks), key=SEVERITY.index)
    return DoctorReport(
        status=worst,
        exit_code=Exit.FINDINGS if worst == "error" else Exit.OK,
        kata_version=__version__,
        runtime_mode=mode,
        checked_at=stamp(clock.time()),
        checks=checks,
    )


def _failure(report: DoctorReport) -> Failure | None:
    errors = [row for row in report.checks if row.status == "error"]
    if not errors:
        return None
    names = ", ".join(dict.fromkeys(row.name for row in errors))
    hint = next((row.remedy for row in errors if row.remedy), "")
    message = f"{plural(len(errors), 'check')} found an error: {names}"
    return Failure(code="findings", message=message, remediation=hint or "mend what is listed")
