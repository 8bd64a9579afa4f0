"""What a child of Pi sees of this machine: a few variables and an agent directory of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from kata_cli.pi import models as pi_models
from kata_cli.pi import orphans
from kata_cli.pi.binary import absolute_entries
from kata_cli.pi.options import PiOptions

KEPT = ("HOME", "LANG", "TERM", "TMPDIR", "TRACEPARENT", "TRACESTATE")
# The SDKs inside old versions retry without a sign, and one then sleeps for as long as a server wishes.
SETTINGS = {"retry": {"provider": {"maxRetries": 0}}}
# Read through links: Pi keeps a login fresh in place, but its settings are never the user's own.
SHARED = ("auth.json", pi_models.NAME)

DIRECTORY = "PI_CODING_AGENT_DIR"
_PREFIX = "kata-pi-"


def environment(options: PiOptions) -> dict[str, str]:
    """The variables that every child gets; the project cannot put itself on its PATH."""
    source = options.environ
    kept = {name: source[name] for name in source if name in KEPT or name.startswith("LC_")}
    kept["PATH"] = os.pathsep.join(map(str, absolute_entries(source.get("PATH", ""), options.cwd)))
    # No update checks, no catalogue refresh, no downloads of tools.
    return {**kept, "PI_OFFLINE": "1"}


def child_environment(options: PiOptions, keys: Mapping[str, str], home: Path) -> dict[str, str]:
    """The variables of one child: the common ones, the key it needs, and its agent directory."""
    return {**environment(options), **keys, DIRECTORY: str(home)}


def mark(home: Path) -> bytes:
    """The variable that all processes of one agent have inherited, and no others."""
    return f"{DIRECTORY}={home}".encode()


def make(user_dir: Path | None, models: bytes = b"", *, trusts_project: bool = False) -> Path:
    """A new agent directory, private (0700); with `user_dir` it shares that one's login and models.

    `models`, where it is not empty, is its models.json instead. With `trusts_project` newer versions obey
    the project's own settings and extensions, as old ones do anyway.
    """
    _sweep()
    home = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    settings = {**SETTINGS, "defaultProjectTrust": "always" if trusts_project else "never"}
    home.joinpath("settings.json").write_bytes(msgspec.json.encode(settings))
    if models:
        home.joinpath(pi_models.NAME).write_bytes(models)
    if user_dir is not None:
        _share(user_dir.absolute(), home)
    return home


def _share(user_dir: Path, home: Path) -> None:
    for name in SHARED:
        source, target = user_dir / name, home / name
        if source.exists() and not target.exists():
            target.symlink_to(source)


def _sweep() -> None:
    """Remove what processes left that were killed before they could do it themselves, and what still runs.

    Pi 0.74 that loses its parent may see the end of its input first, and then leaves the shell of a tool.
    """
    for home in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = home.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not _is_running(int(owner)):
            orphans.end_all(mark(home))
            remove(home)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def remove(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
