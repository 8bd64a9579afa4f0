"""A session as data: entries that form a tree, each added and none ever changed.

Its head is the place that the next entry follows; a path leads from the root to a place.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.messages import Message, StopCause, Tool, ToolCall, Usage
from kata_cli.core.text import near, one_line

VERSION = 1
TITLE_CHARS = 48


class Origin(msgspec.Struct, frozen=True):
    """Where a fork left another session; `entry` is None when it took nothing along."""

    session: str
    entry: str | None


class SessionHeader(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="session"):
    """The first line of a session file. `project` is the root that its runs were made in."""

    v: int = VERSION
    id: str
    ts: str
    name: str
    project: str
    forked_from: Origin | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all entries. The store gives an entry its `id` (`e1`, `e2`, …), `parent` and time."""

    id: str = ""
    parent: str | None = None
    ts: str = ""


class RunEntry(Entry, frozen=True, kw_only=True, tag="run"):
    """A run that was made in the session."""

    run_id: str


class ToolStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tool that an agent used on the way to its answer, shortened."""

    tool: str
    input: str = ""
    output: str = ""
    is_error: bool = False


class MessageEntry(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="message"):
    """One message of a live session; an answer tells its model, why it ended and what it took.

    `is_error` marks the result of a tool that failed, and an answer that was broken off.
    """

    role: Literal["user", "assistant", "tool"]
    text: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    is_error: bool = False
    model: str = ""
    stop: StopCause = "stop"
    usage: Usage = Usage()
    steps: tuple[ToolStep, ...] = ()

    @property
    def message(self) -> Message:
        return Message(self.role, self.text, self.calls, self.call_id, self.is_error)


class CompactionEntry(Entry, frozen=True, kw_only=True, tag="compaction"):
    """A summary that stands for everything before it on its path; sizes in tokens, estimated."""

    summary: str
    model: str
    tokens_before: int
    tokens_after: int
    usage: Usage = Usage()


class NameEntry(Entry, frozen=True, kw_only=True, tag="name"):
    """The session has a new name; the place in the tree stays."""

    name: str


class HeadEntry(Entry, frozen=True, kw_only=True, tag="head"):
    """The session goes on after `target`; None: from its very beginning."""

    target: str | None


class SettingsEntry(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="settings"):
    """What holds for the live session from here on; the place in the tree stays.

    `directory` is relative to the project; `tools` are those of its client.
    """

    title: str = ""
    model: str = ""
    thinking: str = ""
    directory: str = ""
    tools: tuple[Tool, ...] = ()


class UnknownEntry(Entry, frozen=True, kw_only=True, tag="unknown"):
    """An entry of a type that only a later kata knows; it keeps its place in the tree."""


KnownEntry = RunEntry | MessageEntry | CompactionEntry | NameEntry | HeadEntry | SettingsEntry

# What is told about the whole session, and no place in its tree.
PLACELESS = NameEntry | HeadEntry | SettingsEntry


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session as its file tells it."""

    header: SessionHeader
    entries: tuple[Entry, ...] = ()
    warnings: tuple[str, ...] = ()
    sound_bytes: int = 0

    @property
    def id(self) -> str:
        return self.header.id

    @property
    def name(self) -> str:
        """The latest name, empty if it never had one."""
        names = [entry.name for entry in self.entries if isinstance(entry, NameEntry)]
        return names[-1] if names else self.header.name

    @property
    def settings(self) -> SettingsEntry:
        """The latest settings, empty ones if there never were any."""
        found = [entry for entry in self.entries if isinstance(entry, SettingsEntry)]
        return found[-1] if found else SettingsEntry()

    @property
    def title(self) -> str:
        """The title it was given, or its name, or the beginning of its first message."""
        given = self.settings.title or self.name
        first = (entry.text for entry in self.path() if isinstance(entry, MessageEntry))
        return given or one_line(next(first, ""), TITLE_CHARS)

    @property
    def is_conversation(self) -> bool:
        """Whether it holds no run; what only a later kata knows may be one."""
        return not any(isinstance(entry, RunEntry | UnknownEntry) for entry in self.entries)

    @property
    def head(self) -> str | None:
        """The id of the entry that the next one follows."""
        for entry in reversed(self.entries):
            if isinstance(entry, HeadEntry):
                return entry.target
            if not isinstance(entry, NameEntry | SettingsEntry):
                return entry.id
        return None

    @property
    def next_id(self) -> str:
        """The id of the next entry."""
        return f"e{max((int(entry.id[1:]) for entry in self.entries), default=0) + 1}"

    @property
    def nodes(self) -> list[Entry]:
        """The entries that are places in the tree: all but new names, settings and moves of the head."""
        return [entry for entry in self.entries if not isinstance(entry, PLACELESS)]

    def path(self, to: str | None = None) -> list[Entry]:
        """The entries from the root to `to`, by default to the head. Raises `KataError` usage."""
        by_id = {entry.id: entry for entry in self.nodes}
        if to is not None and to not in by_id:
            hint = near(to, by_id) or f"kata sessions tree {self.id}"
            raise KataError("usage", f"session {self.id} has no entry {to[:80]!r} in its tree", hint)
        found = []
        at = to or self.head
        while at is not None:
            found.append(by_id[at])
            at = by_id[at].parent
        return found[::-1]

    def effective_path(self, to: str | None = None) -> list[Entry]:
        """The path without what its last compaction stands for; that entry comes first."""
        path = self.path(to)
        starts = [index for index, entry in enumerate(path) if isinstance(entry, CompactionEntry)]
        return path[starts[-1] :] if starts else path
