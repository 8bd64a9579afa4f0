"""Refusals as answers: the status of each failure, the headers, the document."""

from __future__ import annotations

import msgspec
import pytest

from kata_cli.core.errors import MEANINGS, Failure
from kata_cli.service import refusal


def test_every_failure_has_a_status() -> None:
    """No failure code lacks its HTTP status, and each status of the service has a code that exists."""
    assert set(refusal.STATUS_OF) == set(MEANINGS)
    assert set(refusal.CODE_OF.values()) <= set(MEANINGS)


def test_a_provider_s_own_status_is_not_passed_on() -> None:
    """A provider's 401 is about the service's key, so the client gets 502; a missing key is 503."""
    wrong = Failure(code="invalid_auth", message="key refused", provider="anthropic", status=401)
    assert refusal.of(wrong).status == 502
    missing = refusal.of(Failure(code="missing_auth", message="no key", remediation="export KEY=…"))
    document = msgspec.json.decode(refusal.answer(missing, "native").body)
    assert missing.status == 503
    assert (document["schema"], document["runtime_mode"]) == ("kata.error/v1", "native")
    assert document["remediation"] == "export KEY=…"


@pytest.mark.parametrize(
    ("failure", "status", "retry_after"),
    [
        (Failure(code="busy", message="s-1 is at work"), 409, None),
        (Failure(code="limit_reached", message="8 are live", status=429, retry_after_s=0.2), 429, b"1"),
        (Failure(code="limit_reached", message="8 are live"), 429, b"5"),
        (Failure(code="usage", message="no session s-1", status=404), 404, None),
        (Failure(code="rate_limited", message="slow down", provider="openai", status=429), 429, b"5"),
        (Failure(code="provider_unavailable", message="down", retry_after_s=30), 502, b"30"),
        (Failure(code="missing_auth", message="no key"), 503, None),
        (Failure(code="provider_unavailable", message="stopping", status=503), 503, b"5"),
    ],
)
def test_a_refusal_says_when_to_come_back(failure: Failure, status: int, retry_after: bytes | None) -> None:
    """Retry-After is whole seconds, always there with 429, and the connection stays."""
    ready = refusal.answer(refusal.of(failure))
    headers = dict(ready.headers)
    assert (ready.status, headers.get(b"retry-after")) == (status, retry_after)
    assert b"connection" not in headers
    assert headers[b"content-length"] == b"%d" % len(ready.body)
