"""How one setting is declared, and what its effective value carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Literal, Self, TypeVar, overload

import msgspec

T = TypeVar("T")

Origin = Literal["flag", "env", "profile", "project", "user", "default"]
Kind = Literal["str", "int", "float", "bool", "duration", "list", "table", "path", "paths", "target"]


class Value(msgspec.Struct, frozen=True):
    """An effective value with the place it came from: a flag, a variable, `file:line: key` or `default`."""

    value: Any
    origin: Origin
    source: str


class Setting(Generic[T]):
    """The one declaration of a setting; an attribute of a `Values` class that reads as its value.

    `key` is the dotted TOML key, `aliases` are variables read when `env` is unset. `is_trusted` lets an
    untrusted project file set it, and then only to `trusted_choices` where these are given; with
    `lower_wins` such a file can lower the value but not raise it. `is_user_only` keeps it out of every
    project file. A `path` (also of `paths`) or `target` (a bare name, or a path) in a file is relative to it.
    """

    name = ""

    def __init__(
        self,
        default: T,
        help: str,
        *,
        kind: Kind = "str",
        flags: tuple[str, ...] = (),
        key: str = "",
        aliases: tuple[str, ...] = (),
        choices: tuple[str, ...] = (),
        trusted_choices: tuple[str, ...] = (),
        minimum: float | None = None,
        maximum: float | None = None,
        metavar: str | None = None,
        has_env: bool = True,
        is_trusted: bool = False,
        is_user_only: bool = False,
        lower_wins: bool = False,
    ) -> None:
        self.default = default
        self.help = help
        self.kind = kind
        self.flags = flags
        self.key = key
        self.aliases = aliases
        self.choices = choices
        self.trusted_choices = trusted_choices
        self.minimum = minimum
        self.maximum = maximum
        self.metavar = metavar
        self.has_env = has_env
        self.is_trusted = is_trusted
        self.is_user_only = is_user_only
        self.lower_wins = lower_wins

    def __set_name__(self, owner: type[Values], name: str) -> None:
        self.name = name
        self.key = self.key or name

    @property
    def env(self) -> str:
        """The variable that sets it, empty where there is none."""
        return f"KATA_{self.name.upper()}" if self.has_env else ""

    @property
    def flag(self) -> str:
        """The flag as messages name it, empty where there is none."""
        return self.flags[-1] if self.flags else ""

    @overload
    def __get__(self, instance: None, owner: type[Values]) -> Self: ...

    @overload
    def __get__(self, instance: Values, owner: type[Values]) -> T: ...

    def __get__(self, instance: Values | None, owner: type[Values]) -> Self | T:
        if instance is None:
            return self
        value: T = instance.origins[self.name].value
        return value


class Values:
    """Effective values of the settings that a subclass declares; `origins` says where each came from."""

    def __init__(self, origins: Mapping[str, Value]) -> None:
        self.origins = origins

    @classmethod
    def declared(cls) -> dict[str, Setting[Any]]:
        """The declarations by name, in order, those of the classes it stands on last."""
        return {
            name: entry
            for owner in cls.__mro__
            for name, entry in vars(owner).items()
            if isinstance(entry, Setting)
        }
