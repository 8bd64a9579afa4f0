"""What `kata sessions show` needs of a session without runs: the conversation up to its head."""

from __future__ import annotations

import msgspec

from kata_cli.app.options import Common
from kata_cli.app.state import open_state
from kata_cli.core.errors import KataError
from kata_cli.service.conversation import told
from kata_cli.service.documents import Told
from kata_cli.store.index_conversations import SessionRow, row_of
from kata_cli.store.session_index import open_sessions


class Conversation(msgspec.Struct, kw_only=True):
    """A session without runs (`kata.conversation/v1`); a summary stands for what was said before it."""

    schema: str = "kata.conversation/v1"
    session: SessionRow
    messages: list[Told]
    warnings: list[str]


def read_conversation(options: Common, name: str) -> Conversation | None:
    """The session without runs that a name means, if it means one. Raises `KataError` io."""
    state = open_state(options)
    sessions = open_sessions(state.directory)
    try:
        session = sessions.read(sessions.resolve(name, project=state.project))
    except KataError as unknown:
        if unknown.failure.code != "usage":
            raise
        return None
    if not session.is_conversation:
        return None
    return Conversation(
        session=sessions.with_status(row_of(session)),
        messages=told(session),
        warnings=[*state.warnings, *session.warnings],
    )
