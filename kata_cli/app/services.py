"""The services of live sessions that a command may use: where they are, and the token of each."""

from __future__ import annotations

from pathlib import Path

import msgspec

from kata_cli.config.endpoints import is_loopback
from kata_cli.config.layers import rejection
from kata_cli.config.resolve import Resolved
from kata_cli.config.setting import Value
from kata_cli.config.settings import LOCAL, Settings
from kata_cli.core.errors import KataError
from kata_cli.core.ports import Timeouts
from kata_cli.core.redact import Redactor
from kata_cli.providers.service_client import ServiceClient
from kata_cli.service.token import read_token


class Address(msgspec.Struct, frozen=True):
    """A service, and the file with its token."""

    url: str
    token_file: Path


def addresses(resolved: Resolved, default_url: str = "") -> list[Address]:
    """The services of the settings, else the default if there is one, each with the token file meant for it.

    `local`, which is no address, is left out. One token file holds for all services; without any, the one of
    this machine's own service holds for those on this machine. Raises `KataError`.
    """
    settings = resolved.settings
    named = dict.fromkeys(settings.services or (default_url,))
    urls = [url for url in named if url not in (LOCAL, "")]
    files = settings.service_token_file
    if len(files) == 1:
        files *= len(urls)
    if not files:
        return [Address(url, _own_token_file(resolved, url)) for url in urls]
    if len(files) != len(urls):
        told = f"{len(files)} token files for {len(urls)} services"
        hint = "give one for all, or one for each --service in its order"
        raise rejection(settings.origins["service_token_file"], told, hint)
    return [Address(url, Path(file)) for url, file in zip(urls, files, strict=True)]


def open_client(address: Address, redactor: Redactor, timeouts: Timeouts) -> ServiceClient:
    """A client of a service; nothing is sent yet. Raises `KataError` like `token_of`."""
    token = token_of(address)
    redactor.learn(token)
    return ServiceClient(address.url, token, timeouts, token_file=str(address.token_file))


def token_of(address: Address) -> str:
    """The token of a service. Raises `KataError`: missing_auth where there is none, or like `read_token`."""
    try:
        return read_token(address.token_file)
    except FileNotFoundError:
        told = f"no token for {address.url}: there is no {address.token_file}"
        raise KataError("missing_auth", told, "start the service: kata serve, or --token-file FILE") from None


def _own_token_file(resolved: Resolved, url: str) -> Path:
    """The token of this machine's service goes to no other machine."""
    if not is_loopback(url):
        raise KataError("missing_auth", f"which token is for {url}?", "--token-file FILE")
    return resolved.paths.token_file


def without_services(resolved: Resolved) -> Resolved:
    """The settings of what is a service itself: its agents run here, wherever those of runs do."""
    none = Value((), "default", "kata serve")
    settings = Settings({**resolved.settings.origins, "services": none})
    return msgspec.structs.replace(resolved, settings=settings)
