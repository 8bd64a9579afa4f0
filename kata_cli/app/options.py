"""What the shell surface hands over: the command line as data, not yet judged."""

from __future__ import annotations

from typing import Any

import msgspec

FORMATS = ("text", "json", "jsonl")


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """What every command takes. `flags` holds settings by name, only those that were given."""

    flags: dict[str, Any] = {}
    profile: str | None = None
    is_isolated: bool = False
    trusts_project: bool = False
    api_key_file: str | None = None
    is_debug: bool = False


class RunOptions(Common, frozen=True, kw_only=True):
    """The command line of `kata run`. `reads_stdin` is None where neither flag was given.

    `continues` and `session` say which session the run joins, `revises` names the draft it revises;
    `resumes` and `replays` name a recorded run, the latter also a file of exchanges. `batch_id` is that of a
    line of a batch.
    """

    goal: str | None = None
    goal_file: str | None = None
    files: tuple[str, ...] = ()
    context_dir: str | None = None
    reads_stdin: bool | None = None
    system: str | None = None
    output: str | None = None
    format: str = "text"
    is_forced: bool = False
    is_dry_run: bool = False
    is_quiet: bool = False
    is_verbose: bool = False
    scenario: str | None = None
    continues: bool = False
    session: str | None = None
    revises: str | None = None
    is_ephemeral: bool = False
    resumes: str | None = None
    accepts_changes: bool = False
    replays: str | None = None
    batch_id: str = ""


class BatchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The command line of `kata batch`. `run` holds what all lines have in common."""

    file: str
    run: RunOptions
    is_ordered: bool = False
    resumes: str | None = None
