"""A session tree as the service tells it, and as a model is shown it."""

from __future__ import annotations

from kata_cli.core.messages import Message, ModelRef, Request, ToolCall
from kata_cli.core.session import CompactionEntry, Entry, MessageEntry, RunEntry, Session
from kata_cli.core.text import one_line
from kata_cli.service.documents import LiveSession, Queue, Told, TreePlace
from kata_cli.service.workplace import Workplace

PLACE_CHARS = 120
ROLE = "chat"


def messages(session: Session) -> tuple[Message, ...]:
    """The conversation up to the head, from the last compaction on.

    A tool call without a result, as an aborted turn leaves it, gets one that says so: vendors refuse others.
    """
    found: list[Message] = []
    open_calls: dict[str, Message] = {}
    for entry in session.effective_path():
        if isinstance(entry, MessageEntry):
            if entry.role != "tool":
                found += open_calls.values()
                open_calls = {call.id: _without_result(call) for call in entry.calls}
            open_calls.pop(entry.call_id, None)
            found.append(entry.message)
    return (*found, *open_calls.values())


def _without_result(call: ToolCall) -> Message:
    return Message("tool", "no result: the turn was aborted", call_id=call.id, is_error=True)


def request(session: Session, model: ModelRef, place: Workplace) -> Request:
    """The next question to the model of a session: all of its conversation."""
    settings = session.settings
    return Request(
        task=session.id,
        role=ROLE,
        model=model,
        system=place.backend.system(session),
        messages=messages(session),
        tools=settings.tools,
        max_tokens=place.max_tokens,
        temperature=place.temperature,
        thinking=settings.thinking or place.thinking,
    )


def describe(session: Session, runtime_mode: str, model: str) -> LiveSession:
    """A session that is on disk only."""
    settings = session.settings
    entries = session.entries
    return LiveSession(
        id=session.id,
        title=session.title,
        status="closed",
        runtime_mode=runtime_mode,
        model=model or settings.model,
        thinking=settings.thinking,
        directory=settings.directory,
        created_at=session.header.ts,
        updated_at=entries[-1].ts if entries else session.header.ts,
        head=session.head,
        messages=sum(isinstance(entry, MessageEntry) for entry in session.path()),
        queue=Queue(),
        wanted=[],
        last_event_id="",
    )


def told(session: Session) -> list[Told]:
    """The path to the head, as a person reads it."""
    return [_told(entry) for entry in session.effective_path() if _is_told(entry)]


def tell(entry: MessageEntry) -> Told:
    """One message."""
    has_usage = entry.role == "assistant" and not entry.is_error
    return Told(
        entry=entry.id,
        ts=entry.ts,
        role=entry.role,
        text=entry.text,
        calls=list(entry.calls),
        call_id=entry.call_id,
        is_error=entry.is_error,
        model=entry.model,
        stop=entry.stop,
        usage=entry.usage if has_usage else None,
        steps=list(entry.steps),
    )


def places(session: Session) -> list[TreePlace]:
    """All places of the tree, in the order in which they were added."""
    return [
        TreePlace(
            entry=entry.id,
            parent=entry.parent,
            ts=entry.ts,
            type=str(type(entry).__struct_config__.tag),
            title=_title_of(entry),
            is_head=entry.id == session.head,
        )
        for entry in session.nodes
    ]


def _is_told(entry: Entry) -> bool:
    return isinstance(entry, MessageEntry | CompactionEntry)


def _told(entry: Entry) -> Told:
    if isinstance(entry, CompactionEntry):
        return Told(entry=entry.id, ts=entry.ts, role="summary", text=entry.summary, model=entry.model)
    assert isinstance(entry, MessageEntry)
    return tell(entry)


def _title_of(entry: Entry) -> str:
    match entry:
        case MessageEntry(role=role, text=text):
            return one_line(f"{role}: {text}", PLACE_CHARS)
        case CompactionEntry(model=model):
            return f"compacted by {model}"
        case RunEntry(run_id=run_id):
            return f"run {run_id}"
    return ""
