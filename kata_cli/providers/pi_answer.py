"""How a run of Pi ends as an answer: its reply, or the failure that its words stand for."""

from __future__ import annotations

import re

import msgspec

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.messages import Reply, Request, Usage
from kata_cli.pi.rpc import Rejected
from kata_cli.pi.turn import Turn
from kata_cli.providers import failures
from kata_cli.providers.failures import Source

# Newer versions pass on the whole body behind a colon, older ones only its message, or that it had none.
_STATUS = re.compile(r"([45]\d\d)(?: status code)?\b(:?)\s*(.*)", re.S)
# Pi passes on a vendor's failure as words alone; these are its own fixed ones. All else is the network's.
_WORDS = (
    (re.compile(r"No API key found"), "missing_auth"),
    (re.compile(r"Context overflow recovery failed"), "context_too_long"),
    (re.compile(r"Provider finish_reason: content_filter|The model refused"), "content_policy"),
)


def text_of(turn: Turn) -> str:
    """What belongs to the answer: the last message unless it called tools, else what had come of the next.

    What was answered before the user spoke again in mid-run stands in front.
    """
    return "\n\n".join(part for part in (*turn.answered, _last_text(turn)) if part)


def reply_of(turn: Turn, request: Request, thinking: str) -> Reply:
    """The reply of a run that has no failure; `thinking` is the level that was in force."""
    message = turn.message
    assert message is not None
    reported = message.model if isinstance(message.model, str) else ""
    return Reply(
        text=text_of(turn),
        model=reported or request.model.id,
        thinking=thinking,
        stop="length" if message.stop_reason == "length" else "stop",
        usage=turn.usage or Usage(),
        request_id=message.response_id if isinstance(message.response_id, str) else None,
    )


def failure_of(turn: Turn, request: Request) -> Failure | None:
    """Why a run that has ended is no answer."""
    if turn.failure is not None:
        return turn.failure
    message, text = turn.message, text_of(turn)
    if message is None:
        return _failed(request, "invalid_output", "Pi ended the run without an answer")
    if message.stop_reason == "error":
        return _vendor_failure(turn, request, str(turn.overflow or message.error_message or "no reason"))
    if message.stop_reason == "aborted":
        return _failed(request, "provider_unavailable", "Pi aborted the run")
    if message.stop_reason == "length" and not text.strip():
        told = "Pi's answer reached its token limit before any text came"
        return _failed(request, "invalid_output", told)
    if message.stop_reason not in ("stop", "length") or not text.strip():
        return _failed(request, "invalid_output", "Pi ended the run without text")
    return None


def addressed(error: KataError, request: Request) -> Failure:
    """The failure behind an error, with the model that was asked."""
    if isinstance(error, Rejected):
        return _failed(request, _code_of(error.reason, "invalid_request"), str(error))
    model = request.model
    return msgspec.structs.replace(error.failure, provider=model.provider, model=str(model))


def _last_text(turn: Turn) -> str:
    if turn.partial:
        return turn.partial
    message = turn.message
    return "" if message is None or message.stop_reason == "toolUse" else message.text


def _vendor_failure(turn: Turn, request: Request, said: str) -> Failure:
    """The vendor's failure behind Pi's words. What Pi has already tried again is not tried once more."""
    model = request.model
    failure = _classified(Source(model.provider, str(model), "the provider"), said)
    return msgspec.structs.replace(failure, should_retry=False) if turn.was_retried else failure


def _failed(request: Request, code: str, message: str) -> Failure:
    model = request.model
    return Failure(code=code, message=message, provider=model.provider, model=str(model))


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
