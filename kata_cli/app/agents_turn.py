"""`kata agents send`: one message, and what came of it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import Literal, NamedTuple

import msgspec

from kata_cli.app.agents_follow import follow_turn
from kata_cli.app.agents_services import Asking, Found, open_services
from kata_cli.app.agents_view import View
from kata_cli.app.signals import SignalStop
from kata_cli.core import loop
from kata_cli.core.errors import MEANINGS, ErrorDocument, Failure, KataError, document
from kata_cli.core.messages import StopCause, Usage
from kata_cli.core.stop import Stop
from kata_cli.providers.service_client import Sent
from kata_cli.service.documents import History, LiveSession, Nothing, Send
from kata_cli.service.live_events import Done, Failed, Reset

ABORT_S = 1.0  # a stop waits so long for the service, twice; the watchdog ends the process after 2.5 s

# Why an answer that is there is not a whole one.
SHORT = {
    "length": ("invalid_output", "the answer was cut off at the most tokens that it may have"),
    "refusal": ("content_policy", "the model declined to answer"),
}


class Turn(msgspec.Struct, kw_only=True):
    """What came of a message (`kata.agent-turn/v1`). `text` is the answer, None where there is none."""

    schema: str = "kata.agent-turn/v1"
    service: str
    session_id: str
    runtime_mode: str
    status: Literal["completed", "failed", "interrupted"] = "completed"
    exit_code: int = 0
    entry: str | None = None
    text: str | None = None
    model: str | None = None
    stop: StopCause | None = None
    usage: Usage | None = None
    duration_s: float | None = None
    error: ErrorDocument | None = None


class Outcome(NamedTuple):
    """A turn that is over, and why it is not a whole one, if so."""

    turn: Turn
    failure: Failure | None


def send(asking: Asking, session: str, asked: Send, view: View) -> Outcome:
    """Send a message and follow its turn to the end; the first signal aborts it.

    Raises `KataError` when the session is not found; what happens from then on is told by the turn.
    """
    return loop.run(_send(asking, session, asked, view))


async def _send(asking: Asking, session: str, asked: Send, view: View) -> Outcome:
    async with aclosing(open_services(asking)) as services:
        found = await services.find(session)
        view.begin(found.session, found.client.url)
        stop = Stop()
        signals = SignalStop(stop, view.end_now, lambda: f"kata agents show {found.session.id}")
        signals.install()
        try:
            return await _outcome(found, asked, view, stop)
        finally:
            signals.disarm()


async def _outcome(found: Found, asked: Send, view: View, stop: Stop) -> Outcome:
    session = found.session
    turn = Turn(service=found.client.url, session_id=session.id, runtime_mode=session.runtime_mode)
    failure: Failure | None
    try:
        end = await _until_stopped(found, asked, view, stop)
        failure = stop.failure or _take(turn, end)
    except KataError as error:
        failure = error.failure
        if stop.failure is not None:
            failure = msgspec.structs.replace(stop.failure, remediation=failure.hint)
        view.end(failure)
    if failure is not None:
        turn.status = "interrupted" if failure.code == "interrupted" else "failed"
        turn.exit_code = failure.exit
        turn.error = document(failure, turn.runtime_mode)
    return Outcome(turn, failure)


async def _until_stopped(found: Found, asked: Send, view: View, stop: Stop) -> Done | Failed:
    """How the turn ended. Raises `KataError` when that is not known."""
    reading = asyncio.create_task(_read(found, asked, view))
    others = [asyncio.create_task(stop.wait()), asyncio.create_task(view.beat())]
    try:
        await asyncio.wait([reading, others[0]], return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            await _abort(found)
            await asyncio.wait([reading], timeout=ABORT_S)
        if not reading.done():
            told = "the service did not say that the turn is over"
            raise KataError("interrupted", told, f"kata agents abort {found.session.id}")
        return reading.result()
    finally:
        for task in (reading, *others):
            task.cancel()
        await asyncio.gather(reading, *others, return_exceptions=True)


async def _abort(found: Found) -> None:
    """Ask for the turn's end; who stops does not wait for a service that is gone."""
    with suppress(KataError, TimeoutError):
        async with asyncio.timeout(ABORT_S):
            await found.client.post(found.path("abort"), Nothing(), LiveSession)


async def _read(found: Found, asked: Send, view: View) -> Done | Failed:
    began_s = asyncio.get_running_loop().time()
    async with aclosing(follow_turn(found, asked)) as events:
        async for sent in events:
            await view.show(sent)
            if isinstance(sent.event, Done | Failed):
                return sent.event
            if isinstance(sent.event, Reset) and (told := await _answer_since(found)):
                told.duration_s = round(asyncio.get_running_loop().time() - began_s, 3)
                await view.show(Sent("", told))
                return told
    told_so = "the service lost the turn: there is no answer, and nothing under way"
    raise KataError("provider_unavailable", told_so, f"kata agents show {found.session.id}")


async def _answer_since(found: Found) -> Done | None:
    """The answer that the history holds where events are gone; None while there is none."""
    history = await found.client.get(found.path("history"), History)
    entries = [message.entry for message in history.messages]
    head = found.session.head
    new = history.messages[entries.index(head) + 1 :] if head in entries else history.messages
    if history.session.status == "running" or not new:
        return None
    last = new[-1]
    if last.role != "assistant" or last.is_error:
        return None
    usage = last.usage or Usage()
    return Done(
        entry=last.entry, text=last.text, stop=last.stop, model=last.model, usage=usage, duration_s=0.0
    )


def _take(turn: Turn, end: Done | Failed) -> Failure | None:
    """Put down the answer. Why it is not a whole one, if so."""
    if isinstance(end, Failed):
        return failure_of(end.error)
    turn.entry, turn.text, turn.model, turn.stop = end.entry, end.text, end.model, end.stop
    turn.usage, turn.duration_s = end.usage, end.duration_s
    if end.stop not in SHORT:
        return None
    code, message = SHORT[end.stop]
    return Failure(code=code, message=message)


def failure_of(told: ErrorDocument) -> Failure:
    """The failure that a service tells of; of a code that only a later kata knows the exit status is kept."""
    return Failure(
        code=told.code if told.code in MEANINGS else "unexpected_error",
        message=told.message,
        remediation=told.remediation,
        provider=told.provider,
        request_id=told.request_id,
        exit_code=told.exit_code,
    )
