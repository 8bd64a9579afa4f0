"""One table from what a vendor or the network did to the failure that a user sees.

Classes come from statuses, from machine-readable codes in bodies and from exception types, never from words
in a message. Sources: the error pages of both vendors' API references and the types of their SDKs.
"""

from __future__ import annotations

import functools
import socket
import ssl
from collections.abc import Mapping
from typing import Any

import msgspec

from kata_cli.core.errors import Failure
from kata_cli.providers.headers import request_id, retry_after_s, should_retry
from kata_cli.providers.sse import LineTooLongError

MAX_DETAIL_CHARS = 300

# A code names the cause and wins over the status, which several causes share.
BY_CODE: dict[str, str] = {
    "account_deactivated": "invalid_auth",
    "invalid_api_key": "invalid_auth",
    "model_not_found": "model_not_found",
    "context_length_exceeded": "context_too_long",
    "exceed_context_size_error": "context_too_long",
    "request_body_too_large_after_decoding": "context_too_long",
    "request_too_large": "context_too_long",
    "string_above_max_length": "context_too_long",
    "bio_policy": "content_policy",
    "content_filter": "content_policy",
    "content_policy_violation": "content_policy",
    "misalignment_policy_violation": "content_policy",
    "billing_error": "quota_exhausted",
    "billing_hard_limit_reached": "quota_exhausted",
    "billing_not_active": "quota_exhausted",
    "contract_spend_limit_reached": "quota_exhausted",
    "credit_balance_exhausted": "quota_exhausted",
    "enforced_spend_limit_reached": "quota_exhausted",
    "insufficient_quota": "quota_exhausted",
    "linked_organization_billing_unavailable": "quota_exhausted",
    "linked_organization_spend_limit_reached": "quota_exhausted",
    "rate_limit_exceeded": "rate_limited",
    "overloaded_error": "provider_unavailable",
    "timeout_error": "timeout",
}

BY_STATUS: dict[int, str] = {
    401: "invalid_auth",
    402: "quota_exhausted",
    403: "invalid_auth",
    404: "model_not_found",
    408: "timeout",
    409: "rate_limited",
    413: "context_too_long",
    429: "rate_limited",
}

# The kinds that errors inside a stream have instead of a status.
BY_KIND: dict[str, str] = {
    "api_error": "provider_unavailable",
    "authentication_error": "invalid_auth",
    "conflict_error": "rate_limited",
    "invalid_prompt": "invalid_request",
    "invalid_request_error": "invalid_request",
    "not_found_error": "model_not_found",
    "permission_error": "invalid_auth",
    "rate_limit_error": "rate_limited",
    "server_error": "provider_unavailable",
}


class Source(msgspec.Struct, frozen=True):
    """Who was asked: the provider's name, the model's id and the host."""

    provider: str
    model: str | None
    host: str


def of_response(
    source: Source, status: int, headers: Mapping[str, str], body: bytes, now_s: float
) -> Failure:
    """The failure of an HTTP answer that is no success. `now_s` is the wall time, for dates in headers."""
    if 300 <= status < 400:
        return _redirect(source, status, headers)
    content = _decoded(body)
    code = code_of(content, status)
    remediation = ""
    if status == 404 and not isinstance(content, dict):
        code, remediation = "invalid_request", f"check the base_url of {source.provider}"
    detail = detail_of(content) or "no detail given"
    return Failure(
        code=code,
        message=f"{source.provider} answered {status}: {detail}",
        remediation=remediation,
        provider=source.provider,
        model=source.model,
        request_id=request_id(headers),
        status=status,
        retry_after_s=retry_after_s(headers, now_s),
        should_retry=should_retry(headers),
    )


def of_event(source: Source, error: object, request: str | None = None) -> Failure:
    """The failure that an error inside a stream reports."""
    detail = detail_of({"error": error}) or "no detail given"
    return Failure(
        code=code_of({"error": error}),
        message=f"{source.provider} ended the answer with an error: {detail}",
        provider=source.provider,
        model=source.model,
        request_id=request,
    )


def of_exception(source: Source, error: BaseException) -> Failure | None:
    """The failure behind an exception of the transport or the decoder; None for a programming error."""
    for kinds, code, told in _transport():
        if isinstance(error, kinds):
            cause = _deepest(error)
            text, retry = _cause_text(cause) or (told, None)
            return Failure(
                code=code,
                message=one_line(text.format(host=source.host, error=cause)),
                provider=source.provider,
                model=source.model,
                should_retry=retry,
            )
    return None


def code_of(content: object, status: int | None = None) -> str:
    """The failure code of an error body, with the HTTP status if there was one."""
    names = _names(content)
    for name in names:
        if name in BY_CODE:
            return BY_CODE[name]
    if status is not None:
        return BY_STATUS.get(status) or ("provider_unavailable" if status >= 500 else "invalid_request")
    return next((BY_KIND[name] for name in names if name in BY_KIND), "provider_unavailable")


def detail_of(content: object) -> str:
    """The provider's own words, in one line: the text, `message`, `error.message` or `error`."""
    if isinstance(content, dict):
        error = content.get("error")
        inner = error.get("message") if isinstance(error, dict) else error
        content = content.get("message") or inner or content.get("detail")
    if not isinstance(content, str) or content.lstrip().startswith("<"):
        return ""
    return one_line(content)


def one_line(text: str) -> str:
    """Text with its white space joined, cut to `MAX_DETAIL_CHARS`."""
    joined = " ".join(text.split())
    return joined if len(joined) <= MAX_DETAIL_CHARS else joined[: MAX_DETAIL_CHARS - 1] + "…"


def _redirect(source: Source, status: int, headers: Mapping[str, str]) -> Failure:
    scheme, slashes, rest = headers.get("location", "").partition("://")
    target = f"{scheme}://{rest.partition('/')[0]}" if slashes else "another address"
    return Failure(
        code="invalid_request",
        message=one_line(
            f"{source.provider} answered {status}, a redirect to {target}; nothing was sent there"
        ),
        remediation=f"set the base_url of {source.provider} to the address that answers itself",
        provider=source.provider,
        model=source.model,
        request_id=request_id(headers),
        status=status,
        should_retry=False,
    )


def _decoded(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body[: 4 * MAX_DETAIL_CHARS].decode("utf-8", "replace")


def _names(content: object) -> list[str]:
    """All that names the error in a body, the most specific first."""
    error: Any = content.get("error") if isinstance(content, dict) else None
    if not isinstance(error, dict):
        error = content if isinstance(content, dict) else {}
    details = error.get("details")
    specific = details.get("error_code") if isinstance(details, dict) else None
    found = (specific, error.get("code"), error.get("type"))
    return [name for name in found if isinstance(name, str)]


def _deepest(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def _cause_text(cause: BaseException) -> tuple[str, bool | None] | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "the certificate of {host} is not trusted: {error}", False
    if isinstance(cause, socket.gaierror):
        return "the host {host} is not known", None
    if isinstance(cause, ConnectionRefusedError):
        return "{host} refused the connection", None
    return None


@functools.cache
def _transport() -> tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str, str], ...]:
    """Exception types with the code and text of their failure; the first match counts."""
    import httpx2

    return (
        (httpx2.ConnectTimeout, "timeout", "no connection to {host} within the connect timeout"),
        (httpx2.TimeoutException, "timeout", "the network to {host} timed out"),
        (httpx2.ProxyError, "provider_unavailable", "the proxy before {host} refused: {error}"),
        (httpx2.ConnectError, "provider_unavailable", "no connection to {host}: {error}"),
        (httpx2.LocalProtocolError, "invalid_request", "the request to {host} breaks HTTP: {error}"),
        ((httpx2.UnsupportedProtocol, httpx2.InvalidURL), "invalid_request", "not a web address: {host}"),
        (httpx2.RequestError, "provider_unavailable", "the connection to {host} broke: {error}"),
        (LineTooLongError, "provider_unavailable", "{host} sent what is no event stream: {error}"),
        (msgspec.DecodeError, "provider_unavailable", "{host} sent an event that cannot be read: {error}"),
        (OSError, "provider_unavailable", "no connection to {host}: {error}"),
    )
