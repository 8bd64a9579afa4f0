"""`kata auth`: which credential would be used, from where, and why; store or drop one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kata_cli.cli import complete, shell
from kata_cli.cli import options as o
from kata_cli.cli.groups import CONTEXT, KataCommand, group
from kata_cli.core.errors import KataError

if TYPE_CHECKING:
    from kata_cli.app.auth import ProviderAuth

app = group("auth", "Show which credential would be used, and why; store or drop one.")

Check = Annotated[bool, o.option("--check", help="Ask the provider that a run would pick; free of charge.")]
Name = Annotated[
    str,
    typer.Argument(
        metavar="PROVIDER",
        help="Whose key it is.",
        show_default=False,
        autocompletion=complete.providers,
    ),
]
TokenSession = Annotated[
    bool, o.option("--token-session", help="It is a session token, alone or as {token, id, expires_at}.")
]


@app.command(cls=KataCommand, context_settings=CONTEXT)
def status(
    check: Check = False,
    as_json: o.Json = False,
    runtime_mode: o.Mode = None,
    provider: o.Provider = None,
    api_key_file: o.ApiKeyFile = None,
    auth_mode: o.AuthMode = None,
    key_fallback: o.NoKeyFallback = None,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
) -> int:
    """The credential of every provider; exit 0 when the one that a run would pick is usable."""
    options = o.common(locals())
    from kata_cli.app.auth import auth_report

    report, failure = auth_report(options, shell.redactor(), is_checked=check)
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


@app.command(cls=KataCommand, context_settings=CONTEXT | {"allow_extra_args": True})
def login(
    context: typer.Context,
    provider: Name,
    is_token_session: TokenSession = False,
    api_key_file: o.ApiKeyFile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
) -> None:
    """Store a key from stdin or a file; says where before it writes."""
    from kata_cli.app.login import prepare_login, store
    from kata_cli.app.options import Common

    if context.args:  # most likely the key, which the framework's own message would repeat
        raise KataError("usage", "a key is never an argument", f"kata auth login {provider} < FILE")
    options = Common(api_key_file=api_key_file, is_isolated=is_isolated, trusts_project=trusts_project)
    ready = prepare_login(
        options, provider, is_token_session=is_token_session, say=shell.say, redactor=shell.redactor()
    )
    shell.say(ready.announcement)
    shell.stderr.flush(None)
    shell.say(store(ready))


@app.command(cls=KataCommand, context_settings=CONTEXT)
def logout(provider: Name, is_isolated: o.Isolated = False, trusts_project: o.TrustProject = False) -> None:
    """Drop what is stored for a provider; also fine when nothing is."""
    from kata_cli.app.login import logout as drop
    from kata_cli.app.options import Common

    shell.say(drop(Common(is_isolated=is_isolated, trusts_project=trusts_project), provider))


def _row(row: ProviderAuth) -> str:
    credential, session = row.credential, row.credential.session
    mark = "*" if row.is_chosen else " "
    if not credential.is_available:
        return f"{mark} {credential.provider:<12} {credential.reason}\n"
    parts = [credential.source, credential.masked, f"for {credential.host}" if credential.host else ""]
    parts += [f"shadows {', '.join(credential.shadowed)}"] if credential.shadowed else []
    if session is not None and session.expires_at and credential.kind == "token":
        parts.append(f"expires {session.expires_at}")
    if row.is_checked:
        parts.append(f"refused: {row.error.message}" if row.error else "accepted by the provider")
    return f"{mark} {credential.provider:<12} " + "  ".join(part for part in parts if part) + "\n"
