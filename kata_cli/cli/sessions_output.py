"""A past run in forms that leave the terminal: a page, its events, an export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kata_cli.cli import shell

if TYPE_CHECKING:
    from kata_cli.app.options import Common


def put_page(common: Common, run: str, file: str, *, is_forced: bool) -> None:
    """The HTML page of a run."""
    from kata_cli.app.session_evidence import read_evidence
    from kata_cli.app.session_page import run_page

    evidence = read_evidence(common, run, shell.redactor())
    shell.warn(evidence.warnings)
    deliver(common, run_page(evidence).encode(), file, is_forced=is_forced)


def put_events(common: Common, run: str, since_seq: int | None) -> None:
    """The stored events of a run as JSON Lines."""
    from kata_cli.app.session_evidence import events_since, read_evidence

    evidence = read_evidence(common, run, shell.redactor())
    shell.warn(evidence.warnings)
    shell.stdout.write(events_since(evidence, since_seq))


def put_conversation(common: Common, name: str, *, as_json: bool) -> bool:
    """What was said in a session without runs; False when the name means none."""
    from kata_cli.app.session_conversation import read_conversation
    from kata_cli.cli.agents_rows import transcript
    from kata_cli.cli.session_rows import session_row

    conversation = read_conversation(common, name)
    if conversation is None:
        return False
    shell.warn(conversation.warnings)
    if as_json:
        shell.put_json(conversation)
    else:
        shell.put(f"{session_row(conversation.session, None)}\n{transcript(conversation.messages)}")
    return True


def deliver(common: Common, data: bytes, file: str | None, *, is_forced: bool) -> None:
    """Bytes, safe to show, to a file as `-o` of a run writes it, or to stdout."""
    if file in (None, "-"):
        shell.stdout.write(data)
        return
    from kata_cli.app.session_output import write_output

    shell.warn(write_output(common, file or "", data, is_forced=is_forced))
