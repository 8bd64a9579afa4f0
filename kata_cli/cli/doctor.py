"""`kata doctor`: what works here, what does not, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kata_cli.cli import options as o
from kata_cli.cli import shell

if TYPE_CHECKING:
    from kata_cli.app.check import Check


def doctor(
    as_json: o.Json = False,
    runtime_mode: o.Mode = None,
    provider: o.Provider = None,
    model: o.Model = None,
    api_key_file: o.ApiKeyFile = None,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
) -> int:
    """Check programs, settings, keys, models and disk; exit 10 when a run would fail."""
    options = o.common(locals())
    from kata_cli.app.doctor import examine

    report, failure = examine(options)
    if as_json:
        shell.put_json(report)
    else:
        for check in report.checks:
            shell.put(_row(check))
    if failure is None:
        return 0
    shell.tell(failure, as_json=as_json, runtime_mode=report.runtime_mode)
    return failure.exit


def _row(check: Check) -> str:
    """One line, and below it what to type next."""
    from kata_cli.core.text import one_line

    mark = "absent" if check.status == "ready" and not check.is_available else check.status
    told = "  ".join(part for part in (check.about, check.version, check.path, check.detail) if part)
    remedy = f"{'':<22}{one_line(check.remedy, 300)}\n" if check.remedy else ""
    return f"{mark:<8} {check.name:<12} {one_line(told, 300)}".rstrip() + f"\n{remedy}"
