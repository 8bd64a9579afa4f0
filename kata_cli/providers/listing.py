"""The model list of a vendor, page after page, as the vendor itself reports it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.messages import ModelInfo
from kata_cli.providers.clients import Clients, Connection
from kata_cli.providers.exchange import Limits, failure_of
from kata_cli.providers.failures import Source

Row = TypeVar("Row")

MAX_PAGES = 50


class Page(msgspec.Struct, Generic[Row]):
    """One page, in the envelope that both vendors use."""

    data: list[Row]
    has_more: bool = False
    last_id: str | None = None


async def models(
    clients: Clients,
    path: str,
    decode: Callable[[bytes], Page[Row]],
    describe: Callable[[Row], ModelInfo],
    cursor: str,
) -> list[ModelInfo]:
    """All models of at most `MAX_PAGES` pages in the vendor's order, without blank ids and doubles.

    `cursor` is the query parameter that takes the last id of the page before. Raises `KataError`.
    """
    found: dict[str, ModelInfo] = {}
    lent = clients.borrow()
    try:
        limits, query = Limits(clients.timeouts), {"limit": "100"} if cursor else {}
        for _ in range(MAX_PAGES):
            page = await _page(clients, lent.connection, limits, path, query, decode)
            for info in map(describe, page.data):
                if info.id.strip():
                    found.setdefault(info.id, info)
            if not (cursor and page.has_more and page.last_id) or query.get(cursor) == page.last_id:
                break
            query = {**query, cursor: page.last_id}
    finally:
        lent.borrowers -= 1
    return list(found.values())


async def _page(
    clients: Clients,
    connection: Connection,
    limits: Limits,
    path: str,
    query: dict[str, str],
    decode: Callable[[bytes], Page[Row]],
) -> Page[Row]:
    source = Source(clients.endpoint.name, None, clients.endpoint.host)
    try:
        response = await limits.first_byte(connection.get(path, query))
        return decode(response.content)
    except msgspec.DecodeError as error:
        told = f"{source.provider} sent a model list that cannot be read: {error}"
        raise KataError("provider_unavailable", told, "kata config show") from error
    except Exception as error:
        failure = failure_of(error, connection, source)
        if failure is None:
            raise
        raise KataError.of(_listed(failure)) from error


def _listed(failure: Failure) -> Failure:
    """The failure of a list: what helps a run in need, another model or limit, does not help here."""
    if not failure.is_retryable or failure.remediation:
        return failure
    hint = "try again later, or look at its address: kata config show"
    return msgspec.structs.replace(failure, remediation=hint)
