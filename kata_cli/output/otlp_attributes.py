"""The attributes of spans, without any content: names of the conventions, `kata.` where they have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kata_cli.core.events import AttemptStarted, RunStarted, UsageReported
from kata_cli.core.messages import ModelRef, Usage


def of_run(event: RunStarted) -> dict[str, object]:
    return {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.conversation.id": event.session_id,
        "gen_ai.workflow.name": event.workflow,
        "kata.runtime_mode": event.runtime_mode,
    }


def of_request(event: AttemptStarted) -> dict[str, object]:
    request = event.request
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": request.model.provider,
        "gen_ai.request.model": request.model.id,
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.output.type": "json" if request.schema else "text",
        "kata.attempt": event.attempt,
    }


def of_reply(event: UsageReported) -> dict[str, object]:
    return {
        "gen_ai.response.model": model_of(event.model),
        "gen_ai.response.id": event.request_id,
        "gen_ai.response.finish_reasons": [event.stop] if event.stop else None,
        "gen_ai.response.time_to_first_chunk": event.first_byte_s,
        **of_usage(event.usage),
        "kata.cost.estimated": event.is_estimated,
    }


def of_usage(usage: Usage) -> dict[str, object]:
    return {
        "gen_ai.usage.input_tokens": usage.input + usage.cache_read + usage.cache_write,
        "gen_ai.usage.output_tokens": usage.output,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read or None,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write or None,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning or None,
        "kata.cost.usd": usage.cost_usd,
    }


def model_of(reference: str) -> str:
    """The model's own id, without its provider."""
    return ModelRef.parse(reference).id if "/" in reference else reference


def encoded(told: Mapping[str, object]) -> list[dict[str, Any]]:
    """The attributes that have a value, in the form of OTLP/JSON: integers of 64 bits are strings there."""
    return [{"key": key, "value": _value(value)} for key, value in told.items() if value not in (None, "")]


def _value(value: object) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_value(item) for item in value]}}
        case _:
            return {"stringValue": str(value)}
