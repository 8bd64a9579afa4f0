"""The mock adapter: the answers of `author`, at the pace and with the faults of a scenario."""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator

from kata_cli.core.errors import Failure
from kata_cli.core.events import ContentDelta, Event, ReplyFailed, ReplyFinished
from kata_cli.core.messages import ModelInfo, Reply, Request, ToolCall, Usage, estimate_tokens
from kata_cli.core.ports import Credential, Endpoint, Timeouts
from kata_cli.providers.mock.scenario import Fault, Scenario

MODEL_ID = "mock-1"
CHARS_PER_DELTA = 400
BYTES_PER_TOKEN = 4
DELTAS_PER_S = 50  # the most, of an answer that comes at a pace
TASK_TYPES = ("investigate", "implement", "verify", "debug", "critique", "review", "synthesize")

_FAIL = re.compile(r"(?<![\w-])fail(?![\w-])", re.I)
_DELEGATE_FAIL = re.compile(r"(?<![\w-])delegate-fail(?![\w-])", re.I)


class MockProvider:
    """Answers from the prompt alone. Needs no key, opens no connection."""

    def __init__(
        self, endpoint: Endpoint, credential: Credential, timeouts: Timeouts, scenario: Scenario | None = None
    ) -> None:
        self._scenario = scenario or Scenario()
        self._timeouts = timeouts
        self._used: Counter[int] = Counter()

    async def stream(self, request: Request) -> AsyncIterator[Event]:
        """See `core.ports.Provider`. A `crash` fault raises, as a bug in an adapter would."""
        from kata_cli.providers.mock.author import write_reply  # 8 ms, for nothing in any other mode

        if self._scenario.latency_ms:
            await asyncio.sleep(self._scenario.latency_ms / 1000)
        fault = self._fault_of(request)
        if fault is not None and fault.kind not in ("truncated", "bad_schema"):
            yield await self._fail(fault)
            return
        text, calls = write_reply(request)
        if fault is not None:
            text, calls = text[: len(text) // 2] if fault.kind == "truncated" else "{" + text, ()
        clock = asyncio.get_running_loop()
        started_s = clock.time()
        for delta, due_s in _paced(text, self._scenario.tokens_per_s):
            if due_s:
                await asyncio.sleep(started_s + due_s - clock.time())
            yield ContentDelta(task=request.task, text=delta)
        is_cut = fault is not None and fault.kind == "truncated"
        yield ReplyFinished(reply=_reply(request, text, calls, is_cut=is_cut))

    async def models(self) -> list[ModelInfo]:
        """The one model there is."""
        return [ModelInfo(provider="mock", id=MODEL_ID, name="deterministic mock", thinking=["off"])]

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _fault_of(self, request: Request) -> Fault | None:
        for index, fault in enumerate(self._scenario.faults):
            if fault.task in ("*", request.task) and self._used[index] < fault.times:
                self._used[index] += 1
                return fault
        return _keyword_fault(request) if self._scenario.keywords else None

    async def _fail(self, fault: Fault) -> ReplyFailed:
        if fault.kind == "crash":
            raise RuntimeError("the scenario scripts a crash of the provider")
        if fault.kind == "stall":
            await asyncio.sleep(self._timeouts.idle_s)
            message = f"no byte for {self._timeouts.idle_s:g} s (idle time-out)"
            return ReplyFailed(failure=Failure(code="timeout", message=message))
        code = "invalid_output" if fault.kind == "empty" else fault.kind
        message = "the answer is empty" if fault.kind == "empty" else f"scripted fault {fault.kind}"
        return ReplyFailed(failure=Failure(code=code, message=message, retry_after_s=fault.retry_after_s))


def _paced(text: str, tokens_per_s: float) -> Iterator[tuple[str, float]]:
    """The deltas of a text, each with the seconds after which it is due; without a pace all are at once."""
    chars = math.ceil(tokens_per_s / DELTAS_PER_S) * BYTES_PER_TOKEN or CHARS_PER_DELTA
    sent_bytes = 0
    for start in range(0, len(text), chars):
        delta = text[start : start + chars]
        sent_bytes += len(delta.encode("utf-8", "replace"))
        yield delta, sent_bytes / BYTES_PER_TOKEN / tokens_per_s if tokens_per_s else 0.0


def _reply(request: Request, text: str, calls: tuple[ToolCall, ...], *, is_cut: bool) -> Reply:
    said = "".join([text, *(call.arguments for call in calls)])
    return Reply(
        text=text,
        model=MODEL_ID,
        stop="tool_use" if calls else "length" if is_cut else "stop",
        calls=calls,
        usage=Usage(input=estimate_tokens(request.prompt), output=estimate_tokens(said)),
    )


def _keyword_fault(request: Request) -> Fault | None:
    """`delegate-fail` fails verify and every task type the goal also names; `fail` fails the run."""
    if _DELEGATE_FAIL.search(request.goal):
        named = {kind for kind in TASK_TYPES if re.search(rf"\b{kind}\b", request.goal, re.I)}
        return Fault(kind="task_failed") if request.role in named | {"verify"} else None
    return Fault(kind="task_failed") if _FAIL.search(request.goal) else None
