"""How an agent is started: its command line, its directory, its key."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import msgspec

from kata_cli.pi import home as homes
from kata_cli.pi.agent import Agent
from kata_cli.pi.binary import Version
from kata_cli.pi.child import spawn
from kata_cli.pi.options import PiOptions, Purpose

# No extensions, skills, prompt templates, AGENTS.md or CLAUDE.md; the empty texts stand in the way of the
# project's own `.pi/SYSTEM.md` and `.pi/APPEND_SYSTEM.md`, which 0.74 reads without being asked.
CONFINED = ("-ne", "-ns", "-np", "-nc", "--system-prompt", "", "--append-system-prompt", "")


def argv(binary: Path, options: PiOptions, home: Path) -> list[str | Path]:
    """The command line: what is stored goes with `home`, nothing of the project is obeyed unless asked for.

    With `--no-session` 0.74 writes the sessions of `new_session` into the working directory.
    """
    tools = ["--tools", ",".join(options.tools)] if options.tools else ["--no-tools"]
    extras = [] if options.has_extensions else CONFINED
    return [binary, "--mode", "rpc", "--session-dir", home / "sessions", *tools, *extras]


async def start(binary: Path, version: asyncio.Task[Version], purpose: Purpose, options: PiOptions) -> Agent:
    """A Pi that is starting, for a purpose.

    Its version may still be asked for, since that takes as long as the start. Raises `KataError`
    agent_unavailable, and then leaves nothing.
    """
    if purpose.directory is not None:
        options = msgspec.structs.replace(options, cwd=purpose.directory)
    home = homes.make(options.agent_dir, options.models, trusts_project=options.has_extensions)
    try:
        child = await spawn(
            argv(binary, options, home),
            cwd=options.cwd,
            environment=homes.child_environment(options, _keys(options, purpose.provider), home),
            command_s=options.command_s,
            redact=options.redact,
            # One that runs programs must end them itself, for they are in groups of their own.
            death_signal=signal.SIGTERM if options.may_run_programs else signal.SIGKILL,
        )
    except BaseException:
        homes.remove(home)
        raise
    return Agent(child, version, purpose, home, options)


def _keys(options: PiOptions, provider: str) -> dict[str, str]:
    if provider:
        return dict(options.keys.get(provider, {}))
    return {name: value for keys in options.keys.values() for name, value in keys.items()}
