"""The table from what went wrong to a failure code."""

from __future__ import annotations

import json
import math
import socket
import ssl
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx2
import msgspec
import pytest

from kata_cli.core.errors import MEANINGS
from kata_cli.providers import failures
from kata_cli.providers.failures import BY_CODE, BY_KIND, BY_STATUS, Source
from kata_cli.providers.headers import retry_after_s, should_retry

SOURCE = Source("vendor", "vendor/m-1", "api.example")
NOW_S = datetime(2026, 11, 21, 5, 44, 12, tzinfo=UTC).timestamp()


def test_every_code_of_the_tables_is_known() -> None:
    """The tables name no failure code that has no exit status."""
    assert {*BY_CODE.values(), *BY_STATUS.values(), *BY_KIND.values()} <= set(MEANINGS)


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, {"type": "invalid_request_error"}, "invalid_request"),
        (400, {"code": "context_length_exceeded"}, "context_too_long"),
        (400, {"type": "billing_error"}, "quota_exhausted"),
        (400, {"code": "content_policy_violation"}, "content_policy"),
        (401, {"type": "authentication_error"}, "invalid_auth"),
        (401, {"type": "invalid_request_error", "code": "invalid_api_key"}, "invalid_auth"),
        (402, {}, "quota_exhausted"),
        (403, {"type": "permission_error"}, "invalid_auth"),
        (404, {"type": "not_found_error"}, "model_not_found"),
        (408, {}, "timeout"),
        (409, {}, "rate_limited"),
        (413, {"type": "request_too_large"}, "context_too_long"),
        (413, {}, "context_too_long"),
        (422, {}, "invalid_request"),
        (429, {"type": "rate_limit_error"}, "rate_limited"),
        (429, {"code": "insufficient_quota"}, "quota_exhausted"),
        (429, {"code": "credit_balance_exhausted"}, "quota_exhausted"),
        (429, {"details": {"error_code": "enforced_spend_limit_reached"}}, "quota_exhausted"),
        (500, {"type": "api_error"}, "provider_unavailable"),
        (503, {}, "provider_unavailable"),
        (529, {"type": "overloaded_error"}, "provider_unavailable"),
        (None, {"type": "overloaded_error"}, "provider_unavailable"),
        (None, {"type": "rate_limit_error"}, "rate_limited"),
        (None, {"type": "invalid_request_error"}, "invalid_request"),
        (None, {"code": "something new"}, "provider_unavailable"),
        (None, {"code": 500, "type": ["odd"]}, "provider_unavailable"),
    ],
)
def test_a_code_wins_over_the_status(status: int | None, error: dict[str, Any], code: str) -> None:
    """The body's own code decides, then the status, then the kind of an error without one."""
    assert failures.code_of({"type": "error", "error": error}, status) == code


def test_words_in_a_message_decide_nothing() -> None:
    """A 500 that talks of 401 and quotas stays a 500."""
    body = json.dumps({"error": {"message": "401 rate limit, quota exceeded, unauthorized"}}).encode()
    assert failures.of_response(SOURCE, 500, {}, body, NOW_S).code == "provider_unavailable"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"message": "top"}, "top"),
        ({"error": {"message": "inner"}}, "inner"),
        ({"error": "plain"}, "plain"),
        ({"detail": "of the gateway"}, "of the gateway"),
        ("two\n  lines", "two lines"),
        ("<html>a page</html>", ""),
        ({"error": {"message": 5}}, ""),
        (["odd"], ""),
        ("x" * 400, "x" * 299 + "…"),
    ],
)
def test_the_detail_is_the_providers_own(body: object, detail: str) -> None:
    """The text, `message`, `error.message` or `error` is given in one line of at most 300 characters."""
    assert failures.detail_of(body) == detail


def test_a_failure_names_its_request() -> None:
    """Provider, model, status, request id and the wish about another attempt are kept."""
    headers = {"request-id": "req_9", "retry-after": "3", "x-should-retry": "false"}
    failure = failures.of_response(SOURCE, 429, headers, b'{"error":{"message":"slow down"}}', NOW_S)
    assert msgspec.structs.asdict(failure) == {
        "code": "rate_limited",
        "message": "vendor answered 429: slow down",
        "remediation": "",
        "provider": "vendor",
        "model": "vendor/m-1",
        "request_id": "req_9",
        "status": 429,
        "retry_after_s": 3.0,
        "should_retry": False,
        "has_other": False,
        "exit_code": -1,
    }


def test_a_404_without_json_is_a_wrong_address() -> None:
    """A page of some web server says nothing about the model."""
    failure = failures.of_response(SOURCE, 404, {}, b"<html>not here</html>", NOW_S)
    assert (failure.code, "base_url" in failure.hint) == ("invalid_request", True)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 5_000, b'{"error": null}', b"null"])
def test_any_body_gives_a_failure(body: bytes) -> None:
    """Bytes that are no JSON, or a bomb of brackets, are an outage like any other."""
    assert failures.of_response(SOURCE, 500, {}, body, NOW_S).code == "provider_unavailable"


@pytest.mark.parametrize(
    ("headers", "wish_s"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW_S + 30, UTC), usegmt=True)}, 30.0),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW_S - 30, UTC), usegmt=True)}, None),
        ({"retry-after": "86400"}, 86400.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], wish_s: float | None) -> None:
    """Seconds, milliseconds and dates are understood (R3); nonsense and the past are no wish."""
    found = retry_after_s(headers, NOW_S)
    assert found is None or math.isfinite(found)
    assert found == wish_s


@pytest.mark.parametrize(("value", "wish"), [("true", True), ("false", False), ("maybe", None)])
def test_should_retry(value: str, wish: bool | None) -> None:
    """Only the two words that vendors document are a wish."""
    assert should_retry({"x-should-retry": value}) is wish


def chained(error: Exception, *causes: Exception) -> Exception:
    """An error with its causes behind it, as the transport raises it."""
    for outer, inner in zip((error, *causes), causes, strict=False):
        outer.__cause__ = inner
    return error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (httpx2.ConnectTimeout("slow"), "timeout", "connect timeout"),
        (httpx2.ReadTimeout("slow"), "timeout", "timed out"),
        (
            chained(httpx2.ConnectError("x"), OSError(), socket.gaierror(-2, "?")),
            "provider_unavailable",
            "not known",
        ),
        (chained(httpx2.ConnectError("x"), ConnectionRefusedError()), "provider_unavailable", "refused"),
        (chained(httpx2.ConnectError("x"), ssl.SSLError(1, "odd")), "provider_unavailable", "no connection"),
        (httpx2.ReadError("reset"), "provider_unavailable", "broke: reset"),
        (httpx2.RemoteProtocolError("cut"), "provider_unavailable", "broke: cut"),
        (httpx2.LocalProtocolError("header"), "invalid_request", "breaks HTTP"),
        (httpx2.UnsupportedProtocol("ftp"), "invalid_request", "not a web address"),
        (httpx2.InvalidURL("no"), "invalid_request", "not a web address"),
        (httpx2.ProxyError("407"), "provider_unavailable", "proxy"),
        (httpx2.DecodingError("gzip"), "provider_unavailable", "broke: gzip"),
        (msgspec.DecodeError("bad"), "provider_unavailable", "cannot be read"),
    ],
)
def test_the_transport_column(error: Exception, code: str, words: str) -> None:
    """Every way the network can fail has its code and names the host."""
    failure = failures.of_exception(SOURCE, error)
    assert failure is not None
    assert (failure.code, words in failure.message) == (code, True), failure.message
    assert "api.example" in failure.message


def test_f22_an_untrusted_certificate_is_not_tried_again() -> None:
    """A certificate does not get better by asking twice."""
    error = chained(httpx2.ConnectError("x"), ssl.SSLCertVerificationError("self-signed {certificate}"))
    failure = failures.of_exception(SOURCE, error)
    assert failure is not None
    assert failure.should_retry is False
    assert "api.example is not trusted: " in failure.message


def test_a_programming_error_has_no_failure() -> None:
    """A bug must not look like an outage."""
    assert failures.of_exception(SOURCE, TypeError("bug")) is None
