"""Which model a run asks: from the settings `provider` and `model`, and from the keys there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.messages import ModelRef
from kata_cli.core.ports import Credential, Endpoint
from kata_cli.providers import registry
from kata_cli.providers.connections import Connections, is_sendable


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The model of a run, where its key comes from and which host will be called."""

    model: ModelRef
    key_source: str
    host: str


class Chooser:
    """Chooses in one runtime mode, among some endpoints; in pi mode agents may run at other `hosts`."""

    def __init__(
        self,
        mode: str,
        endpoints: Mapping[str, Endpoint],
        connections: Connections,
        hosts: Sequence[str] = (),
    ) -> None:
        self._mode = mode
        self._hosts = hosts
        self._endpoints = endpoints
        self._connections = connections

    def choose(self, provider: str | None, model: str | None, *, needs_key: bool) -> Choice:
        """See `ProviderService.choose`."""
        if self._mode == "pi":
            return self._of_pi(provider, model)
        named = self._named(provider, model)
        ref = self.gated(named or self._first_authenticated(needs_key=needs_key))
        endpoint = self._connections.endpoint(ref.provider)
        credential = self._connections.credential(endpoint)
        if isinstance(credential, Credential):
            return Choice(model=ref, key_source=credential.source, host=endpoint.host)
        if needs_key:
            raise KataError.of(credential)
        return Choice(model=ref, key_source=credential.message, host=endpoint.host)

    def gated(self, ref: ModelRef) -> ModelRef:
        """In mock mode the mock answers for every model, and says so in the model's name."""
        return ModelRef("mock", str(ref)) if self._mode == "mock" and ref.provider != "mock" else ref

    def _of_pi(self, provider: str | None, model: str | None) -> Choice:
        """Pi knows its own providers and models; kata checks only that one is named."""
        if not model:
            told = "which of Pi's models?"
            raise KataError("usage", told, "kata models list --mode pi, then -m provider/id")
        if not is_sendable(model):
            raise unsendable(model)
        ref = ModelRef(provider, model) if provider else ModelRef.parse(model)
        credential = self._connections.credential(registry.PI)
        source = credential.source if isinstance(credential, Credential) else ""
        return Choice(model=ref, key_source=source, host=", ".join(self._hosts))

    def _named(self, provider: str | None, model: str | None) -> ModelRef | None:
        """The model that the settings name, if they name one."""
        if model and not is_sendable(model):
            raise unsendable(model)
        if provider:
            endpoint = self._connections.endpoint(provider)
            return ModelRef(provider, model or _default_model(endpoint))
        if not model:
            return None
        if "/" not in model:
            raise KataError(
                "usage",
                f"whose model is {model!r}?",
                f"write it as provider/{model}, or add --provider NAME",
            )
        ref = ModelRef.parse(model)
        self._connections.endpoint(ref.provider)
        return ref

    def _first_authenticated(self, *, needs_key: bool) -> ModelRef:
        """The default model of the first built-in provider with a key; custom ones are never picked."""
        if self._mode == "mock":
            return ModelRef("mock", _default_model(registry.MOCK))
        candidates = [self._endpoints[name] for name in registry.CHOICE_ORDER]
        refusals = []
        for endpoint in candidates:
            credential = self._connections.credential(endpoint)
            if isinstance(credential, Credential):
                return ModelRef(endpoint.name, _default_model(endpoint))
            refusals.append(credential)
        if not needs_key:
            return ModelRef(candidates[0].name, _default_model(candidates[0]))
        raise _unauthenticated(refusals)


def _default_model(endpoint: Endpoint) -> str:
    if not endpoint.default_model:
        name = endpoint.name
        raise KataError("usage", f"{name} has no default model", f"choose one with -m {name}/MODEL")
    return endpoint.default_model


def unsendable(model: str) -> KataError:
    """The refusal of an id that no request could carry."""
    return KataError(
        "usage", f"not a model id: {model!r}", "kata models list shows the ids that the provider knows"
    )


def _unauthenticated(refusals: list[Failure]) -> KataError:
    """No key at all; but a key that is there and cannot be used is the nearer cause."""
    for failure in refusals:
        if failure.code != "missing_auth":
            return KataError.of(failure)
    reasons = "; ".join(failure.message for failure in refusals)
    return KataError("missing_auth", reasons, refusals[0].hint)
