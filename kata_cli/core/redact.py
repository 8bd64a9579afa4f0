"""Takes secrets out of what leaves the process: exact values known to it, then the usual forms of keys."""

from __future__ import annotations

import re
from typing import Any, Protocol, TypeVar

import msgspec

from kata_cli.core.events import Event
from kata_cli.core.secret_forms import CONTEXT_CHARS, UsualForms
from kata_cli.core.secret_values import KnownValues

E = TypeVar("E", bound=Event)

MIN_SECRET_CHARS = 8


class Redactor:
    """Knows this process's secrets. `count` is the number of replacements made so far."""

    def __init__(self) -> None:
        self.count = 0
        self._known = KnownValues()
        self._usual = UsualForms()

    def learn(self, secret: str) -> None:
        """Redact this value from now on, also in base64, percent and JSON form; short ones are ignored."""
        if len(secret.strip()) >= MIN_SECRET_CHARS:
            self._known.add(secret.strip())

    def text(self, text: str) -> str:
        """The text with each secret as `[redacted:kind]`. Idempotent."""
        for rules in (self._known, self._usual):
            if rules.may_match(text):
                text = _Stage(self, rules).feed(text, is_last=True)
        return text

    def event(self, event: E) -> E:
        """The event without secrets; the same object if there are none."""
        encoded = msgspec.json.encode(event).decode()
        if not (self._known.may_match(encoded) or self._usual.may_match(encoded)):
            return event
        before, plain = self.count, msgspec.to_builtins(event)
        redacted = self.value(plain)
        return event if self.count == before else msgspec.convert(redacted, type(event))

    def value(self, value: Any) -> Any:
        """JSON-like data with all its strings redacted; keys stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.value(child) for key, child in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(child) for child in value]
        return value

    def stream(self) -> StreamRedactor:
        """`text` for a text that arrives in pieces."""
        return StreamRedactor(_Stage(self, self._known), _Stage(self, self._usual))


class StreamRedactor:
    """Gives out at once what cannot be part of a secret; the pieces add up to `text` of the whole."""

    def __init__(self, *stages: _Stage) -> None:
        self._stages = stages

    def feed(self, text: str) -> str:
        for stage in self._stages:
            text = stage.feed(text)
        return text

    def flush(self) -> str:
        """What was held back. The stream starts anew."""
        text = ""
        for stage in self._stages:
            text = stage.feed(text, is_last=True)
        return text


class _Rules(Protocol):
    """One kind of search for secrets."""

    def may_match(self, text: str) -> bool: ...

    def search(self, text: str, position: int) -> re.Match[str] | None: ...

    def replacement(self, match: re.Match[str]) -> str: ...

    def unfinished(self, text: str, position: int) -> int:
        """Where something starts that more text may turn into a match; the text's length if nowhere."""
        ...

    def rest(self, match: re.Match[str]) -> re.Pattern[str] | None:
        """What goes on belonging to a match that reaches the end of the text."""
        ...


class _Stage:
    """One search over pieces: holds back what is unfinished, drops the rest of what was replaced."""

    def __init__(self, redactor: Redactor, rules: _Rules) -> None:
        self._redactor = redactor
        self._rules = rules
        self._forget()

    def _forget(self) -> None:
        self._seen = ""  # already given out, kept as context for look-behinds
        self._held = ""
        self._rest: re.Pattern[str] | None = None

    def feed(self, text: str, *, is_last: bool = False) -> str:
        text, position = self._seen + self._held + text, len(self._seen)
        position = self._skip_rest(text, position)
        end = len(text) if is_last else self._rules.unfinished(text, position)
        given = []
        while (match := self._rules.search(text, position)) and match.start() < end:
            given += [text[position : match.start()], self._rules.replacement(match)]
            self._redactor.count += 1
            position = match.end()
            if position == len(text):
                self._rest = self._rules.rest(match)
            if position > end:
                end = self._rules.unfinished(text, position)
        given.append(text[position:end])
        self._seen, self._held = text[max(0, end - CONTEXT_CHARS) : end], text[end:]
        if is_last:
            self._forget()
        return "".join(given)

    def _skip_rest(self, text: str, position: int) -> int:
        if self._rest is None:
            return position
        match = self._rest.match(text, position)
        position = match.end() if match else position
        if position < len(text):
            self._rest = None
        return position
