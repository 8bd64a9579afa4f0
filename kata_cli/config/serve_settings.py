"""The settings of `kata serve`. The variables of the service that came before it are read too."""

from __future__ import annotations

from kata_cli.config.setting import Setting, Values


class ServeSettings(Values):
    """Where the service listens, and how many sessions it keeps for how long."""

    serve_host = Setting(
        "127.0.0.1",
        "Address to listen on; other than loopback needs --allow-remote.",
        flags=("--host",),
        key="serve.host",
        aliases=("PI_SERVICE_HOST",),
        metavar="ADDRESS",
    )
    serve_port = Setting(
        8765,
        "Port to listen on; 0 takes a free one.",
        kind="int",
        flags=("--port",),
        key="serve.port",
        aliases=("PI_SERVICE_PORT",),
        minimum=0,
        maximum=65_535,
        metavar="N",
    )
    serve_model = Setting[str | None](
        None,
        "Model of sessions that name none.",
        key="serve.model",
        aliases=("PI_SERVICE_MODEL",),
    )
    serve_max_sessions = Setting(
        20,
        "Most sessions that are live at a time.",
        kind="int",
        flags=("--max-sessions",),
        key="serve.max_sessions",
        aliases=("PI_SERVICE_MAX_SESSIONS",),
        minimum=1,
        maximum=1_000,
        metavar="N",
    )
    serve_session_idle = Setting(
        1_800.0,
        "Close a session that is idle for this time; it stays on disk.",
        kind="duration",
        flags=("--session-idle",),
        key="serve.session_idle",
        metavar="D",
    )
    serve_session_timeout = Setting(
        28_800.0,
        "Close a session that is live for this time; it stays on disk.",
        kind="duration",
        flags=("--session-timeout",),
        key="serve.session_timeout",
        metavar="D",
    )
