"""`kata spec trace` and `kata spec diff` through the installed program."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.shell import Shell

SPEC = """---
schema: "kata.spec/v1"
id: "atomic"
title: "Make save atomic"
status: "draft"
revision: 1
runtime_mode: "mock"
---

## Goal

Make save atomic.

## Requirements

### REQ-001 Save is atomic

The shelf SHALL save all of a record or nothing.

## Acceptance Criteria

- **AC-001** (REQ-001) GIVEN a full disk WHEN save is called THEN the old record is still there.

## Tasks

- [ ] T-001 [implement] (REQ-001) Write beside it, then rename in `shelf/store.py` — after: none
- [ ] T-002 [verify] (REQ-001) Fill the disk in `tests/test_store.py` — after: T-001

## Verification Plan

- AC-001: `pytest tests/test_store.py`
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A project with a draft in `spec.md`, and one whose only criterion is not checked in `gap.md`."""
    shell = Shell(tmp_path_factory.mktemp("links"))
    shell.write("spec.md", SPEC)
    shell.write("gap.md", SPEC.replace("- AC-001: `pytest tests/test_store.py`\n", ""))
    shell.write("broken.md", SPEC.replace("### REQ-001", "### Requirement 1"))
    shell.write("open spec.md", "### Requirement: Save\n\nIt SHALL save.\n")
    shell.write("newer.md", SPEC.replace("kata.spec/v1", "kata.spec/v9"))
    shell.write("tests/test_ac_001.py", "def test_ac_001_is_atomic(): ...\n")
    shell.write("tests/picture.png", b"\x89PNG\0\0AC-001")
    shell.write("tests/huge.txt", "AC-404\n" * 200_000)
    shell.write("checks/test_other.py", "# REQ-001 and AC-404\n")
    return shell


def test_trace_of_a_whole_draft(shell: Shell) -> None:
    """Each requirement stands over its criteria, their checks and its tasks; exit 0 when nothing lacks."""
    told = shell.kata("spec", "trace", "spec.md")
    assert (told.code, told.stderr) == (0, "")
    assert told.text.splitlines() == [
        "spec.md Make save atomic",
        "REQ-001 Save is atomic",
        "  AC-001 GIVEN a full disk WHEN save is called THEN the old record is still there.",
        "    check pytest tests/test_store.py",
        "  T-001 open [implement] shelf/store.py",
        "  T-002 open [verify] tests/test_store.py",
        "coverage",
        "  REQ with AC     1/1  100 %",
        "  REQ with T      1/1  100 %",
        "  AC with a check 1/1  100 %",
    ]
    piped = shell.kata("spec", "trace", "-", stdin=SPEC.encode())
    assert piped.text.replace("<stdin>", "spec.md", 1) == told.text


def test_trace_finds_gaps(shell: Shell) -> None:
    """What is not covered is told with its line, and is exit 10; the hint is the linter."""
    told = shell.kata("spec", "trace", "gap.md", "spec.md")
    assert "kata spec lint gap.md" in told.refused(10)
    assert "uncovered: AC-001 has no verification step" in told.text
    assert "AC with a check 0/1  0 %" in told.text
    found = shell.kata("spec", "trace", "gap.md", "--json")
    assert (found.code, found.document["gap_count"]) == (10, 1)
    assert found.document["specs"][0]["gaps"][0]["line"] > 1


def test_trace_finds_tests(shell: Shell) -> None:
    """Tests that cite a criterion stand below it; a folder stands for all in it; what is left out is told."""
    told = shell.kata("spec", "trace", "spec.md", "--tests", "tests")
    assert told.code == 0, told.stderr
    assert "    test tests/test_ac_001.py:1" in told.text.splitlines()
    assert "AC with a test  1/1  100 %" in told.text
    assert told.stderr.splitlines() == [
        "warning: 1 test file left out: too large",
        "warning: 1 test file left out: binary",
    ]


def test_trace_of_tests_that_miss(shell: Shell) -> None:
    """A criterion without a test and a citation of what does not exist are gaps."""
    found = shell.kata("spec", "trace", "spec.md", "--tests", "checks/*.py", "--json")
    assert found.code == 10
    assert [gap["message"] for gap in found.document["specs"][0]["gaps"]] == ["AC-001 is cited by no test"]
    assert found.document["gaps"] == [
        {
            "kind": "dangling",
            "message": "AC-404 is cited, and does not exist",
            "path": "checks/test_other.py",
            "line": 1,
        }
    ]
    assert found.document["specs"][0]["requirements"][0]["tests"] == [
        {"path": "checks/test_other.py", "line": 1}
    ]
    both = shell.kata("spec", "trace", "spec.md", "--tests", "checks/*.py", "--tests", "tests/*.py")
    assert "1 gap in the trace" in both.refused(10)


def test_a_file_without_a_difference(shell: Shell) -> None:
    """Equal drafts are exit 0 and print nothing, whatever their layout."""
    loose = SPEC.encode().replace(b"\n\n", b"\r\n\r\n\r\n")
    for told in (
        shell.kata("spec", "diff", "spec.md", "spec.md"),
        shell.kata("spec", "diff", "spec.md", "-", stdin=loose),
    ):
        assert (told.code, told.stdout, told.stderr) == (0, b"", "")
    assert shell.kata("spec", "diff", "spec.md", "spec.md", "--json").document["is_equal"] is True


def test_a_difference(shell: Shell) -> None:
    """Old and new text stand below the id that changed; exit 10 as diff(1) has 1."""
    shell.write("new.md", SPEC.replace("SHALL save", "SHALL keep").replace("T-002", "T-007"))
    told = shell.kata("spec", "diff", "spec.md", "new.md")
    assert "spec.md and new.md differ in Requirements, Tasks" in told.refused(10)
    rows = told.text.splitlines()
    assert rows[:4] == [
        "--- spec.md  revision 1",
        "+++ new.md  revision 1",
        "Requirements",
        "  ~ REQ-001",
    ]
    assert "    + text: The shelf SHALL keep all of a record or nothing." in rows
    assert "  > T-007 was T-002" in rows
    back = shell.kata("spec", "diff", "new.md", "spec.md", "--json").document["sections"]
    assert [part["section"] for part in back] == ["Requirements", "Tasks"]
    assert back[1]["entries"] == [{"kind": "moved", "id": "T-002", "old_id": "T-007", "changes": []}]


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("trace", "absent.md"), 11, "absent.md"),
        (("trace", "broken.md"), 2, "broken.md: line"),
        (("trace", "newer.md"), 11, "kata.spec/v9"),
        (("trace", "-", "-"), 2, "only once"),
        (("trace", "tests"), 11, "directory"),
        (("trace", "tests/picture.png"), 11, "binary"),
        (("trace",), 2, "FILE"),
        (("trace", "spec.md", "--tests", "nothing/*.py"), 2, "no file matches"),
        (("trace", "spec.md", "--tests", ""), 2, "no file matches"),
        (("diff", "spec.md"), 2, "'B'"),
        (("diff", "spec.md", "absent.md"), 11, "absent.md"),
        (("diff", "-", "-"), 2, "only once"),
        (("diff", "spec.md", "broken.md"), 2, "kata spec lint broken.md"),
        (("diff", "spec.md", "open spec.md"), 2, "kata spec lint 'open spec.md'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_f1_what_cannot_be_read(shell: Shell, args: tuple[str, ...], code: int, says: str) -> None:
    """F1: a file that is missing, no draft, binary or newer is one clear line with the next command."""
    assert says in shell.kata("spec", *args).refused(code)


def test_x1_text_of_a_draft_is_shown_escaped(tmp_path: Path) -> None:
    """X1: control characters of a spec file and of a test's name never reach the terminal."""
    shell = Shell(tmp_path)
    shell.write("spec.md", SPEC)
    shell.write("evil.md", SPEC.replace("SHALL", "SHALL \x1b[31m\u202e"))
    shell.write("tests/\x1b[2Jtest.py", "AC-001 AC-404")
    shell.write(b"tests/\xff.py".decode("utf-8", "surrogateescape"), "AC-001")
    for args in (
        ("trace", "evil.md", "--tests", "tests/*"),
        ("trace", "evil.md", "--tests", "tests/*", "--json"),
        ("diff", "spec.md", "evil.md"),
        ("diff", "spec.md", "evil.md", "--json"),
    ):
        told = shell.kata("spec", *args)
        assert told.code == 10
        assert not set("\x1b\u202e") & set(told.text.replace("\n", ""))
