"""Why the service does not do what a client asks, each with the HTTP status that says so."""

from __future__ import annotations

import msgspec

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.redact import Redactor


def without_secrets(failure: Failure, redactor: Redactor) -> Failure:
    """A failure as it may be told: what a client has named wrongly may have been a key."""
    message, remediation = redactor.text(failure.message), redactor.text(failure.remediation)
    return msgspec.structs.replace(failure, message=message, remediation=remediation)


def not_found(session_id: str) -> KataError:
    return _refusal(404, "usage", f"there is no session {session_id[:80]!r}", "kata agents list")


def busy(session_id: str) -> KataError:
    told = f"session {session_id} is at work on a message"
    return _refusal(409, "busy", told, "steer it, send a follow-up, abort it, or wait")


def closing(session_id: str) -> KataError:
    return _refusal(409, "busy", f"session {session_id} is being closed", "try again: that opens it anew")


def held(session_id: str, told: str) -> KataError:
    """Another process, which `told` names, has the session open."""
    return _refusal(409, "busy", told, f"wait for it, or fork the session: kata sessions fork {session_id}")


def queue_full(session_id: str, waiting: int) -> KataError:
    told = f"session {session_id} has {waiting} messages that wait, and no room for this one"
    return _refusal(409, "busy", told, "say it once the turn is over, or abort that")


def too_long(max_chars: int) -> KataError:
    told = f"the message and its files are longer than {max_chars} characters"
    return _refusal(413, "limit_reached", told, "send fewer or shorter files")


def not_waiting(told: str) -> KataError:
    return _refusal(409, "usage", told, "GET /api/sessions/{id} lists the calls that are wanted")


def too_many(limit: int, retry_after_s: float) -> KataError:
    """`retry_after_s` says when the first session may have been closed for being idle."""
    failure = Failure(
        code="limit_reached",
        message=f"{limit} sessions are live, which is the most (--max-sessions)",
        remediation="stop one: kata agents stop SESSION",
        status=429,
        retry_after_s=max(1.0, retry_after_s),
    )
    return KataError.of(failure)


def stopping() -> KataError:
    return _refusal(503, "busy", "the service is stopping", "try again once it runs anew")


def bad_request(told: str, hint: str = "GET /api/openapi.json tells what each request takes") -> KataError:
    return _refusal(400, "usage", told, hint)


def no_route(status: int) -> KataError:
    return _refusal(
        status, "usage", "there is nothing at this address", "GET /api/openapi.json tells what there is"
    )


def _refusal(status: int, code: str, told: str, hint: str) -> KataError:
    return KataError.of(Failure(code=code, message=told, remediation=hint, status=status))
