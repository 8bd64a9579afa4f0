"""`<!-- kata-ignore KS013: reason -->`: findings that somebody has looked at and accepted."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from kata_cli.core.records import Finding
from kata_cli.core.text import one_line
from kata_cli.spec.inline import comments

REASON_CHARS = 200

_MARK = re.compile(r"\s*kata-ignore\b\s*(.*?)\s*", re.S)
_RULE_AND_REASON = re.compile(r"(KS[0-9]{3})\s*:\s*(\S.*)")


class Ignore(msgspec.Struct, frozen=True):
    """A rule that a comment silences, why, and on which line the comment stands."""

    rule: str
    reason: str
    line: int


class Ignored(msgspec.Struct, frozen=True):
    """A finding that is not counted, and why."""

    finding: Finding
    reason: str


def find_ignores(text: str, rules: Collection[str]) -> tuple[list[Ignore], list[Finding]]:
    """The ignores of a text outside code spans, and a finding for each that says no reason or no rule."""
    ignores: list[Ignore] = []
    faults: list[Finding] = []
    for line, body in _marked(text):
        found = _RULE_AND_REASON.fullmatch(body)
        if found and found[1] in rules:
            ignores.append(Ignore(found[1], one_line(found[2], REASON_CHARS), line))
        else:
            lacks = (
                f"kata has no rule {found[1]}" if found else f"`{one_line(body, 60)}` lacks rule or reason"
            )
            faults.append(_fault(f"an ignore is not heeded: {lacks}", line))
    return ignores, faults


def _marked(text: str) -> Iterator[tuple[int, str]]:
    """What follows `kata-ignore` in the comments of the text, with its line."""
    if "kata-ignore" not in text:
        return
    for line, row in enumerate(text.split("\n"), start=1):
        for comment in comments(row) if "kata-ignore" in row else ():
            found = _MARK.fullmatch(comment)
            if found:
                yield line, found[1]


def _fault(message: str, line: int) -> Finding:
    fix = "write it as <!-- kata-ignore KS013: reason -->"
    return Finding(rule="KS032", severity="warning", message=message, line=line, fix=fix)


def split(
    findings: Sequence[Finding], ignores: Iterable[Ignore], entries: Iterable[int], sections: Iterable[int]
) -> tuple[list[Finding], list[Ignored]]:
    """The findings that count, and those that an ignore silences.

    An ignore stands in an entry. It silences findings of that entry, of its section as a whole and of the
    file as a whole (line 0). `entries` and `sections` are the lines at which these begin.
    """
    starts, heads = sorted(entries), sorted(sections)
    reasons = {
        (ignore.rule, line): ignore.reason
        for ignore in ignores
        for line in (0, ignore.line, _before(ignore.line, heads), _before(ignore.line, starts))
    }
    kept = [finding for finding in findings if (finding.rule, finding.line) not in reasons]
    ignored = [
        Ignored(finding, reasons[finding.rule, finding.line])
        for finding in findings
        if (finding.rule, finding.line) in reasons
    ]
    return kept, ignored


def _before(line: int, starts: list[int]) -> int:
    """The last of the starts that is not after the line, 0 if there is none."""
    number = bisect_right(starts, line)
    return starts[number - 1] if number else 0
