"""`kata spec lint` and `kata spec fmt` through the installed program."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.shell import Ended, Shell
from kata_cli.app.spec_fmt import format_text
from kata_cli.core.errors import KataError
from kata_cli.spec.document import Criterion, Document, Requirement, Step, Task
from kata_cli.spec.render import render

SOUND = render(
    Document(
        id="s",
        title="Gate",
        goal="Calls over the limit are refused.",
        requirements=[Requirement(id="REQ-001", title="Refuse", text="The gate SHALL answer 429.")],
        criteria=[Criterion(id="AC-001", requirements=["REQ-001"], text="WHEN the limit is hit THEN 429")],
        tasks=[Task(id="T-001", role="implement", requirements=["REQ-001"], text="Count", path="src/a.py")],
        verification=[Step(criterion="AC-001", command="pytest -q")],
    )
)
BROKEN = SOUND.replace("SHALL", "may")
WARNED = SOUND.replace(" in `src/a.py`", "")
LOOSE = "\ufeff" + SOUND.replace("\n\n", "\n\n\n").replace("- [ ]", "* [ ]").replace("\n", "\r\n")
SECRET = "sk-ant-api03-" + "A1b2" * 20


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell with a sound, a broken and a warned spec."""
    shell = Shell(tmp_path)
    for name, text in (("sound.md", SOUND), ("broken.md", BROKEN), ("warned.md", WARNED)):
        shell.write(name, text)
    return shell


def lint(shell: Shell, *args: str, code: int = 0, **options: object) -> Ended:
    """`kata spec lint` that ends with this code."""
    ended = shell.kata("spec", "lint", *args, **options)
    assert ended.code == code, (ended.code, ended.text, ended.stderr)
    return ended


def test_a_sound_spec_passes(shell: Shell) -> None:
    """Nothing on stdout, the summary on stderr, exit 0; the same on stdin."""
    assert (lint(shell, "sound.md").text, lint(shell, "sound.md").stderr) == ("", "no findings in 1 file\n")
    assert lint(shell, "-", stdin=SOUND.encode()).text == ""


def test_a_broken_rule_is_exit_10(shell: Shell) -> None:
    """Each file is checked; a finding is one line with its place; then what happened and what to do."""
    ended = lint(shell, "sound.md", "broken.md", "-", code=10, stdin=BROKEN.encode())
    rows = ended.text.splitlines()
    assert [row.partition(": ")[0] for row in rows] == ["broken.md:16", "<stdin>:16"]
    assert ": error KS007 REQ-001 has no SHALL" in rows[0]
    assert ended.refused(10).startswith("kata: 2 errors in 3 files")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ((), 0),
        (("--strict",), 10),
        (("--fail-on", "warning"), 10),
        (("--fail-on=W",), 10),
        (("--fail-on", "info"), 10),
        (("--fail-on", "I"), 10),
        (("--strict", "--fail-on", "error"), 0),
        (("--fail-on", "E"), 0),
    ],
)
def test_what_fails_can_be_chosen(shell: Shell, args: tuple[str, ...], code: int) -> None:
    """Warnings fail under --strict or --fail-on; what --fail-on says counts; the line is told either way."""
    assert "KS019" in lint(shell, *args, "warned.md", code=code).text


def test_strict_asks_for_style(shell: Shell) -> None:
    """EARS patterns and vague words are for --strict alone."""
    text = SOUND.replace("The gate SHALL answer 429", "Answers SHALL be fast")
    assert lint(shell, "-", stdin=text.encode()).text == ""
    found = lint(shell, "--strict", "-", stdin=text.encode(), code=10).text
    assert ("KS009" in found, "KS013" in found) == (True, True)


def test_json_is_one_document(shell: Shell) -> None:
    """Every file with its findings and what is ignored, the totals, and the failure on stderr."""
    text = WARNED.replace("Count", "Count <!-- kata-ignore KS019: no file yet -->")
    ended = lint(shell, "--json", "broken.md", "-", stdin=text.encode(), code=10)
    document = ended.document
    assert document["schema"] == "kata.lint/v1"
    assert document["counts"] == {"error": 1, "warning": 0, "info": 0, "ignored": 1}
    broken, piped = document["files"]
    assert (broken["file"], broken["shape"], piped["file"]) == ("broken.md", "kata", "<stdin>")
    assert [finding["rule"] for finding in broken["findings"]] == ["KS007"]
    assert [ignored["reason"] for ignored in piped["ignored"]] == ["no file yet"]
    assert (ended.error["code"], ended.error["exit_code"]) == ("findings", 10)
    assert lint(shell, "--format", "json", "broken.md", code=10).document["files"] == [broken]


def test_forms_for_ci(shell: Shell) -> None:
    """SARIF is JSON, JUnit is XML, github is commands; each exits like text, twice with the same bytes."""
    sarif = lint(shell, "--format", "sarif", "broken.md", code=10)
    assert [result["ruleId"] for result in sarif.document["runs"][0]["results"]] == ["KS007"]
    junit = lint(shell, "--format", "junit", "broken.md", "sound.md", code=10)
    assert ElementTree.fromstring(junit.stdout).get("failures") == "1"
    github = lint(shell, "--format=github", "broken.md", code=10)
    assert github.text.startswith("::error file=broken.md,line=16,title=KS007::REQ-001 has no SHALL")
    for form, ended in (("sarif", sarif), ("github", github)):
        assert lint(shell, "--format", form, "broken.md", code=10).stdout == ended.stdout


def test_x3_a_file_name_is_no_command(shell: Shell) -> None:
    """X3: in a GitHub job a file that is called like a log command is shown, not obeyed."""
    shell.write("::error::x.md", BROKEN)
    ended = lint(shell, "::error::x.md", code=10, env={"GITHUB_ACTIONS": "true"})
    assert ended.text.startswith("./::error::x.md:16: error")
    shell.write("::error::x.md", LOOSE)
    assert shell.kata("spec", "fmt", "--check", "::error::x.md").text == "./::error::x.md\n"


def test_f87_what_cannot_be_read_is_exit_11(shell: Shell) -> None:
    """F87: absent, binary, not UTF-8, a folder, 10 MiB: all named in one line, the others are checked."""
    shell.write("binary.md", b"a\0b")
    shell.write("latin.md", "größer".encode("latin-1"))
    shell.write("big.md", b"x" * 10 * 1024 * 1024)
    ended = lint(shell, "nope.md", "binary.md", "latin.md", "big.md", "tests", "broken.md", code=11)
    told = ended.refused(11)
    for part in ("nope.md", "binary.md is binary", "latin.md is not UTF-8", "big.md is longer", "tests"):
        assert part in told
    assert "broken.md:16: error KS007" in ended.text
    assert [one["file"] for one in lint(shell, "--json", "nope.md", code=11).document["unread"]] == [
        "nope.md"
    ]


@pytest.mark.parametrize("command", ["lint", "fmt", "fmt --check", "trace", "diff sound.md"])
@pytest.mark.parametrize("data", [b"a\0b", b"caf\xe9", b"x" * 4_194_305], ids=["binary", "latin-1", "large"])
def test_f4_f87_all_commands_agree_on_what_cannot_be_read(shell: Shell, command: str, data: bytes) -> None:
    """F4, F87: the same file is exit 11 for each of them, on stdin too; no hint is about `run`."""
    shell.write("odd.md", data)
    told = shell.kata("spec", *command.split(), "odd.md").refused(11)
    assert "odd.md" in told
    assert "-f" not in told.split()
    assert "stdin" in shell.kata("spec", *command.split(), "-", stdin=data).refused(11)


def test_f87_every_report_names_what_cannot_be_read(shell: Shell) -> None:
    """F87: a CI system that only looks at the report sees the file, too."""
    shell.write("odd.md", b"a\0b")
    junit = ElementTree.fromstring(lint(shell, "--format", "junit", "odd.md", "sound.md", code=11).stdout)
    assert (junit.get("errors"), junit.get("tests")) == ("1", "2")
    error = junit.find("testsuite[@name='odd.md']/testcase/error")
    assert error is not None
    assert "is binary: a NUL at byte 1" in error.get("message", "")
    sarif = lint(shell, "--format", "sarif", "odd.md", code=11).document["runs"][0]["invocations"][0]
    assert sarif["executionSuccessful"] is False
    assert "is binary" in sarif["toolExecutionNotifications"][0]["message"]["text"]
    sound = lint(shell, "--format", "sarif", "sound.md").document["runs"][0]["invocations"]
    assert sound == [{"executionSuccessful": True, "toolExecutionNotifications": []}]
    rows = lint(shell, "--format", "github", "odd.md", code=11).text
    assert rows.startswith("::error file=odd.md,title=unread::spec odd.md is binary")


@pytest.mark.parametrize("target", [">/dev/full", ">&-"])
@pytest.mark.parametrize(
    "command",
    [
        "spec lint broken.md",
        "spec lint --format sarif broken.md",
        "spec lint --json nope.md",
        "spec diff sound.md broken.md",
        "spec fmt --check loose.md",
        "doctor --isolated",
    ],
)
def test_c3_f78_findings_that_are_lost_are_exit_11(shell: Shell, command: str, target: str) -> None:
    """C3, F78: what was found and could not be told is no mere finding; it is said once, last."""
    shell.write("loose.md", LOOSE)
    ended = shell.bash(f"kata {command} {target}")
    assert ended.code == 11
    assert ended.stderr.count("cannot write to stdout") == 1
    assert "cannot write to stdout" in "".join(ended.verdict)


def test_c3_f78_another_failure_keeps_its_code(shell: Shell) -> None:
    """C3, F78: a run that failed for its own reason says both, and ends with the first."""
    words = "run --mode mock --no-stdin -w quick goal --json"
    ended = shell.bash(f"kata {words} {' '.join(shell.faults('invalid_auth'))} > /dev/full")
    assert ended.code == 4, ended.stderr
    assert ended.stderr.count("cannot write to stdout") == 1


def test_the_hint_names_the_rule_that_broke(shell: Shell) -> None:
    """The ignore of the hint can be pasted as it is."""
    assert "<!-- kata-ignore KS007: reason -->" in lint(shell, "broken.md", code=10).refused(10)
    assert "kata-ignore KS019" in lint(shell, "--strict", "warned.md", code=10).refused(10)


def test_a_newer_schema_is_exit_11(shell: Shell) -> None:
    """A draft of a later kata is not called broken; file and remedy are named."""
    newer = SOUND.replace("kata.spec/v1", "kata.spec/v2").encode()
    shell.write("newer.md", newer)
    told = lint(shell, "newer.md", code=11).refused(11)
    assert told.startswith("kata: newer.md: line 2: kata.spec/v2 is not known")
    assert "hint: upgrade kata" in told
    assert "kata.spec/v2 is not known" in lint(shell, "-", stdin=newer, code=11).refused(11)
    assert "upgrade kata" in shell.kata("spec", "fmt", "-", stdin=newer).refused(11)


def test_s1_no_secret_is_shown(shell: Shell) -> None:
    """s1: a finding that quotes the file shows no secret, in any form."""
    text = SOUND + f"\n| {SECRET} |\n"
    for form in ("text", "json", "sarif", "junit", "github"):
        ended = lint(shell, "--format", form, "-", stdin=text.encode(), code=10)
        assert "KS031" in ended.text
        assert SECRET[:30] not in ended.text + ended.stderr


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("spec",), "kata spec lint FILE"),
        (("spec", "--strict"), "kata spec lint FILE"),
        (("spec", "fmt"), "kata spec fmt FILE"),
        (("spec", "lint", "--format", "xml", "sound.md"), "sarif"),
        (("spec", "lint", "--fail-on", "warnings", "sound.md"), "did you mean warning?"),
        (("spec", "lint", "-", "-"), "only once"),
        (("spec", "fmt", "-", "sound.md"), "alone"),
        (("spec", "lnt", "sound.md"), "lint"),
    ],
)
def test_bad_usage_names_the_way_on(shell: Shell, args: tuple[str, ...], says: str) -> None:
    """Exit 2 with the choices or the command to type."""
    assert says in shell.kata(*args).refused(2)


def test_fmt_rewrites_only_what_is_not_in_the_layout(shell: Shell) -> None:
    """BOM, CRLF, other list marks and blank lines go; a file in the layout is not touched."""
    loose = shell.write("loose.md", LOOSE)
    loose.chmod(0o664)
    sound = shell.project / "sound.md"
    before = sound.stat()
    ended = shell.kata("spec", "fmt", "loose.md", "sound.md")
    assert (ended.code, ended.text, ended.stderr) == (0, "", "formatted loose.md\n")
    assert loose.read_text() == SOUND
    assert stat.S_IMODE(loose.stat().st_mode) == 0o664
    assert (sound.stat().st_ino, sound.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert shell.kata("spec", "fmt", "loose.md").stderr == ""


def test_fmt_check_writes_nothing(shell: Shell) -> None:
    """--check lists what would change and is exit 10; as JSON too."""
    loose = shell.write("loose.md", LOOSE)
    ended = shell.kata("spec", "fmt", "--check", "loose.md", "sound.md")
    assert ended.text == "loose.md\n"
    assert "kata spec fmt loose.md" in ended.refused(10)
    assert loose.read_bytes() == LOOSE.encode()
    document = shell.kata("spec", "fmt", "--check", "--json", "loose.md", "sound.md").document
    assert (document["changed"], document["unchanged"]) == (["loose.md"], ["sound.md"])
    assert shell.kata("spec", "fmt", "--check", "sound.md").code == 0


def test_fmt_filters_stdin(shell: Shell) -> None:
    """`-` gives the draft on stdout, secrets and all: a filter changes no word."""
    text = LOOSE.replace("are refused", f"are refused with {SECRET}")
    ended = shell.kata("spec", "fmt", "-", stdin=text.encode())
    assert ended.text == SOUND.replace("are refused", f"are refused with {SECRET}")
    assert shell.kata("spec", "fmt", "--check", "-", stdin=LOOSE.encode()).code == 10


@pytest.mark.parametrize(
    "extra",
    [
        "\n## Zork\n\n- x\n",
        "\nstray\n",
        "\n```sh\nx\n```\n",
        "\n## Risks\n\n- a\n\n  second paragraph\n",
        "\n| a |\n",
        "\n#### deep\n",
    ],
)
def test_fmt_refuses_rather_than_lose_a_word(shell: Shell, extra: str) -> None:
    """What a draft cannot hold leaves the file untouched, names lint, and the other files are formatted."""
    text = LOOSE + extra.replace("\n", "\r\n")
    odd = shell.write("odd.md", text)
    loose = shell.write("loose.md", LOOSE)
    refused = shell.kata("spec", "fmt", "odd.md", "loose.md").refused(2)
    assert "odd.md: line " in refused
    assert "hint: kata spec lint odd.md" in refused
    assert odd.read_bytes() == text.encode()
    assert loose.read_text() == SOUND


def test_a_comment_after_an_entry_stays_with_it(shell: Shell) -> None:
    """Below a requirement, or at the end of a task or check, it is part of that text and costs nothing."""
    note = "<!-- kata-ignore KS007: agreed -->"
    text = SOUND.replace("429.\n", f"429.\n\n{note}\n", 1)
    text = text.replace("after: none", f"after: none {note}").replace("pytest -q`", f"pytest -q` {note}")
    once = shell.kata("spec", "fmt", "-", stdin=text.encode()).text
    assert f"The gate SHALL answer 429. {note}\n" in once
    assert f"(REQ-001) Count {note} in `src/a.py` — after: none\n" in once
    assert f"- AC-001: `pytest -q` — {note}\n" in once
    assert shell.kata("spec", "fmt", "-", stdin=once.encode()).text == once
    may = text.replace("SHALL", "may").encode()
    assert lint(shell, "--json", "-", stdin=may).document["counts"]["ignored"] == 1


def test_fmt_follows_a_symlink(shell: Shell) -> None:
    """The file that a link leads to is formatted; the link stays a link."""
    target = shell.write("docs/real.md", LOOSE)
    link = shell.project / "link.md"
    link.symlink_to("docs/real.md")
    assert shell.kata("spec", "fmt", "link.md").code == 0
    assert link.is_symlink()
    assert target.read_text() == SOUND


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_fmt_leaves_a_read_only_file(shell: Shell) -> None:
    """A file that its owner protected is not replaced behind his back."""
    loose = shell.write("loose.md", LOOSE)
    loose.chmod(0o444)
    assert "read-only" in shell.kata("spec", "fmt", "loose.md").refused(11)
    assert loose.read_bytes() == LOOSE.encode()


ROWS = st.sampled_from(
    [
        "<!-- c -->",
        "- AC-001: `x` <!-- c -->",
        "- [ ] T-002 do in `a` — after: T-001 <!-- c -->",
        *SOUND.split("\n"),
        "",
        "* x",
        "2. y",
        "## Risks",
        "## Context",
        "two\twords",
        "-",
        "x ",
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(ROWS, max_size=8).map("\n".join))
def test_fmt_is_idempotent_and_loses_no_word(rows: str) -> None:
    """Whatever is accepted keeps all words below its headings, and formatting it again changes nothing."""
    try:
        once = format_text(SOUND + rows)
    except KataError:
        return
    assert format_text(once) == once
    kept = [row for row in rows.replace("2. ", "").split("\n") if not row.startswith("## ")]
    assert all(word in once for row in kept for word in row.split() if word not in ("*", "-"))


def test_the_lint_document_is_json_that_others_can_read(shell: Shell) -> None:
    """Hostile text of a file stays inside its JSON string."""
    text = SOUND + '\n| "}\x1b[2J\u202e |\n'
    assert json.loads(lint(shell, "--json", "-", stdin=text.encode(), code=10).stdout)["counts"]["error"] == 1
