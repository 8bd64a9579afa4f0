"""How services, live sessions and their messages look to a person. All text in them is from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kata_cli.core.text import one_line
from kata_cli.output.branches import Row, draw
from kata_cli.output.figures import plural

if TYPE_CHECKING:
    from kata_cli.app.agents_calls import LiveSession, Told, Tree, TreePlace
    from kata_cli.app.agents_list import ServiceState

ID_CHARS = 64
TITLE_CHARS = 60
URL_CHARS = 200
TEXT_CHARS = 160
UNKNOWN = "-"


def service_row(state: ServiceState) -> str:
    """A service as it was measured; what is not known is `-`."""
    most = UNKNOWN if state.max_sessions is None else state.max_sessions
    live = UNKNOWN if state.live is None else state.live
    took = UNKNOWN if state.response_s is None else f"{state.response_s * 1000:.0f} ms"
    parts = [
        one_line(state.url, URL_CHARS),
        state.state,
        state.runtime_mode or UNKNOWN,
        one_line(state.version or UNKNOWN, ID_CHARS),
        f"{live}/{most} live",
        took,
    ]
    if state.error is not None:
        parts.append(one_line(state.error.message, TEXT_CHARS))
    return "  ".join(parts)


def session_row(session: LiveSession) -> str:
    """A session: its id, state, title, model, number of messages and last change."""
    parts = [
        one_line(session.id, ID_CHARS),
        f"{session.status:<7}",
        one_line(session.title, TITLE_CHARS) or UNKNOWN,
        one_line(session.model, ID_CHARS) or UNKNOWN,
        plural(session.messages, "message"),
        one_line(session.updated_at, ID_CHARS) or UNKNOWN,
    ]
    return "  ".join(parts)


def transcript(messages: list[Told], partial: str = "") -> str:
    """The conversation: who spoke, and what; `partial` is an answer under way."""
    told = [_message(message) for message in messages]
    if partial:
        told.append(f"[assistant, not finished]\n{partial.strip()}")
    return "".join(f"{text}\n\n" for text in told).removesuffix("\n")


def tree_lines(tree: Tree) -> list[str]:
    """A session with all its branches, drawn."""
    rows = [Row(id=place.entry, parent=place.parent, text=_place(place)) for place in tree.places]
    return [session_row(tree.session), *draw(rows)]


def _message(message: Told) -> str:
    what = f"{message.role}, broken off" if message.is_error else message.role
    steps = [f"({one_line(f'{step.tool} {step.input}', TEXT_CHARS)})" for step in message.steps]
    calls = [f"({one_line(f'{call.name} {call.arguments}', TEXT_CHARS)})" for call in message.calls]
    return "\n".join(part for part in [f"[{what}]", *steps, message.text.strip(), *calls] if part)


def _place(place: TreePlace) -> str:
    title = one_line(place.title, TEXT_CHARS)
    parts = [one_line(place.entry, ID_CHARS), place.type, title, "<- head" if place.is_head else ""]
    return "  ".join(part for part in parts if part)
