"""A refusal as an HTTP answer: its status, its headers, and the error document as its body."""

from __future__ import annotations

import math
from collections.abc import Iterator
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from kata_cli.core.errors import Failure, document
from kata_cli.service.asgi import Message, Send

Headers = tuple[tuple[bytes, bytes], ...]

SAFE_HEADERS: Headers = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
RETRY_AFTER_S = 5

# The status of a failure that names none of the service. A provider's own is not passed on: its 401 is about
# the service's key, not about the client's token.
STATUS_OF: dict[str, int] = {
    "unexpected_error": 500,
    "usage": 400,
    "config": 500,
    "missing_auth": 503,
    "invalid_auth": 502,
    "session_expired": 503,
    "invalid_request": 502,
    "model_not_found": 404,
    "context_too_long": 413,
    "content_policy": 422,
    "quota_exhausted": 503,
    "agent_unavailable": 503,
    "rate_limited": 429,
    "provider_unavailable": 502,
    "timeout": 504,
    "busy": 409,
    "limit_reached": 429,
    "task_failed": 502,
    "invalid_output": 502,
    "findings": 422,
    "io": 500,
    "deadline": 504,
    "interrupted": 503,
}

# The failure code of what is refused before the service is asked.
CODE_OF: dict[int, str] = {
    400: "usage",
    401: "invalid_auth",
    403: "usage",
    404: "usage",
    405: "usage",
    408: "timeout",
    411: "usage",
    413: "limit_reached",
    414: "limit_reached",
    415: "usage",
    421: "usage",
    431: "limit_reached",
    503: "busy",
}


class Refusal(msgspec.Struct, frozen=True):
    """Why a request is not served; `is_last` closes the connection after the answer."""

    status: int
    failure: Failure
    headers: Headers = ()
    is_last: bool = False


class Answer(NamedTuple):
    """A whole HTTP answer, ready to be sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def of(failure: Failure) -> Refusal:
    """The refusal that a failure stands for. A status counts only where it is not a provider's."""
    own = failure.status if failure.provider is None else None
    return Refusal(own or STATUS_OF[failure.code], failure)


def final(status: int, message: str, hint: str, headers: Headers = ()) -> Refusal:
    """A refusal after which nothing more is read from the connection."""
    failure = Failure(code=CODE_OF[status], message=message, remediation=hint)
    return Refusal(status, failure, headers, is_last=True)


def answer(refusal: Refusal, runtime_mode: str | None = None) -> Answer:
    """The error document of a refusal with all its headers."""
    body = msgspec.json.encode(document(refusal.failure, runtime_mode))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        *SAFE_HEADERS,
        *refusal.headers,
    ]
    if (wait_s := _retry_after(refusal)) is not None:
        headers.append((b"retry-after", b"%d" % wait_s))
    if refusal.is_last:
        headers.append((b"connection", b"close"))
    return Answer(refusal.status, headers, body)


def _retry_after(refusal: Refusal) -> int | None:
    """Whole seconds, rounded up; said too where nothing but trying again helps."""
    if refusal.failure.retry_after_s is not None:
        return math.ceil(refusal.failure.retry_after_s)
    is_passing = refusal.status == 429 or (refusal.status == 503 and refusal.failure.is_retryable)
    return RETRY_AFTER_S if is_passing else None


async def send_answer(
    send: Send, ready: Answer, kind: str = "http.response", *, is_complete: bool = True
) -> None:
    """Send an answer, of the `kind` `websocket.http.response` to a handshake; one not complete stays open."""
    await send({"type": f"{kind}.start", "status": ready.status, "headers": ready.headers})
    await send({"type": f"{kind}.body", "body": ready.body, "more_body": not is_complete})


def wire(ready: Answer) -> bytes:
    """An answer as the bytes of HTTP/1.1, for a request that never became one."""
    lines = [b"HTTP/1.1 %d %s" % (ready.status, HTTPStatus(ready.status).phrase.encode())]
    lines += [b"%s: %s" % header for header in ready.headers]
    return b"\r\n".join([*lines, b"", ready.body])


def hardened(send: Send) -> Send:
    """Each answer gets the safe headers, and none goes out with a CORS header."""

    async def send_hardened(message: Message) -> None:
        if message["type"].endswith("http.response.start"):
            message = {**message, "headers": list(_safe(tuple(message.get("headers", ()))))}
        await send(message)

    return send_hardened


def _safe(headers: Headers) -> Iterator[tuple[bytes, bytes]]:
    ours = {name for name, _ in SAFE_HEADERS} | {b"content-security-policy", b"server"}
    is_page = False
    for name, value in headers:
        lowered = name.lower()
        is_page |= lowered == b"content-type" and value.lower().startswith(b"text/html")
        if lowered not in ours and not lowered.startswith(b"access-control-"):
            yield name, value
    yield from SAFE_HEADERS
    if is_page:
        yield b"content-security-policy", PAGE_POLICY
