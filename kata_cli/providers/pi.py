"""Pi as a provider: each request is one run of an agent that may read the workspace with its own tools.

Pi's protocol takes neither a temperature nor a bound of the answer: one is refused, the other is Pi's own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import ContentDelta, Event, ReplyFailed, ReplyFinished
from kata_cli.core.messages import ModelInfo, Reply, Request, Usage
from kata_cli.core.ports import Timeouts
from kata_cli.pi import agent as agents
from kata_cli.pi import binary as binaries
from kata_cli.pi import home
from kata_cli.pi.agent import Agent
from kata_cli.pi.binary import Version
from kata_cli.pi.options import PiOptions
from kata_cli.pi.pool import Pool
from kata_cli.pi.prompt import prompt_text
from kata_cli.pi.rpc import Rejected
from kata_cli.pi.turn import Turn
from kata_cli.pi.wire import Model
from kata_cli.providers import failures
from kata_cli.providers.exchange import Limits
from kata_cli.providers.failures import Source

ALL_KEYS = ""

# Newer versions pass on the whole body behind a colon, older ones only its message, or that it had none.
_STATUS = re.compile(r"([45]\d\d)(?: status code)?\b(:?)\s*(.*)", re.S)
# Pi passes on a vendor's failure as words alone; these are its own fixed ones. All else is the network's.
_WORDS = (
    (re.compile(r"No API key found"), "missing_auth"),
    (re.compile(r"Context overflow recovery failed"), "context_too_long"),
    (re.compile(r"Provider finish_reason: content_filter|The model refused"), "content_policy"),
)


class PiProvider:
    """Answers requests through a pool of Pi processes. A model is Pi's own `provider/id`."""

    def __init__(self, options: PiOptions, timeouts: Timeouts) -> None:
        self._options = options
        self._timeouts = timeouts
        self._pool = Pool(self._start, options.max_instances)
        self._binary: Path | None = None
        self._version: asyncio.Task[Version] | None = None

    @property
    def warnings(self) -> list[str]:
        """What came from Pi and was no record of its protocol."""
        return self._pool.warnings

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """The run's thinking and tool calls as they come, then the text of its last message, then the end."""
        run = _Run(self._pool, request, self._timeouts)
        try:
            while not run.is_over:
                await run.advance()
                for event in run.take():
                    yield event
        finally:
            await run.aclose()
        for event in run.ending():
            yield event

    async def models(self) -> list[ModelInfo]:
        """What Pi itself reports for the keys and the login it has, sorted. Raises `KataError`."""
        agent = await self._pool.acquire(ALL_KEYS)
        try:
            found = await agent.models()
        finally:
            await self._pool.release(agent, is_reusable=False)
        return sorted(map(_info, *zip(*found, strict=True)), key=_order) if found else []

    async def aclose(self) -> None:
        await self._pool.aclose()
        if self._version is not None:
            self._version.cancel()
            await asyncio.gather(self._version, return_exceptions=True)

    async def _start(self, key: str) -> Agent:
        options = self._options
        if self._binary is None or self._version is None:
            self._binary = binaries.find(options.binary, options.environ.get("PATH", ""), options.cwd)
            asking = binaries.version_of(self._binary, home.environment(options), options.start_s)
            self._version = asyncio.create_task(asking)
        return await agents.start(self._binary, self._version, key, options)


class _Run:
    """One request on its way through one agent. Faults of Pi and limits become its failure."""

    def __init__(self, pool: Pool, request: Request, timeouts: Timeouts) -> None:
        self._pool = pool
        self._request = request
        self._timeouts = timeouts
        self._agent: Agent | None = None
        self._turn: Turn | None = None
        self._limits: Limits | None = None
        self._failure: Failure | None = None
        self._thinking = ""

    @property
    def is_over(self) -> bool:
        return self._failure is not None or (self._turn is not None and self._turn.is_over)

    async def advance(self) -> None:
        """One step: an agent, its prompt, then one batch of news at a time."""
        try:
            if self._agent is None:
                self._agent = await self._pool.acquire(self._request.model.provider)
            elif self._turn is None or self._limits is None:
                # Waiting for a free agent is no stall, so the time limits begin here.
                self._limits = Limits(self._timeouts, self._request.timeout_s)
                self._turn = await self._limits.first_byte(self._begin(self._agent))
            else:
                await self._limits.idle(self._agent.advance(self._turn))
        except KataError as error:
            self._failure = self._addressed(error)

    def take(self) -> list[Event]:
        return self._turn.take() if self._turn else []

    async def aclose(self) -> None:
        if self._agent is not None:
            is_reusable = self._turn is not None and self._turn.is_over and self._failure is None
            await self._pool.release(self._agent, is_reusable=is_reusable)

    def ending(self) -> list[Event]:
        """The text and the terminal event."""
        turn = self._turn
        text = _text(turn) if turn else ""
        shown: list[Event] = [ContentDelta(task=self._request.task, text=text)] if text else []
        failure = self._failure or self._outcome(turn, text)
        usage = turn.usage if turn else None
        if failure is not None:
            return [*shown, ReplyFailed(failure=failure, seen=text, usage=usage)]
        assert turn is not None
        return [*shown, ReplyFinished(reply=self._reply(turn, text))]

    async def _begin(self, agent: Agent) -> Turn:
        if self._request.temperature is not None:
            raise KataError("invalid_request", "Pi takes no temperature", "leave out --temperature")
        self._thinking = await agent.prepare(self._request.model, self._request.thinking)
        return await agent.prompt(prompt_text(self._request), self._request.task)

    def _reply(self, turn: Turn, text: str) -> Reply:
        message = turn.message
        assert message is not None
        reported = message.model if isinstance(message.model, str) else ""
        return Reply(
            text=text,
            model=reported or self._request.model.id,
            thinking=self._thinking,
            stop="length" if message.stop_reason == "length" else "stop",
            usage=turn.usage or Usage(),
            request_id=message.response_id if isinstance(message.response_id, str) else None,
        )

    def _outcome(self, turn: Turn | None, text: str) -> Failure | None:
        """Why a run that ended by itself is no answer."""
        if turn is None or turn.failure is not None:
            return turn.failure if turn else None
        message = turn.message
        if message is None:
            return self._failed("invalid_output", "Pi ended the run without an answer")
        if message.stop_reason == "error":
            return self._vendor_failure(turn, str(turn.overflow or message.error_message or "no reason"))
        if message.stop_reason == "aborted":
            return self._failed("provider_unavailable", "Pi aborted the run")
        if message.stop_reason == "length" and not text.strip():
            return self._failed("invalid_output", "Pi's answer reached its token limit before any text came")
        if message.stop_reason not in ("stop", "length") or not text.strip():
            return self._failed("invalid_output", "Pi ended the run without text")
        return None

    def _vendor_failure(self, turn: Turn, said: str) -> Failure:
        """The vendor's failure behind Pi's words. What Pi has already tried again is not tried once more."""
        model = self._request.model
        failure = _classified(Source(model.provider, str(model), "the provider"), said)
        return msgspec.structs.replace(failure, should_retry=False) if turn.was_retried else failure

    def _addressed(self, error: KataError) -> Failure:
        if isinstance(error, Rejected):
            return self._failed(_code_of(error.reason, "invalid_request"), str(error))
        model = self._request.model
        return msgspec.structs.replace(error.failure, provider=model.provider, model=str(model))

    def _failed(self, code: str, message: str) -> Failure:
        model = self._request.model
        return Failure(code=code, message=message, provider=model.provider, model=str(model))


def _text(turn: Turn) -> str:
    """What belongs to the answer: the last message unless it called tools, else what had come of the next."""
    if turn.partial:
        return turn.partial
    message = turn.message
    return "" if message is None or message.stop_reason == "toolUse" else message.text


def _classified(source: Source, said: str) -> Failure:
    match = _STATUS.fullmatch(said.strip())
    if match is not None:
        status, colon, words = match.groups()
        body = words.encode() if colon else msgspec.json.encode({"message": words})
        return failures.of_response(source, int(status), {}, body, 0.0)
    return Failure(
        code=_code_of(said, "provider_unavailable"),
        message=failures.one_line(f"{source.provider} failed: {said}"),
        provider=source.provider,
        model=source.model,
    )


def _code_of(said: str, otherwise: str) -> str:
    return next((code for words, code in _WORDS if words.search(said)), otherwise)


def _info(model: Model, levels: list[str]) -> ModelInfo:
    return ModelInfo(
        provider=model.provider,
        id=model.id,
        name=model.name,
        context_window=model.context_window,
        max_output_tokens=model.max_tokens,
        thinking=levels,
    )


def _order(info: ModelInfo) -> tuple[str, str]:
    return info.provider, info.id
