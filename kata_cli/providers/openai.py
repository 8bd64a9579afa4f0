"""OpenAI and compatible servers, over OpenAI's own SDK's client; two wire formats, one provider."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from kata_cli.core import collector
from kata_cli.core.events import Event
from kata_cli.core.messages import ModelInfo, Request
from kata_cli.core.ports import Credential, Endpoint, Timeouts
from kata_cli.providers import listing, openai_chat, openai_responses
from kata_cli.providers.clients import Clients, Connection, wrap
from kata_cli.providers.exchange import Call, converse, decline, refusal

if TYPE_CHECKING:
    import httpx2

MAX_TEMPERATURE = 2.0
VENDOR_HOST = "api.openai.com"


class _Model(msgspec.Struct):
    id: str = ""
    created: float | None = None


_decode_page = msgspec.json.Decoder(listing.Page[_Model]).decode


class OpenAIProvider:
    """Answers requests through the API that `endpoint.api` names: `responses`, or `chat`."""

    def __init__(self, endpoint: Endpoint, credential: Credential, timeouts: Timeouts) -> None:
        self._credential = credential
        self._api = openai_chat if endpoint.api == "chat" else openai_responses
        self._clients = Clients(endpoint, timeouts, lambda http: _connect(endpoint, credential, http))

    def stream(self, request: Request) -> AsyncIterator[Event]:
        refused = refusal(request, self._credential, MAX_TEMPERATURE)
        if refused is not None:
            return decline(refused)
        body, level = self._api.body(request), request.thinking or ""
        call = Call(path=self._api.PATH, body=body, read=self._api.read, thinking=level)
        return converse(self._clients, request, call)

    async def models(self) -> list[ModelInfo]:
        return await listing.models(
            self._clients, "/models", _decode_page, partial(_info, self._clients.endpoint.name), cursor=""
        )

    async def aclose(self) -> None:
        await self._clients.aclose()


def _info(provider: str, row: _Model) -> ModelInfo:
    return ModelInfo(provider=provider, id=row.id, created=_date(row.created))


def _date(created_s: float | None) -> str | None:
    """The day of a time in seconds since the epoch; None for what cannot be one."""
    try:
        return datetime.fromtimestamp(created_s, UTC).date().isoformat() if created_s else None
    except (ValueError, OverflowError, OSError):
        return None


def _connect(endpoint: Endpoint, credential: Credential, http: httpx2.AsyncClient) -> Connection:
    with collector.paused():
        import openai

    sdk = openai.AsyncOpenAI(
        # Not empty, or the SDK looks for a key in the environment; this word is never sent.
        api_key=credential.secret or "none",
        base_url=endpoint.base_url,
        max_retries=0,
        http_client=http,
    )
    # From OPENAI_CUSTOM_HEADERS and OPENAI_ADMIN_KEY: no settings of ours, and they could replace the key.
    sdk._custom_headers = {}
    sdk.admin_api_key = None
    if endpoint.host != VENDOR_HOST:
        # OPENAI_ORG_ID and OPENAI_PROJECT_ID say who pays, which is for the vendor alone to know.
        sdk.organization = sdk.project = None
    return wrap(sdk, openai, {} if credential.secret else {"Authorization": openai.Omit()})
