"""The mock reviewer: findings that fixed rules can show in a diff or a file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import msgspec

from kata_cli.providers.mock.material import Material

LONG_LINE = 120
MAX_FINDINGS = 40


class Rule(msgspec.Struct, frozen=True):
    """A pattern that no line should match: how serious, what is wrong, what to do."""

    pattern: re.Pattern[str]
    rank: str
    problem: str
    advice: str


def _rule(rank: str, pattern: str, problem: str, advice: str) -> Rule:
    return Rule(re.compile(pattern), rank, problem, advice)


RULES = (
    _rule("serious", r"^(<{7}|>{7}|={7})( |$)", "a merge conflict is left", "resolve it before this lands"),
    _rule("serious", r"\b(eval|exec)\s*\(", "text is executed as code", "parse the value instead"),
    _rule("serious", r"shell\s*=\s*True", "a shell is started", "pass the arguments as a list"),
    _rule(
        "serious",
        r"(?i)\b(password|secret|api_?key)\s*=\s*[\"'][^\"']{6,}",
        "a secret is in the source",
        "read it from the environment",
    ),
    _rule("serious", r"except\s*:", "every exception is caught, interrupts too", "name the expected ones"),
    _rule("note", r"except\s+\w+(\s+as\s+\w+)?:\s*pass\s*$", "an exception is dropped", "say why"),
    _rule(
        "minor", r"\b(breakpoint|pdb\.set_trace|console\.log|dbg!)\b", "a debugging aid is left", "remove it"
    ),
    _rule("minor", r"\b(TODO|FIXME|XXX)\b", "work is left open", "do it, or open an issue for it"),
    _rule("minor", r"\btime\.sleep\(", "a fixed sleep", "wait for the condition itself"),
)
RANKS = ("serious", "minor", "note")

_FILE = re.compile(r"^\+\+\+ (?:b/)?(\S+)")
_HUNKS = re.compile(r"^@@ -\d", re.M)
_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)")
_TEST = re.compile(r"(^|/)tests?/|test_|_test\.|\.test\.|\.spec\.")


class Line(msgspec.Struct, frozen=True):
    """A line to review, with its place."""

    path: str
    number: int
    text: str


class Remark(msgspec.Struct, frozen=True):
    """A finding: rank, place, what is wrong, what to do."""

    rank: str
    place: str
    problem: str
    advice: str


def review(material: Material) -> str:
    """Findings about the inputs if there are any, else about the files, the most serious first."""
    given = material.inputs or [(file.path, file.text) for file in material.files]
    lines = [line for name, text in given for line in _lines(name, text)]
    remarks = [remark for line in lines for remark in _remarks(line)] + list(_about_tests(lines, given))
    remarks.sort(key=lambda remark: RANKS.index(remark.rank))
    if not remarks:
        return f"No finding: the rules match nothing in the {len(lines)} lines read."
    listed = [f"- **{r.rank}** `{r.place}`: {r.problem}; {r.advice}." for r in remarks[:MAX_FINDINGS]]
    if len(remarks) > MAX_FINDINGS:
        listed.append(f"- and {len(remarks) - MAX_FINDINGS} more of the same kinds")
    return f"## Findings, {len(lines)} lines read\n\n" + "\n".join(listed)


def added_lines(text: str) -> dict[str, int]:
    """The number of lines that a diff adds, by file; empty for what is no diff."""
    return dict(Counter(line.path for line in _lines("", text))) if _HUNKS.search(text) else {}


def _lines(name: str, text: str) -> Iterator[Line]:
    """The added lines of a diff, or all lines of anything else."""
    if not _HUNKS.search(text):
        yield from (Line(name, number, line) for number, line in enumerate(text.splitlines(), 1))
        return
    path, number = name, 0
    for line in text.splitlines():
        if found := _FILE.match(line):
            path = found[1]
        elif found := _HUNK.match(line):
            number = int(found[1])
        elif line.startswith("+"):
            yield Line(path, number, line[1:])
            number += 1
        elif not line.startswith("-"):
            number += 1


def _remarks(line: Line) -> Iterator[Remark]:
    place = f"{line.path}:{line.number}"
    for rule in RULES:
        if rule.pattern.search(line.text):
            yield Remark(rule.rank, place, rule.problem, rule.advice)
    if len(line.text) > LONG_LINE:
        yield Remark("note", place, f"{len(line.text)} characters in one line", f"keep to {LONG_LINE}")


def _about_tests(lines: list[Line], given: list[tuple[str, str]]) -> Iterator[Remark]:
    is_diff = any(text.startswith(("diff ", "--- ")) or "\n+++ " in text for _, text in given)
    paths = list(dict.fromkeys(line.path for line in lines))
    code = [path for path in paths if re.search(r"\.(py|js|ts|go|rs|java|rb|c|cc|cpp)$", path)]
    if is_diff and code and not any(_TEST.search(path) for path in paths):
        yield Remark(
            "minor", code[0], "code changes and no test does", "add a test that fails without the change"
        )
