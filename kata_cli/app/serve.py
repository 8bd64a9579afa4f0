"""`kata serve`: the service of live sessions over this machine's store, settings and keys."""

from __future__ import annotations

import ipaddress
import os
import socket
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kata_cli import __version__
from kata_cli.app.model_listing import Asking
from kata_cli.app.options import Common
from kata_cli.app.place import check_recordable, working_directory
from kata_cli.app.prepare import check_agents, resolved_settings, scenario_of
from kata_cli.app.services import without_services
from kata_cli.app.signals import SignalStop
from kata_cli.config.trust import project_root
from kata_cli.context.sensitive import is_sensitive
from kata_cli.core import loop
from kata_cli.core.clock import SystemClock, run_id, timed_suffix
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.redact import Redactor
from kata_cli.core.stop import Stop
from kata_cli.store.atomic import write_file
from kata_cli.store.session_index import open_sessions

if TYPE_CHECKING:
    from kata_cli.service.server import Listener
    from kata_cli.service.workplace import Workplace
    from kata_cli.service.workspace import Workspace

TRACEBACK_FILE = "serve-traceback.txt"
EXTRA = "pip install 'kata-cli[serve]'"
# Connections that are no session's, and how many each session may have: 8 streams of events and its calls.
CONNECTIONS = 64
CONNECTIONS_EACH = 10


class ServeOptions(Common, frozen=True, kw_only=True):
    """The command line of `kata serve`. `hosts` are names under which others may call it."""

    token_file: str | None = None
    workspace: str | None = None
    scenario: str | None = None
    is_remote: bool = False
    hosts: tuple[str, ...] = ()


class Serving(msgspec.Struct, kw_only=True):
    """Where the service is (`kata.serving/v1`)."""

    schema: str = "kata.serving/v1"
    url: str
    token_file: str
    workspace: str
    runtime_mode: str
    max_sessions: int
    pid: int


def serve(options: ServeOptions, redactor: Redactor, tell: Callable[[Serving, list[str]], None]) -> Failure:
    """Serve until a signal; `tell` is called once it listens, with warnings. Returns why it stopped.

    Raises `KataError`: usage, config, io when it cannot listen, invalid_auth for a token file open to others.
    """
    _check_extra()
    from kata_cli.service.server import Listener
    from kata_cli.service.token import open_token

    resolved = without_services(resolved_settings(options, os.environ, working_directory()))
    settings = resolved.settings
    check_agents(resolved, os.environ)
    _check_host(settings.serve_host, is_remote=options.is_remote)
    token_file = Path(options.token_file or resolved.paths.token_file).absolute()
    token = open_token(token_file)
    redactor.learn(token)
    listener = Listener(settings.serve_host, settings.serve_port)
    try:
        workspace = _workspace(options)
        serving = Serving(
            url=listener.url,
            token_file=str(token_file),
            workspace=str(workspace.root),
            runtime_mode=settings.runtime_mode,
            max_sessions=settings.serve_max_sessions,
            pid=os.getpid(),
        )
        asking = Asking(
            resolved=resolved, env=os.environ, redactor=redactor, api_key_file=options.api_key_file
        )
        announce = partial(tell, serving, resolved.warnings)
        return loop.run(_serve(options, asking, workspace, listener, token, announce))
    finally:
        listener.close()


async def _serve(
    options: ServeOptions,
    asking: Asking,
    workspace: Workspace,
    listener: Listener,
    token: str,
    announce: Callable[[], None],
) -> Failure:
    from kata_cli.service.connections import Limits
    from kata_cli.service.server import serve

    settings = asking.resolved.settings
    stop = Stop()
    signals = SignalStop(stop, lambda failure: None, lambda: "kata serve takes the sessions up again")
    signals.install()
    announce()  # not before a signal would be heard
    place = _workplace(options, asking, workspace, listener.url)
    try:
        return await serve(
            place,
            listener,
            token=token,
            hosts=_hosts(settings.serve_host, options),
            limits=Limits(max_connections=CONNECTIONS + CONNECTIONS_EACH * settings.serve_max_sessions),
            stop=stop,
        )
    finally:
        await place.backend.provider.aclose()
        signals.disarm()


def _workplace(options: ServeOptions, asking: Asking, workspace: Workspace, url: str) -> Workplace:
    from kata_cli.app.serve_backend import ServeBackend, session_of
    from kata_cli.service.workplace import Limits, Workplace

    settings, state = asking.resolved.settings, asking.resolved.paths.state
    trees = open_sessions(state)
    return Workplace(
        trees=trees,
        backend=ServeBackend(
            asking,
            scenario_of(options.scenario, settings.runtime_mode),
            lambda task: workspace.directory(trees.read(session_of(task)).settings.directory),
        ),
        workspace=workspace,
        redactor=asking.redactor,
        clock=SystemClock(),
        limits=Limits(
            max_sessions=settings.serve_max_sessions,
            idle_s=settings.serve_session_idle,
            lifetime_s=settings.serve_session_timeout,
        ),
        runtime_mode=settings.runtime_mode,
        version=__version__,
        url=url,
        new_id=lambda now_s: f"s-{run_id(now_s, timed_suffix(now_s))}",
        on_bug=lambda error: _keep_traceback(error, state / TRACEBACK_FILE, asking.redactor),
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        thinking=settings.thinking,
    )


def _workspace(options: ServeOptions) -> Workspace:
    """The directory that sessions work in. Raises `KataError` io."""
    from kata_cli.service.workspace import Workspace

    root = working_directory().joinpath(options.workspace or "").resolve()
    if not root.is_dir():
        raise KataError("io", f"--workspace: {root} is no directory", "name a directory to work in")
    check_recordable(root)
    return Workspace(root if options.workspace else project_root(root), is_sensitive)


def _check_extra() -> None:
    if any(find_spec(name) is None for name in ("starlette", "uvicorn", "httptools", "websockets")):
        raise KataError("usage", "kata serve needs more than kata alone brings", EXTRA)


def _check_host(host: str, *, is_remote: bool) -> None:
    """Refuse an address that other machines reach, unless that is wanted. Raises `KataError` usage."""
    if not is_remote and not _is_loopback(host):
        told = f"{host} is no address of this machine alone, and whoever reaches it reaches your agents"
        raise KataError("usage", told, "--allow-remote to serve others too, best behind a TLS proxy")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hosts(host: str, options: ServeOptions) -> tuple[str, ...]:
    """The names, beside loopback, that a Host header may have."""
    if not options.is_remote:
        return () if host in ("localhost", "127.0.0.1", "::1") else (host,)
    return tuple(dict.fromkeys([host, socket.gethostname(), *options.hosts]))


def _keep_traceback(error: BaseException, path: Path, redactor: Redactor) -> None:
    """Keep what a report of the bug needs; the service goes on."""
    told = redactor.text("".join(traceback.format_exception(error)))
    with suppress(KataError):
        write_file(path, told.encode("utf-8", "backslashreplace"))
