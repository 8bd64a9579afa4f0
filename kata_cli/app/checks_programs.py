"""Checks of the programs that kata may call: each is asked for its version, for a few seconds at most."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress

from kata_cli.app.check import AuthState, Check, Machine, Site, Status
from kata_cli.app.place import working_directory
from kata_cli.app.probe import hear
from kata_cli.core.errors import KataError
from kata_cli.core.text import one_line

PROBE_S = 4.0
THIS_COMMAND = "kata doctor"  # what Pi's failures hint at

_VERSION = re.compile(r"(?:^|\s)v?(\d+\.\d+\.\d+[\w.+-]*)(?=\s|$)")
_PASSED_ON = ("HOME", "PATH", "LANG", "TERM", "TMPDIR")


def check_python(machine: Machine) -> Iterator[Check]:
    """The interpreter that runs this."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check(status="ready", version=version, path=sys.executable)


def check_git(machine: Machine) -> Iterator[Check]:
    """Which files a project has is git's to say."""
    yield _program("git", machine.env, "the files of a project are then found without .gitignore")


def check_node(machine: Machine) -> Iterator[Check]:
    """Pi runs on node, unless it brings its own."""
    yield _program("node", machine.env, "only Pi needs it")


def check_pi(site: Site) -> Iterator[Check]:
    """The Pi that a run would start: where it is, and that it is neither stuck nor too old."""
    from kata_cli.core import loop
    from kata_cli.pi import binary, home
    from kata_cli.pi.options import PiOptions

    env = site.machine.env
    options = PiOptions(cwd=working_directory(), environ=env, binary=site.resolved.settings.pi_binary or "")
    path = None
    try:
        path = binary.find(options.binary, env.get("PATH", ""), options.cwd)
        version = loop.run(binary.version_of(path, home.environment(options)))
    except KataError as error:
        hint = error.failure.hint
        yield Check(
            status="error" if site.resolved.starts_agents else "warning",
            is_available=path is not None,
            path=str(path) if path else None,
            auth="unknown",
            detail=error.failure.message
            + ("" if site.resolved.starts_agents else "; only agents of this machine need it"),
            remedy=f"run {path} --version yourself to see why" if hint == THIS_COMMAND else hint,
        )
    else:
        yield Check(status="ready", path=str(path), version=str(version), auth=_pi_auth(site))


def _pi_auth(site: Site) -> AuthState:
    """Pi tells nothing of its logins, but it lists only models that it has a key for."""
    from kata_cli.app.model_default import pi_models
    from kata_cli.core import loop

    if site.mode == "pi":
        with suppress(KataError):
            loop.run(pi_models(site.asking, is_refreshed=True))
            return "authenticated"
    return "unknown"


def _program(name: str, env: Mapping[str, str], without: str) -> Check:
    path = shutil.which(name, path=env.get("PATH", ""))
    if path is None:
        detail = f"there is no {name} on the PATH; {without}"
        return Check(status="warning", is_available=False, detail=detail, remedy=f"install {name}")
    version, trouble = ask_version(path, env)
    remedy = f"run {path} --version yourself to see why" if trouble else ""
    status: Status = "warning" if trouble else "ready"
    return Check(status=status, version=version, path=path, detail=trouble, remedy=remedy)


def ask_version(path: str, env: Mapping[str, str], limit_s: float = PROBE_S) -> tuple[str | None, str]:
    """What `PATH --version` says on either stream, or None and why not."""
    try:
        status, text = hear([path, "--version"], _scrubbed(env), limit_s)
    except OSError as error:
        return None, f"does not start: {error.strerror or error}"
    if status is None:
        return None, f"did not say its version within {limit_s:g} s"
    said = one_line(text, 300) or "nothing"
    if status != 0:
        return None, f"ended with status {status} and said {said}"
    found = _VERSION.search(text)
    return (found[1], "") if found else (None, f"names no version but says {said}")


def _scrubbed(env: Mapping[str, str]) -> dict[str, str]:
    """No key of the user's goes to a program that only has to say its version."""
    return {name: value for name, value in env.items() if name in _PASSED_ON or name.startswith("LC_")}
