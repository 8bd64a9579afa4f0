"""What the rules say of a file's text, be it a kata draft or another tool's spec."""

from __future__ import annotations

import re

import msgspec

from kata_cli.core.records import Finding
from kata_cli.spec.document import REQUIRED_SECTIONS, SECTIONS
from kata_cli.spec.foreign import PLAIN, Shape, read_foreign, shape_of
from kata_cli.spec.ignores import Ignored, find_ignores, split
from kata_cli.spec.lint import RULES, apply
from kata_cli.spec.parse import Draft, read

KATA = "kata"
IDS = frozenset(rule.id for rule in RULES)

_MATTER = re.compile(r"---[ \t]*\n(?:[^#\n-].*\n)*?schema[ \t]*:")
_SECTION = re.compile(rf"^## ({'|'.join(REQUIRED_SECTIONS)})[ \t]*$", re.M)
_MIN_SECTIONS = 2


class Checked(msgspec.Struct, frozen=True):
    """What was found in a text, and what of it is ignored.

    `shape` says what the text was taken for: `kata`, or the name of a `foreign.Shape`.
    """

    shape: str
    findings: list[Finding]
    ignored: list[Ignored]


def check(text: str, *, is_strict: bool = False) -> Checked:
    """Lint a text, whatever it is. Raises `KataError` io for a later schema than this kata knows."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if _is_kata(text):
        return _checked(text, KATA, read(text), IDS, is_strict=is_strict)
    shape = shape_of(text)
    checked = _checked(text, shape.name, read_foreign(text, shape), shape.rules, is_strict=is_strict)
    checked.findings.insert(0, _told(shape, is_strict=is_strict))
    return checked


def _is_kata(text: str) -> bool:
    """Whether the front matter names a schema, or at least two of the four fixed sections are there."""
    return bool(_MATTER.match(text)) or len(set(_SECTION.findall(text))) >= _MIN_SECTIONS


def _checked(
    text: str, shape: str, draft: Draft, rules: frozenset[str] | tuple[str, ...], *, is_strict: bool
) -> Checked:
    found = apply([rule for rule in RULES if rule.id in rules], draft, is_strict=is_strict)
    findings = [msgspec.convert(finding, Finding, from_attributes=True) for finding in found]
    ignores, faults = find_ignores(text, IDS)
    sections = [line for name, line in draft.lines.items() if name in SECTIONS]
    kept, ignored = split(findings, ignores, draft.lines.values(), sections)
    return Checked(shape, sorted([*kept, *faults], key=lambda one: (one.line, one.rule)), ignored)


def _told(shape: Shape, *, is_strict: bool) -> Finding:
    """Once, that this is no kata draft, and which rules could be applied."""
    known = {rule.id for rule in RULES if is_strict or not rule.is_strict_only}
    applied = ", ".join(sorted(known.intersection(shape.rules)))
    if shape is PLAIN:
        message = f"this is no spec that kata knows: only {applied} were applied"
        return Finding(rule="KS001", severity="error", message=message, fix="kata run writes a kata draft")
    message = f"this is {shape.title}, not a kata draft: {applied} were applied"
    return Finding(
        rule="KS001", severity="info", message=message, fix="nothing, if that is what it should be"
    )
