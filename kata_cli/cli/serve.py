"""`kata serve`: live agent sessions for the browsers, scripts and other kata processes of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from kata_cli.cli import options as o
from kata_cli.cli import shell

if TYPE_CHECKING:
    from kata_cli.app.serve import Serving

SERVICE = "Service"
Host = Annotated[str | None, o.setting("serve_host", SERVICE)]
Port = Annotated[str | None, o.setting("serve_port", SERVICE)]
MaxSessions = Annotated[str | None, o.setting("serve_max_sessions", SERVICE)]
SessionIdle = Annotated[str | None, o.setting("serve_session_idle", SERVICE)]
SessionTimeout = Annotated[str | None, o.setting("serve_session_timeout", SERVICE)]
Workspace = Annotated[
    str | None,
    o.option("--workspace", help="Directory that sessions work in.", panel=SERVICE, metavar="DIR"),
]
TokenFile = Annotated[
    str | None,
    o.option("--token-file", help="File of the token, made if absent.", panel=SERVICE, metavar="FILE"),
]
AllowRemote = Annotated[
    bool, o.option("--allow-remote", help="Listen on an address that others reach.", panel=SERVICE)
]
AllowHost = Annotated[
    list[str] | None,
    o.option(
        "--allow-host",
        help="Another name under which clients call it, with --allow-remote; repeatable.",
        panel=SERVICE,
        metavar="NAME",
    ),
]
Scenario = Annotated[
    str | None,
    o.option("--scenario", help="Script the mock provider by this file.", panel=o.MOCK, metavar="FILE"),
]


def serve(
    serve_host: Host = None,
    serve_port: Port = None,
    token_file: TokenFile = None,
    workspace: Workspace = None,
    serve_max_sessions: MaxSessions = None,
    serve_session_idle: SessionIdle = None,
    serve_session_timeout: SessionTimeout = None,
    is_remote: AllowRemote = False,
    hosts: AllowHost = None,
    runtime_mode: o.Mode = None,
    provider: o.Provider = None,
    model: o.Model = None,
    thinking: o.Thinking = None,
    temperature: o.Temperature = None,
    max_tokens: o.MaxTokens = None,
    fallback: o.Fallback = None,
    max_cost: o.MaxCost = None,
    token_budget: o.TokenBudget = None,
    idle_timeout: o.IdleTimeout = None,
    tools: o.Tools = None,
    allow_agent: o.AllowAgent = None,
    scenario: Scenario = None,
    api_key_file: o.ApiKeyFile = None,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
    as_json: o.Json = False,
    is_debug: o.Debug = False,
) -> int:
    """Serve live agent sessions over REST, SSE and WebSocket, with a panel for the browser."""
    common = o.common(locals())
    import msgspec

    from kata_cli.app.serve import ServeOptions, serve

    options = ServeOptions(
        **{name: getattr(common, name) for name in msgspec.structs.asdict(common)},
        token_file=token_file,
        workspace=workspace,
        scenario=scenario,
        is_remote=is_remote,
        hosts=tuple(hosts or ()),
    )

    def tell(serving: Serving, warnings: list[str]) -> None:
        shell.warn(warnings)
        if as_json:
            shell.put_json(serving)
        shell.say(
            f"kata serve: {serving.url} · {serving.runtime_mode} · {serving.workspace} · "
            f"token in {serving.token_file}"
        )

    return shell.ended(serve(options, shell.redactor(), tell), as_json=as_json)
