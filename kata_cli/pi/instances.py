"""Several instances as one provider: who is asked, who waits for room, and where else a request may go."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from typing import NamedTuple, TypeVar, cast

import msgspec

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import Event, ReplyFailed, ReplyFinished
from kata_cli.core.messages import Message, ModelInfo, ModelRef, Request
from kata_cli.pi.instance import Instance, pick

K = TypeVar("K")
V = TypeVar("V")

# Failures after which another instance may well answer.
MOVABLE = frozenset(
    {
        *("provider_unavailable", "timeout", "rate_limited", "agent_unavailable"),
        *("missing_auth", "invalid_auth", "session_expired", "quota_exhausted", "model_not_found"),
    }
)
MAX_REMEMBERED = 4096


class Seat(NamedTuple):
    """A request's place at an instance; `is_probe` when others wait for its outcome."""

    instance: Instance
    is_probe: bool


class _Waiting(NamedTuple):
    seat: asyncio.Future[Seat]
    favourite: Instance | None
    tried: Collection[Instance]


class Queue:
    """Gives out seats, first come first served, none beyond an instance's capacity."""

    def __init__(self, instances: Sequence[Instance]) -> None:
        self._instances = instances
        self._waiting: deque[_Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, favourite: Instance | None, tried: Collection[Instance]) -> Seat:
        """A seat as soon as there is one. Raises `KataError` where none can be hoped for."""
        seat: asyncio.Future[Seat] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(seat, favourite, tried))
        self.pump()
        try:
            return await seat
        except asyncio.CancelledError:
            if seat.done() and not seat.cancelled() and seat.exception() is None:
                self.give_back(seat.result())
            raise

    def give_back(self, seat: Seat, outcome: ReplyFinished | ReplyFailed | None = None) -> None:
        """End a request; without an outcome it was broken off from here."""
        instance = seat.instance
        instance.leave()
        match outcome:
            case ReplyFinished():
                instance.succeed()
            case ReplyFailed(failure=failure):
                instance.fail(failure)
            case None:
                instance.breaker.drop(was_probe=seat.is_probe)
        self.pump()

    def pump(self) -> None:
        """Give seats to those who can have one; refuse all when none can be hoped for."""
        refusal = self._refusal()
        waiting, self._waiting = self._waiting, deque()
        for place in waiting:
            if place.seat.done():
                continue
            if refusal is not None:
                place.seat.set_exception(KataError.of(refusal))
            elif self._has_room and (instance := pick(self._instances, place.favourite, place.tried)):
                place.seat.set_result(Seat(instance, instance.enter()))
            else:
                self._waiting.append(place)
        self._set_timer()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    @property
    def _has_room(self) -> bool:
        return any(instance.is_warm and instance.has_room for instance in self._instances)

    def _refusal(self) -> Failure | None:
        """Why nobody can be waited for: all were removed, or those that are cold were never there."""
        left = [instance for instance in self._instances if instance.removed is None]
        if any(instance.is_warm or instance.is_known or instance.in_flight for instance in left):
            return None
        failed = [instance.removed or instance.last_failure for instance in self._instances]
        return next(failure for failure in failed if failure is not None)

    def _set_timer(self) -> None:
        """Look again when the first of those that are cold may be asked."""
        self.close()
        cold_s = [
            instance.wait_s
            for instance in self._instances
            if instance.removed is None and instance.wait_s > 0
        ]
        if self._waiting and cold_s:
            self._timer = asyncio.get_running_loop().call_later(min(cold_s), self.pump)


class Instances:
    """A provider over several, of which each may fail.

    Requests of one conversation go to the same instance as long as it can take them. A failure before the
    first content says in `has_other` that another instance can be asked at once; the same request, when it
    comes again, goes to one that was not tried.
    """

    def __init__(self, instances: Sequence[Instance]) -> None:
        self._all = list(instances)
        self._queue = Queue(self._all)
        self._favourites: OrderedDict[object, Instance] = OrderedDict()
        self._tried: OrderedDict[object, frozenset[Instance]] = OrderedDict()

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        tried = self._tried.pop(_exact(request), frozenset())
        try:
            seat = await self._queue.take(self._favourites.get(_conversation(request)), tried)
        except KataError as error:
            yield ReplyFailed(failure=error.failure)
            return
        _remember(self._favourites, _conversation(request), seat.instance)
        has_content, outcome = False, None
        try:
            async with aclosing(self._answer(seat.instance, request)) as events:
                async for event in events:
                    if isinstance(event, ReplyFinished | ReplyFailed):
                        outcome = event
                    else:
                        has_content = True
                        yield event
        finally:
            self._queue.give_back(seat, outcome)
        if isinstance(outcome, ReplyFailed):
            # One that was tried already was waited for: the next round is the retry loop's to decide.
            is_first = seat.instance not in tried
            may_move = is_first and not has_content and outcome.failure.code in MOVABLE
            yield self._failed(request, seat.instance, outcome, tried if may_move else None)
        elif outcome is not None:
            reply = msgspec.structs.replace(outcome.reply, host=seat.instance.name)
            yield ReplyFinished(reply=reply)

    async def models(self) -> list[ModelInfo]:
        """What all instances that answer have in common, for any of them may get a request."""
        asked = await asyncio.gather(
            *(instance.provider.models() for instance in self._all), return_exceptions=True
        )
        for answer in asked:
            if isinstance(answer, BaseException) and not isinstance(answer, KataError):
                raise answer
        listed = [answer for answer in asked if not isinstance(answer, BaseException)]
        if not listed:
            raise next(answer for answer in asked if isinstance(answer, KataError))
        shared = frozenset.intersection(*(frozenset(map(_ref, models)) for models in listed))
        return [model for model in listed[0] if _ref(model) in shared]

    async def aclose(self) -> None:
        self._queue.close()
        await asyncio.gather(*(instance.provider.aclose() for instance in self._all))

    @property
    def warnings(self) -> list[str]:
        """What was odd about the instances, and which of them did not do well."""
        told = [line for instance in self._all for line in getattr(instance.provider, "warnings", [])]
        for instance in self._all:
            if instance.removed is not None:
                told.append(f"{instance.name} was left out: {instance.removed.message}")
            elif instance.health.status in ("degraded", "unhealthy"):
                told.append(f"{instance.name} was {instance.health}")
        return told

    async def _answer(self, instance: Instance, request: Request) -> AsyncGenerator[Event, None]:
        try:
            await instance.measure()
        except KataError as error:
            yield ReplyFailed(failure=error.failure)
            return
        self._queue.pump()
        async with aclosing(cast(AsyncGenerator[Event, None], instance.provider.stream(request))) as events:
            async for event in events:
                yield event

    def _failed(
        self, request: Request, instance: Instance, outcome: ReplyFailed, tried: frozenset[Instance] | None
    ) -> ReplyFailed:
        """The failure, named after the instance. `tried` are those before it, None where it must stay."""
        failure = outcome.failure
        if instance.name not in failure.message and len(self._all) > 1:
            failure = msgspec.structs.replace(failure, message=f"{instance.name}: {failure.message}")
        if tried is not None:
            tried |= {instance}
            has_other = any(other.is_warm for other in self._all if other not in tried)
            if has_other:
                _remember(self._tried, _exact(request), tried)
            failure = msgspec.structs.replace(failure, has_other=has_other)
        return msgspec.structs.replace(outcome, failure=failure)


def _exact(request: Request) -> object:
    """What a request has in common with itself, when it is made again."""
    return request.task, hash((request.model, request.messages))


def _conversation(request: Request) -> object:
    """What the requests of one conversation have in common: they begin alike."""
    first: Message | None = next(iter(request.messages), None)
    return request.task, hash((request.system, first))


def _remember(known: OrderedDict[K, V], key: K, value: V) -> None:
    """Keep the latest; what is forgotten costs a warm cache at most."""
    known[key] = value
    known.move_to_end(key)
    if len(known) > MAX_REMEMBERED:
        known.popitem(last=False)


def _ref(model: ModelInfo) -> ModelRef:
    return ModelRef(model.provider, model.id)
