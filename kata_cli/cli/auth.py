"""`kata auth`: which credential would be used, from where, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from kata_cli.cli import options as o
from kata_cli.cli import shell
from kata_cli.cli.groups import CONTEXT, KataCommand, group

if TYPE_CHECKING:
    from kata_cli.app.auth import ProviderAuth

app = group("auth", "Show which credential would be used, and why.")

Check = Annotated[bool, o.option("--check", help="Ask the provider that a run would pick; free of charge.")]


@app.command(cls=KataCommand, context_settings=CONTEXT)
def status(
    check: Check = False,
    as_json: o.Json = False,
    mode: o.Mode = None,
    provider: o.Provider = None,
    api_key_file: o.ApiKeyFile = None,
    profile: o.Profile = None,
    isolated: o.Isolated = False,
    trust_project: o.TrustProject = False,
) -> int:
    """The credential of every provider; exit 0 when the one that a run would pick is usable."""
    from kata_cli.app.auth import auth_report
    from kata_cli.app.options import Common

    common = Common(
        flags={"runtime_mode": mode, "provider": provider},
        profile=profile,
        is_isolated=isolated,
        trusts_project=trust_project,
        api_key_file=api_key_file,
    )
    report, failure = auth_report(common, shell.redactor(), is_checked=check)
    if as_json:
        shell.put_json(report)
    else:
        shell.put(f"runtime mode {report.runtime_mode} ({report.mode_source})\n")
        for row in report.providers:
            shell.put(_row(row))
    if failure is None:
        return 0
    shell.tell(failure, as_json=as_json, runtime_mode=report.runtime_mode)
    return failure.exit


def _row(row: ProviderAuth) -> str:
    credential = row.credential
    mark = "*" if row.is_chosen else " "
    if not credential.is_available:
        return f"{mark} {credential.provider:<12} no key: {credential.reason}\n"
    parts = [credential.source, credential.masked, f"for {credential.host}" if credential.host else ""]
    parts += [f"shadows {', '.join(credential.shadowed)}"] if credential.shadowed else []
    if row.is_checked:
        parts.append(f"refused: {row.error.message}" if row.error else "accepted by the provider")
    return f"{mark} {credential.provider:<12} " + "  ".join(part for part in parts if part) + "\n"
