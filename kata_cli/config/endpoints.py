"""Providers: the two that are built in, and those that `[providers.NAME]` adds or changes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from kata_cli.config.layers import Layer, from_file, pick, rejection
from kata_cli.config.setting import Origin, Setting, Value, Values
from kata_cli.core import toml
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.ports import Endpoint

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOOPBACK = re.compile(r"localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1")


class ProviderSettings(Values):
    """The keys of one `[providers.NAME]` table."""

    kind = Setting("", "Whose API it speaks.", choices=("anthropic", "openai"), has_env=False)
    base_url = Setting("", "Where it is.", has_env=False)
    api = Setting("", "Wire format.", choices=("messages", "responses", "chat"), has_env=False)
    key_env = Setting("", "Variable that holds its key.", has_env=False)
    key_cmd = Setting[tuple[str, ...]]((), "Command that prints its key.", kind="list", has_env=False)
    requires_key = Setting[bool | None](None, "Whether it needs a key.", kind="bool", has_env=False)
    default_model = Setting("", "Model when none is named.", has_env=False)
    rpm = Setting[int | None](
        None, "Most requests a minute; fewer for a while after a 429.", kind="int", minimum=1, has_env=False
    )
    tpm = Setting[int | None](None, "Most tokens a minute, in and out.", kind="int", minimum=1, has_env=False)


PROVIDER_SETTINGS: dict[str, Setting[Any]] = ProviderSettings.declared()


class Builtin(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that needs no configuration. `key_vars` are its vendor's own variables, by kind."""

    base_url: str
    base_url_var: str
    default_model: str
    key_vars: dict[str, str]


# The default models are those that the installed SDKs use in their own introductions; `kata doctor` asks
# the provider whether they still exist.
BUILTINS: dict[str, Builtin] = {
    "anthropic": Builtin(
        base_url="https://api.anthropic.com",
        base_url_var="ANTHROPIC_BASE_URL",
        default_model="claude-opus-5-5",
        key_vars={"ANTHROPIC_API_KEY": "api_key", "ANTHROPIC_AUTH_TOKEN": "token"},
    ),
    "openai": Builtin(
        base_url="https://api.openai.com/v1",
        base_url_var="OPENAI_BASE_URL",
        default_model="gpt-5.5",
        key_vars={"OPENAI_API_KEY": "api_key"},
    ),
}


class ProviderEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A provider with the origin of each of its settings, and where its key may come from.

    `key_vars` are variables with the kind of credential they hold. `refusal` says why the address in a
    vendor's variable cannot be used; the endpoint has none then, and no credential is given out for it.
    """

    endpoint: Endpoint
    key_vars: dict[str, str]
    key_cmd: tuple[str, ...]
    origins: dict[str, Value]
    refusal: Failure | None = None


def build(
    files: Sequence[tuple[Origin, toml.File]], env: Mapping[str, str], *, allows_http: bool
) -> dict[str, ProviderEntry]:
    """All providers, built in first; earlier files win. Raises `KataError` config."""
    tables = [_tables(file) for _, file in files]
    names = [*BUILTINS, *dict.fromkeys(name for table in tables for name in table if name not in BUILTINS)]
    entries = {}
    for name in names:
        layers = [_env_layer(name, env)]
        for (origin, file), table in zip(files, tables, strict=True):
            if name in table:
                layers.append(from_file(PROVIDER_SETTINGS, file, table[name], origin, f"providers.{name}."))
        origins = pick(PROVIDER_SETTINGS, [*layers, _default_layer(name)], [])
        for key in ("kind", "base_url"):
            if not origins[key].value:
                raise _missing(name, key, [file for _, file in files])
        entries[name] = _entry(name, origins, allows_http=allows_http)
    return entries


def key_variable(name: str) -> str:
    """kata's own variable for the key of a provider: `KATA_MY_LLM_API_KEY` for `my-llm`."""
    return f"KATA_{name.upper().replace('-', '_')}_API_KEY"


def check_url(url: str, *, allows_http: bool) -> str:
    """The address without a trailing slash. Raises `ValueError`, which never repeats the address."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("expected an address without spaces and control characters")
    try:
        parts = urlsplit(url)
        has_port = parts.port != 0
    except ValueError:
        raise ValueError("expected an address like https://host:port/path") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not has_port:
        raise ValueError("expected an address like https://host:port/path")
    if "@" in parts.netloc:
        raise ValueError("expected an address without a user name or password")
    if parts.query or parts.fragment:
        raise ValueError("expected an address without ? and #")
    if parts.scheme == "http" and not allows_http and not is_loopback(url):
        raise ValueError("expected https; plain http elsewhere than on this machine needs allow_http = true")
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether an address stays on this machine."""
    return bool(_LOOPBACK.fullmatch(urlsplit(url).hostname or ""))


def host_of(url: str) -> str:
    """The host of an address with its port; what is no address stands for itself."""
    return urlsplit(url).netloc or url


def _tables(file: toml.File) -> dict[str, Any]:
    tables = file.table.get("providers", {})
    if not isinstance(tables, dict):
        raise file.error("providers", "expected tables like [providers.NAME]")
    for name, table in tables.items():
        if not _NAME.fullmatch(name):
            raise file.error("providers", f"expected a name of a-z, 0-9 and -, got {name!r}")
        if not isinstance(table, dict):
            raise file.error(f"providers.{name}", f"expected a table like [providers.{name}]")
    return tables


def _missing(name: str, key: str, files: Sequence[toml.File]) -> KataError:
    file = next(file for file in files if name in _tables(file))
    return file.error(f"providers.{name}", f"{key} is missing", f"add it below [providers.{name}]")


def _env_layer(name: str, env: Mapping[str, str]) -> Layer:
    variable = BUILTINS[name].base_url_var if name in BUILTINS else ""
    url = env.get(variable, "").strip()
    return Layer(values={"base_url": Value(url, "env", variable)} if url else {})


def _default_layer(name: str) -> Layer:
    if name not in BUILTINS:
        return Layer(values={})
    builtin = BUILTINS[name]
    given = {"kind": name, "base_url": builtin.base_url, "default_model": builtin.default_model}
    return Layer(values={key: Value(text, "default", "default") for key, text in given.items()})


def _entry(name: str, origins: dict[str, Value], *, allows_http: bool) -> ProviderEntry:
    chosen = ProviderSettings(origins)
    base_url, refusal = _address(origins["base_url"], allows_http=allows_http)
    if chosen.key_env and not _VARIABLE.fullmatch(chosen.key_env):
        raise rejection(origins["key_env"], "expected the name of a variable, not a key")
    endpoint = Endpoint(
        name=name,
        kind=chosen.kind,
        api=_api(chosen, origins["api"], base_url),
        base_url=base_url,
        default_model=chosen.default_model,
        requires_key=_requires_key(chosen, base_url),
        supports_token=chosen.kind == "anthropic",
        rpm=chosen.rpm,
        tpm=chosen.tpm,
    )
    return ProviderEntry(
        endpoint=endpoint,
        key_vars=_key_vars(name, chosen),
        key_cmd=chosen.key_cmd,
        origins=origins,
        refusal=refusal,
    )


def _address(origin: Value, *, allows_http: bool) -> tuple[str, Failure | None]:
    try:
        return check_url(origin.value, allows_http=allows_http), None
    except ValueError as error:
        rejected = rejection(origin, str(error))
    # A vendor's variable is there for other programs too: it stops only those who would use it.
    if origin.origin != "env":
        raise rejected
    return "", rejected.failure


def _api(chosen: ProviderSettings, origin: Value, base_url: str) -> str:
    known = ("messages",) if chosen.kind == "anthropic" else ("responses", "chat")
    if chosen.api and chosen.api not in known:
        raise rejection(origin, f"expected {' or '.join(known)} for kind {chosen.kind}, got {chosen.api!r}")
    return chosen.api or ("chat" if chosen.kind == "openai" and is_loopback(base_url) else known[0])


def _requires_key(chosen: ProviderSettings, base_url: str) -> bool:
    return not is_loopback(base_url) if chosen.requires_key is None else chosen.requires_key


def _key_vars(name: str, chosen: ProviderSettings) -> dict[str, str]:
    if chosen.key_env:
        return {chosen.key_env: "api_key"}
    return BUILTINS[name].key_vars if name in BUILTINS else {}
