"""The usual forms of secrets, as data.

The prefixes are the vendors' own; bodies shorter than a scanner would accept are taken, since what is
redacted by mistake costs less than what leaks. Every form is a *lead* that must be complete before anything
is decided and a *body* that runs on greedily: so a stream holds back only a lead that may still become one.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

CONTEXT_CHARS = 2  # what the look-behind of `_START` may see

_WORD = "[A-Za-z0-9_-]"
_ALNUM = "[A-Za-z0-9]"
_BARE = r"[^\s\"'`,;()\[\]{}<>$\\&|]"
_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))"
_MAX_UNFINISHED_CHARS = 256  # every lead and looked-at body is shorter
_NEAR = 64  # characters of a bare value that are looked at before it is believed


class _Part(NamedTuple):
    """A piece of a lead: its regex, and that of all its beginnings."""

    whole: str
    begun: str
    choices: tuple[str, ...] = ()


def _words(*choices: str, flags: str = "") -> _Part:
    """One of some words. `flags` as in `(?ai:…)`."""
    beginnings = sorted({choice[:end] for choice in choices for end in range(len(choice))})
    group = f"(?{flags}:%s)"
    whole, begun = (group % "|".join(map(re.escape, words)) for words in (choices, beginnings))
    return _Part(whole, begun, choices)


def _chars(chars: str, least: int, most: int) -> _Part:
    """Some characters of a class."""
    return _Part(f"{chars}{{{least},{most}}}", f"{chars}{{0,{most}}}")


class _Form(NamedTuple):
    """One form of secret. `guard` is a condition on the first `window` characters of the body."""

    kind: str
    lead: tuple[_Part, ...]
    body: str
    least: int
    start: str = ""
    guard: str = ""
    window: int = 0
    is_lead_kept: bool = False

    def whole(self) -> str:
        lead = "".join(part.whole for part in self.lead)
        return f"{self.start}({lead}){self.guard}{self.body}{{{self.least}}}{self.body}*"

    def unfinished(self) -> str:
        """What stands at the end of a text and may become a match when the text goes on."""
        nested = f"{self.body}{{0,{max(self.least - 1, self.window)}}}\\Z"
        for part in reversed(self.lead):
            nested = f"(?:{part.whole}{nested}|{part.begun}\\Z)"
        return f"{self.start}(?!\\Z){nested}"


def _provider_forms() -> tuple[_Form, ...]:
    github = _words("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_")
    slack = _words("xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-")
    project = _words("sk-proj-", "sk-svcacct-", "sk-admin-", "sk-or-v1-")
    jwt = (_words("eyJ"), _chars(_WORD, 8, 200), _words(".eyJ"))
    return (
        _Form("anthropic_key", (_words("sk-ant-"),), _WORD, 20),
        _Form("openai_key", (project,), _WORD, 20, start=_START),
        _Form("openai_key", (_words("sk-"),), _ALNUM, 32, start=_START),
        _Form("github_token", (github,), "[A-Za-z0-9_]", 22),
        _Form("aws_key", (_words("AKIA"), _chars("[0-9A-Z]", 16, 16)), _ALNUM, 0),
        _Form("google_key", (_words("AIza"),), _WORD, 35),
        _Form("slack_token", (slack,), _WORD, 10),
        _Form("jwt", jwt, "[A-Za-z0-9_.-]", 16),
    )


def _private_key_forms() -> tuple[_Form, ...]:
    end = _words("-----")
    blank = _chars(r"[\s\\nr]", 1, 8)
    begin, letters = _words("-----BEGIN "), "[A-Z ]"
    head = (begin, _chars(letters, 0, 24), _words("PRIVATE KEY"), _chars(letters, 0, 6), end, blank)
    headers = (
        _words("Proc-Type: 4,ENCRYPTED"),
        blank,
        _words("DEK-Info: "),
        _chars("[A-Z0-9,-]", 1, 80),
        blank,
    )
    first = _chars("[A-Za-z0-9+/=]", 16, 16)
    body = r"[A-Za-z0-9+/=\s\\]"
    return (
        _Form("private_key", (*head, first), body, 0),
        _Form("private_key", (*head, *headers, first), body, 0),
    )


def _assigned_forms() -> tuple[_Form, ...]:
    token = "[A-Za-z0-9._~+/=-]"
    has_digit = f"(?=%s{{0,{_NEAR}}}[0-9])"
    is_no_call = rf"(?![A-Za-z_][A-Za-z0-9_.]{{0,{_NEAR}}}\()"
    names = (
        "api_key",
        "api-key",
        "apikey",
        "access_key",
        "secret_key",
        "token",
        "secret",
        "password",
        "passwd",
    )
    space, slash = _chars("[ \t]", 0, 4), _chars(r"\\", 0, 1)
    to_value = (_words(*names, flags="ai"), slash, _chars("[\"']", 0, 1), space, _chars("[:=]", 1, 1), space)
    quoted = (*to_value, slash, _chars("[\"']", 1, 1))
    bearer = (_words("bearer", flags="ai"), _chars("[ ]", 1, 1))
    looked_at = _NEAR + 1
    return (
        _Form("bearer", bearer, token, 16, "", has_digit % token, looked_at, is_lead_kept=True),
        _Form("secret", to_value, _BARE, 8, "", has_digit % _BARE + is_no_call, looked_at, is_lead_kept=True),
        _Form("secret", quoted, r"[^\s\"'\\]", 8, "", r"(?![$<{%*\[])", 1, is_lead_kept=True),
    )


_FORMS = {
    f"form{number}": form
    for number, form in enumerate((*_provider_forms(), *_private_key_forms(), *_assigned_forms()))
}
_FIRST_WORDS = tuple({word.lower(): None for form in _FORMS.values() for word in form.lead[0].choices})
_MAX_WORD_CHARS = max(map(len, _FIRST_WORDS))


class _Compiled(NamedTuple):
    opening: re.Pattern[str]
    whole: re.Pattern[str]
    unfinished: re.Pattern[str]
    bodies: dict[str, re.Pattern[str]]


@cache
def _compiled() -> _Compiled:
    """The forms, compiled when first needed: that takes 15 ms."""
    return _Compiled(
        re.compile("|".join(dict.fromkeys(form.lead[0].whole for form in _FORMS.values()))),
        re.compile("|".join(f"(?P<{name}>{form.whole()})" for name, form in _FORMS.items())),
        re.compile("|".join(f"(?:{form.unfinished()})" for form in _FORMS.values())),
        {name: re.compile(f"{form.body}*") for name, form in _FORMS.items()},
    )


class UsualForms:
    """The search for all forms; a match's `lastgroup` names its form, its lead is the group after that."""

    def may_match(self, text: str) -> bool:
        """A quick look (10 ms per MB): False means that nothing in the text can match."""
        lowered = text.lower()
        for word in _FIRST_WORDS:  # noqa: SIM110 - a third of the time of `any`, for every text there is
            if word in lowered:
                return True
        return False

    def search(self, text: str, position: int) -> re.Match[str] | None:
        """The first match from a position on; six times faster than searching with the whole pattern."""
        forms = _compiled()
        while opening := forms.opening.search(text, position):
            if match := forms.whole.match(text, opening.start()):
                return match
            position = opening.start() + 1
        return None

    def replacement(self, match: re.Match[str]) -> str:
        form = _FORMS[str(match.lastgroup)]
        lead = match[(match.lastindex or 0) + 1] if form.is_lead_kept else ""
        return f"{lead}[redacted:{form.kind}]"

    def unfinished(self, text: str, position: int) -> int:
        """Where something starts that more text may turn into a match; the text's length if nowhere."""
        start = max(position, len(text) - _MAX_UNFINISHED_CHARS)
        if not self.may_match(text[start:]):
            # Only the beginning of a first word can be unfinished then; the look is ten times shorter.
            start = max(position, len(text) - _MAX_WORD_CHARS)
        found = _compiled().unfinished.search(text, start)
        return found.start() if found else len(text)

    def rest(self, match: re.Match[str]) -> re.Pattern[str]:
        """What goes on belonging to a match that reaches the end of the text."""
        return _compiled().bodies[str(match.lastgroup)]
