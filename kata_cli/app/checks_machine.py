"""Checks of what surrounds kata: the clock, and whether the shell completes its commands."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from kata_cli.app.check import Check, Machine
from kata_cli.core.clock import stamp

SANE_YEARS = range(2026, 2100)  # kata is no older; certificates fail on a clock that is
MAX_STARTUP_BYTES = 1_048_576

# Where a shell looks by itself, below a home or data directory, and what its user edits.
_SCRIPTS = {
    "bash": (".local/share/bash-completion/completions/kata", ".bash_completion.d/kata"),
    "zsh": (".zfunc/_kata", ".zsh/completions/_kata"),
    "fish": (".config/fish/completions/kata.fish",),
}
_SYSTEM_SCRIPTS = {
    "bash": ("/usr/share/bash-completion/completions/kata", "/etc/bash_completion.d/kata"),
    "zsh": ("/usr/share/zsh/site-functions/_kata", "/usr/local/share/zsh/site-functions/_kata"),
    "fish": ("/usr/share/fish/vendor_completions.d/kata.fish",),
}
_STARTUP = {
    "bash": (".bashrc", ".bash_profile", ".bash_completion"),
    "zsh": (".zshrc",),
    "fish": (".config/fish/config.fish",),
}


def check_clock(machine: Machine) -> Iterator[Check]:
    """The clock shows a year in which kata can exist."""
    now_s = machine.clock.time()
    if datetime.fromtimestamp(now_s, UTC).year in SANE_YEARS:
        yield Check(status="ready", detail=stamp(now_s))
    else:
        remedy = "set the clock: certificates and run ids depend on it"
        yield Check(status="error", detail=f"it shows {stamp(now_s)}", remedy=remedy)


def check_completion(machine: Machine) -> Iterator[Check]:
    """A hint only: nothing depends on it."""
    shell = os.path.basename(machine.env.get("SHELL", ""))
    if shell not in _SCRIPTS:
        yield Check(status="ready", is_available=False, detail="made for bash, zsh and fish")
        return
    found = _installed(shell, machine.env)
    remedy = "" if found else f"kata completion {shell} > ~/{_SCRIPTS[shell][0]}"
    detail = shell if found else f"not installed for {shell}"
    yield Check(status="ready", is_available=bool(found), path=found, detail=detail, remedy=remedy)


def _installed(shell: str, env: Mapping[str, str]) -> str | None:
    """The script, or the startup file that fetches it."""
    home = Path(env.get("HOME") or "/")
    scripts = [*(home / name for name in _SCRIPTS[shell]), *map(Path, _SYSTEM_SCRIPTS[shell])]
    startup = [home / name for name in _STARTUP[shell]]
    found = [path for path in scripts if path.is_file()]
    found += [path for path in startup if _mentions_completion(path)]
    return str(found[0]) if found else None


def _mentions_completion(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"kata completion" in file.read(MAX_STARTUP_BYTES)
    except OSError:
        return False
