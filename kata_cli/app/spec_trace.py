"""What `kata spec trace` needs: the threads of the drafts, and the tests that cite them."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from kata_cli.app.place import working_directory
from kata_cli.app.spec_files import Say, SpecFile, read_specs
from kata_cli.context.globs import expand
from kata_cli.context.tree import Refused, read_text_bytes
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.text import neutral
from kata_cli.output.figures import plural
from kata_cli.spec.citations import Citation, citations
from kata_cli.spec.report_trace import trace_text
from kata_cli.spec.trace import Gap, Trace, trace, unknown_citations

MAX_FILES = 5_000
MAX_FILE_BYTES = 1_048_576
MAX_ALL_BYTES = 64 * 1_048_576

_CITE = "name each criterion listed in a test that --tests matches, and no id that is in no draft"


class TraceReport(msgspec.Struct, kw_only=True):
    """All files that were named (`kata.trace/v1`).

    `gaps` are those of the tests, each spec has its own; `warnings` say which tests were left out.
    """

    schema: str = "kata.trace/v1"
    specs: list[Trace]
    gaps: list[Gap]
    gap_count: int
    warnings: list[str]


def trace_files(
    names: Sequence[str], patterns: Sequence[str], say: Say
) -> tuple[TraceReport, Failure | None]:
    """The threads of some drafts with the tests that the patterns match, and what is missing as a failure.

    Raises `KataError` like `read_specs`, and usage for a pattern that matches no file.
    """
    specs = read_specs(names, say)
    cited, warnings = _read_tests(patterns) if patterns else (None, [])
    traces = [trace(spec.path, spec.document, spec.lines, cited) for spec in specs]
    gaps = unknown_citations(cited or (), [spec.document for spec in specs])
    count = len(gaps) + sum(len(spec.gaps) for spec in traces)
    report = TraceReport(specs=traces, gaps=gaps, gap_count=count, warnings=warnings)
    return report, _failure(report, names, specs)


def as_text(report: TraceReport) -> str:
    """The report for a person."""
    return trace_text(report.specs, report.gaps)


def _failure(report: TraceReport, names: Sequence[str], specs: Sequence[SpecFile]) -> Failure | None:
    """A spec with gaps of its own is for lint; lint knows nothing of tests."""
    if not report.gap_count:
        return None
    gapped = (
        name
        for name, spec in zip(names, specs, strict=True)
        if trace(spec.path, spec.document, spec.lines).gaps
    )
    first = next(gapped, None)
    return Failure(
        code="findings",
        message=f"{plural(report.gap_count, 'gap')} in the trace",
        remediation=_CITE if first is None else f"kata spec lint {shlex.quote(first)}",
    )


def _read_tests(patterns: Sequence[str]) -> tuple[list[Citation], list[str]]:
    """What the tests cite, and in words how many of them were left out, and why."""
    cited: list[Citation] = []
    left_out: Counter[str] = Counter()
    all_bytes = 0
    for number, path in enumerate(_test_paths(patterns, working_directory())):
        try:
            if number >= MAX_FILES or all_bytes > MAX_ALL_BYTES:
                raise Refused("too many")
            data = _read_test(path)
        except Refused as refused:
            left_out[refused.reason.replace("_", " ")] += 1
            continue
        all_bytes += len(data)
        cited += citations(data.decode("utf-8", "replace"), neutral(path))
    return cited, [f"{plural(count, 'test file')} left out: {reason}" for reason, count in left_out.items()]


def _test_paths(patterns: Sequence[str], cwd: Path) -> list[str]:
    paths: list[str] = []
    for pattern in patterns:
        is_folder = bool(pattern) and (cwd / pattern).is_dir()
        found = expand(f"{pattern}/**" if is_folder else pattern, cwd) if pattern else []
        if not found:
            raise KataError("usage", f"--tests: no file matches {pattern!r}", "--tests 'tests/**', quoted")
        paths += found
    return list(dict.fromkeys(paths))


def _read_test(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise Refused("unreadable") from None
    try:
        return read_text_bytes(fd, MAX_FILE_BYTES).data
    finally:
        os.close(fd)
