"""Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages), over its own SDK's client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from kata_cli.core import collector
from kata_cli.core.events import Event
from kata_cli.core.messages import ModelInfo, Request, StopCause, Usage
from kata_cli.core.ports import Credential, Endpoint, Timeouts
from kata_cli.providers import listing
from kata_cli.providers.answer import Answer, count
from kata_cli.providers.anthropic_models import decode_page, describe
from kata_cli.providers.anthropic_request import EFFORTS, message_body
from kata_cli.providers.clients import Clients, Connection, wrap
from kata_cli.providers.exchange import Call, converse, decline, refusal

if TYPE_CHECKING:
    import httpx2

MAX_TEMPERATURE = 1.0
STOPS: dict[str, StopCause] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
    "tool_use": "tool_use",
}


class _OutputDetails(msgspec.Struct):
    thinking_tokens: Any = None


class _Usage(msgspec.Struct):
    input_tokens: Any = None
    output_tokens: Any = None
    cache_read_input_tokens: Any = None
    cache_creation_input_tokens: Any = None
    output_tokens_details: _OutputDetails | None = None


class _Message(msgspec.Struct):
    model: str = ""
    usage: _Usage | None = None


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Block(_Delta):
    """`input` is empty where its pieces follow."""

    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None


class _Event(msgspec.Struct):
    type: str = ""
    index: int | None = None
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: _Usage | None = None
    error: Any = None


_decode_event = msgspec.json.Decoder(_Event).decode


class AnthropicProvider:
    """Answers requests through the Messages API."""

    def __init__(self, endpoint: Endpoint, credential: Credential, timeouts: Timeouts) -> None:
        self._credential = credential
        self._clients = Clients(endpoint, timeouts, lambda http: _connect(endpoint, credential, http))

    def stream(self, request: Request) -> AsyncIterator[Event]:
        refused = refusal(request, self._credential, MAX_TEMPERATURE)
        if refused is not None:
            return decline(refused)
        level = EFFORTS.get(request.thinking or "", request.thinking or "")
        call = Call(path="/v1/messages", body=message_body(request), read=read_event, thinking=level)
        return converse(self._clients, request, call)

    async def models(self) -> list[ModelInfo]:
        return await listing.models(
            self._clients,
            "/v1/models",
            decode_page,
            partial(describe, self._clients.endpoint.name),
            "after_id",
        )

    async def aclose(self) -> None:
        await self._clients.aclose()


def read_event(payload: bytes, answer: Answer) -> None:
    """Take one event of the stream into the answer. Raises `msgspec.DecodeError`."""
    event = _decode_event(payload)
    if event.delta is not None:
        _add(event.delta, answer)
        answer.calls.add(event.index, event.delta.partial_json)
        if event.delta.stop_reason is not None:
            answer.stop = STOPS.get(event.delta.stop_reason, "stop")
    match event.type:
        case "message_start" if event.message is not None:
            answer.model = event.message.model or answer.model
            _note_usage(event.message.usage, answer)
        case "content_block_start" if event.content_block is not None:
            _start_block(event.index, event.content_block, answer)
        case "message_delta":
            _note_usage(event.usage, answer)
        case "message_stop":
            answer.is_complete = True
        case "error":
            answer.fail_with(event.error)


def _start_block(index: int | None, block: _Block, answer: Answer) -> None:
    if block.type == "tool_use":
        initial = msgspec.json.encode(block.input).decode() if block.input else ""
        answer.calls.begin(index, block.id, block.name, initial)
    if block.type == "text" and answer.has_text:
        answer.add_text("\n")
    _add(block, answer)


def _add(part: _Delta, answer: Answer) -> None:
    if part.text:
        answer.add_text(part.text)
    if part.thinking:
        answer.add_thought(part.thinking)


def _note_usage(usage: _Usage | None, answer: Answer) -> None:
    """Later reports are cumulative and may leave out what did not change."""
    if usage is None:
        return
    before, details = answer.usage or Usage(), usage.output_tokens_details or _OutputDetails()

    def newest(reported: object, earlier: int) -> int:
        return earlier if reported is None else count(reported)

    answer.usage = Usage(
        input=newest(usage.input_tokens, before.input),
        output=newest(usage.output_tokens, before.output),
        cache_read=newest(usage.cache_read_input_tokens, before.cache_read),
        cache_write=newest(usage.cache_creation_input_tokens, before.cache_write),
        reasoning=newest(details.thinking_tokens, before.reasoning),
    )


def _connect(endpoint: Endpoint, credential: Credential, http: httpx2.AsyncClient) -> Connection:
    with collector.paused():
        import anthropic

    # Explicit credentials keep the SDK from looking for its own in the environment and in profile files.
    is_token = credential.kind == "token"
    sdk = anthropic.AsyncAnthropic(
        api_key=None if is_token else credential.secret,
        auth_token=credential.secret if is_token else None,
        base_url=endpoint.base_url,
        max_retries=0,
        http_client=http,
        open_telemetry=False,
    )
    # Headers from ANTHROPIC_CUSTOM_HEADERS: no setting of ours, and they could replace the credential.
    sdk._custom_headers = {}
    omit = anthropic.Omit()
    return wrap(sdk, anthropic, {} if credential.secret else {"Authorization": omit, "X-Api-Key": omit})
