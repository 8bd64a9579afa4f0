"""Every way a command can end badly: one code, one exit status, one next step.

The codes and exit statuses are those of the README's table. An *error* is the exception that carries a
`Failure` to the boundary; a `Failure` is plain data that also travels in events and JSON documents.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

UPGRADE = "upgrade kata from a newer checkout: pipx install --force ."


class Exit(IntEnum):
    """Exit statuses of `kata`, the same in every output format."""

    OK = 0
    ERROR = 1
    USAGE = 2
    CONFIG = 3
    AUTH = 4
    PROVIDER = 5
    UNAVAILABLE = 6
    LIMIT = 7
    DELEGATION = 8
    INVALID_OUTPUT = 9
    FINDINGS = 10
    IO = 11
    DEADLINE = 124
    HUP = 129
    INT = 130
    TERM = 143


class Meaning(msgspec.Struct, frozen=True):
    """What one failure code stands for."""

    exit: Exit
    retryable: bool
    remediation: str


MEANINGS: dict[str, Meaning] = {
    "unexpected_error": Meaning(
        Exit.ERROR, False, "run the same command with --debug and report the traceback it prints"
    ),
    "usage": Meaning(Exit.USAGE, False, "kata --help"),
    "config": Meaning(Exit.CONFIG, False, "mend the file that is named"),
    "missing_auth": Meaning(Exit.AUTH, False, "kata auth status"),
    "invalid_auth": Meaning(Exit.AUTH, False, "kata auth status --check"),
    "session_expired": Meaning(Exit.AUTH, True, "kata auth status"),
    "invalid_request": Meaning(Exit.PROVIDER, False, "kata run --dry-run shows the request that was refused"),
    "model_not_found": Meaning(Exit.PROVIDER, False, "kata models list"),
    "context_too_long": Meaning(
        Exit.PROVIDER, False, "name fewer files with -f, or lower context.max_tokens in kata.toml"
    ),
    "content_policy": Meaning(Exit.PROVIDER, False, "reword the goal, or choose another model with -m"),
    "quota_exhausted": Meaning(
        Exit.PROVIDER, False, "raise the limit in the provider's console, or choose another with --provider"
    ),
    "agent_unavailable": Meaning(Exit.PROVIDER, False, "kata run --mode native"),
    "rate_limited": Meaning(
        Exit.UNAVAILABLE, True, "wait, lower --jobs, or name a second model with --fallback"
    ),
    "provider_unavailable": Meaning(
        Exit.UNAVAILABLE, True, "try again later, or name a second model with --fallback"
    ),
    "timeout": Meaning(Exit.UNAVAILABLE, True, "try again, or raise --idle-timeout"),
    "busy": Meaning(Exit.UNAVAILABLE, True, "wait until it is free, or stop what it does"),
    "limit_reached": Meaning(Exit.LIMIT, False, "raise the limit that is named"),
    "task_failed": Meaning(Exit.DELEGATION, False, "kata sessions show last"),
    "invalid_output": Meaning(
        Exit.INVALID_OUTPUT, False, "choose a stronger model with -m, or raise --max-tokens"
    ),
    "findings": Meaning(Exit.FINDINGS, False, "mend what is listed, or run without --strict"),
    "io": Meaning(Exit.IO, False, "check that the path exists, is writable and has room"),
    "deadline": Meaning(Exit.DEADLINE, False, "raise --timeout"),
    "interrupted": Meaning(Exit.INT, False, "run the same command again"),
}


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why something did not work, as data.

    `status` is an HTTP status, `retry_after_s` the provider's own wish in seconds, `exit_code` only set
    where the code alone does not decide it (signals). With `has_other` another instance of the provider can
    be asked at once.
    """

    code: str
    message: str
    remediation: str = ""
    provider: str | None = None
    model: str | None = None
    request_id: str | None = None
    status: int | None = None
    retry_after_s: float | None = None
    should_retry: bool | None = None
    has_other: bool = False
    exit_code: int = -1

    @property
    def exit(self) -> int:
        return self.exit_code if self.exit_code >= 0 else int(MEANINGS[self.code].exit)

    @property
    def is_retryable(self) -> bool:
        return MEANINGS[self.code].retryable

    @property
    def hint(self) -> str:
        return self.remediation or MEANINGS[self.code].remediation


class KataError(Exception):
    """An expected failure on its way to the one error boundary in `cli.main`."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.failure = Failure(code=code, message=message, remediation=hint)

    @classmethod
    def of(cls, failure: Failure) -> KataError:
        """The error that carries a failure met elsewhere, unchanged."""
        error = cls(failure.code, failure.message)
        error.failure = failure
        return error


class Owned(KataError):
    """Another process works on the run or session."""


class ErrorDocument(msgspec.Struct, kw_only=True):
    """The JSON form of a failure (`kata.error/v1`), on stderr and inside result documents."""

    schema: str = "kata.error/v1"
    code: str
    message: str
    remediation: str
    retryable: bool
    provider: str | None
    runtime_mode: str | None
    request_id: str | None
    exit_code: int


def document(failure: Failure, runtime_mode: str | None = None) -> ErrorDocument:
    """The error document of a failure."""
    return ErrorDocument(
        code=failure.code,
        message=failure.message,
        remediation=failure.hint,
        retryable=failure.is_retryable,
        provider=failure.provider,
        runtime_mode=runtime_mode,
        request_id=failure.request_id,
        exit_code=failure.exit,
    )


def common_exit(failures: list[Failure]) -> int:
    """The exit status of several failed tasks: the one cause they share, else `delegation`."""
    exits = {failure.exit for failure in failures}
    if Exit.LIMIT in exits:
        return Exit.LIMIT
    return exits.pop() if len(exits) == 1 else Exit.DELEGATION
