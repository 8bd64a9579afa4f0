"""Answers from a record: each request gets what it got then, or an error that names the difference."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Iterator

import msgspec

from kata_cli.core.errors import Failure
from kata_cli.core.events import ContentDelta, Event, ReplyFailed, ReplyFinished
from kata_cli.core.exchange import Exchange
from kata_cli.core.messages import Message, ModelInfo, ModelRef, Reply, Request
from kata_cli.core.ports import Credential, Endpoint
from kata_cli.core.text import one_line

SHOWN_CHARS = 60
# The fields of a request that can differ, the most telling first; messages are compared one by one.
COMPARED = (
    "model",
    "goal",
    "system",
    "schema_name",
    "schema",
    "thinking",
    "temperature",
    "max_tokens",
    "tools",
)

_encode = msgspec.json.Encoder(order="sorted").encode


class ReplayProvider:
    """Stands in for every provider of a recorded run. The same request asked again gets the next answer."""

    def __init__(self, recorded: Iterable[Exchange]) -> None:
        self._recorded = list(recorded)
        self._answers: dict[bytes, deque[Exchange]] = defaultdict(deque)
        for exchange in filter(_came_to_an_end, self._recorded):
            self._answers[_key(exchange.request)].append(exchange)

    async def stream(self, request: Request) -> AsyncIterator[Event]:
        """See `core.ports.Provider`."""
        waiting = self._answers.get(_key(request))
        if not waiting:
            yield ReplyFailed(failure=self._miss(request))
            return
        exchange = waiting.popleft()
        reply = exchange.reply
        if reply is not None and reply.text:
            yield ContentDelta(task=request.task, text=reply.text)
        # An answer that did not hold came all the same: it is the engine that finds it wanting again.
        if reply is None or (exchange.failure and exchange.failure.code != "invalid_output"):
            assert exchange.failure is not None
            yield ReplyFailed(failure=msgspec.structs.replace(exchange.failure, retry_after_s=None))
            return
        yield ReplyFinished(
            reply=Reply(
                text=reply.text,
                model=ModelRef.parse(reply.model).id,
                stop=reply.stop,
                calls=reply.calls,
                usage=reply.usage,
                request_id=reply.request_id,
            )
        )

    async def models(self) -> list[ModelInfo]:
        """The models that were asked."""
        asked = dict.fromkeys(exchange.request.model for exchange in self._recorded)
        return [ModelInfo(provider=model.provider, id=model.id) for model in asked]

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _miss(self, request: Request) -> Failure:
        """Why there is no answer, by comparison with what the task asked then."""
        then = [exchange.request for exchange in self._recorded if exchange.task == request.task]
        if not then:
            told = "the record holds no request of that task"
        elif any(_key(asked) == _key(request) for asked in then):
            told = "it was asked less often then, or the run was stopped before an answer came"
        else:
            nearest = min((list(_differences(asked, request)) for asked in then), key=len)
            told = nearest[0] if nearest else "its numbers are written in another form"
        return Failure(
            code="usage",
            message=f"nothing recorded answers task {request.task}: {told}",
            remediation="replay with the goal, files and settings of the record, or run without --replay",
        )


class ReplayKeys:
    """No request of a replay needs a key."""

    def find(self, endpoint: Endpoint) -> Credential | Failure:
        return Credential(kind="none", source="no key needed: answers are replayed")


def endpoints_of(recorded: Iterable[Exchange]) -> dict[str, Endpoint]:
    """An endpoint for each provider of a record, whether or not it is configured here."""
    names = dict.fromkeys(exchange.request.model.provider for exchange in recorded)
    return {name: Endpoint(name=name, kind="replay", base_url="", requires_key=False) for name in names}


def _came_to_an_end(exchange: Exchange) -> bool:
    """Whether the provider had the last word: that a run was stopped is nothing to answer with."""
    stopped = exchange.failure is None or exchange.failure.code in ("interrupted", "deadline")
    return exchange.reply is not None or not stopped


def _key(request: Request) -> bytes:
    """What makes two requests the same: all that is sent, and for which task. Time limits do not count."""
    return _encode(msgspec.structs.replace(request, timeout_s=None))


def _differences(then: Request, now: Request) -> Iterator[str]:
    """Where two requests differ, the most telling first."""
    for name in COMPARED:
        was, is_now = getattr(then, name), getattr(now, name)
        if was != is_now:
            yield f"{name} was {_shown(was)}, now it is {_shown(is_now)}"
    for number, (was, is_now) in enumerate(zip(then.messages, now.messages, strict=False), 1):
        if was.role != is_now.role:
            yield f"message {number} was the {was.role}'s, now it is the {is_now.role}'s"
        elif was.text != is_now.text:
            yield _line_difference(number, was, is_now)
        elif was != is_now:
            yield f"message {number} calls other tools, or answers another call"
    if len(then.messages) != len(now.messages):
        yield f"it had {len(then.messages)} messages, now it has {len(now.messages)}"
    if then.role != now.role:
        yield f"its role was {then.role}, now it is {now.role}"


def _line_difference(number: int, then: Message, now: Message) -> str:
    before, after = then.text.split("\n"), now.text.split("\n")
    pairs = enumerate(zip(before, after, strict=False), 1)
    line = next((line for line, (was, is_now) in pairs if was != is_now), min(len(before), len(after)) + 1)
    was, is_now = (_shown(text[line - 1]) if line <= len(text) else "nothing" for text in (before, after))
    return f"message {number} differs in line {line}: was {was}, now it is {is_now}"


def _shown(value: object) -> str:
    return f"`{one_line(str(value), SHOWN_CHARS)}`"
