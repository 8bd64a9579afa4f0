"""What one check of `kata doctor` finds, and what all of them may look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from kata_cli.app.model_listing import Asking
from kata_cli.config.credentials import CredentialFinder
from kata_cli.config.resolve import Resolved
from kata_cli.core.errors import Failure
from kata_cli.core.ports import Clock
from kata_cli.core.redact import Redactor
from kata_cli.providers.service import ProviderService

Status = Literal["ready", "warning", "error"]
AuthState = Literal["authenticated", "unauthenticated", "unknown"]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One row. An `error` is what would make a run fail; what is not `available` cannot be used at all.

    `about` tells rows of one name apart, `remedy` is what to type next; `name` and `checked_at` (RFC 3339)
    are set by who calls the check.
    """

    name: str = ""
    about: str = ""
    status: Status
    is_available: bool = msgspec.field(default=True, name="available")
    detail: str = ""
    version: str | None = None
    path: str | None = None
    auth: AuthState | None = None
    remedy: str = ""
    checked_at: str = ""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What is there without any setting."""

    env: Mapping[str, str]
    clock: Clock


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A machine with settings that could be read. The redactor learns each secret that comes up."""

    machine: Machine
    resolved: Resolved
    is_isolated: bool
    finder: CredentialFinder
    service: ProviderService
    redactor: Redactor
    api_key_file: str | None

    @property
    def mode(self) -> str:
        return self.resolved.settings.runtime_mode

    @property
    def asking(self) -> Asking:
        return Asking(
            resolved=self.resolved,
            env=self.machine.env,
            redactor=self.redactor,
            api_key_file=self.api_key_file,
        )


def failed(failure: Failure, status: Status = "error") -> Check:
    """The row of a check that met a failure."""
    return Check(status=status, is_available=False, detail=failure.message, remedy=failure.hint)
