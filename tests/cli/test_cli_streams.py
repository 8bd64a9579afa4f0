"""stdout carries the result and nothing else, the same bytes everywhere; nothing hostile gets out."""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from cli.answers import ANSWER
from cli.shell import MOCK, QUICK, Shell
from cli.terminal import on_terminal
from servers.vendor import Reply, Status, VendorServer

ASK = ("run", "--no-stdin", "-w", "ask", "--provider", "openai", "What is it?")
NATIVE = ("run", "--no-stdin", "-w", "quick", "--provider", "openai", "Make save atomic")

# What may never reach a terminal: C0 but \t and \n, DEL, C1, bidi controls, invisible ones, the tag block.
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\U000e0000-\U000e007f]"
)
ESCAPES = [
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;aGk=\x07",
    "\x1b[2J\x1b[H",
    "\x1b[31mred",
    "\x1bP+q\x1b\\",
    "\x1b_apc\x1b\\",
    "\x9b31m",
    "\x9d0;t\x9c",
    "\x08\x08\x7f\x0b\x0c\x00\x05\x0e",
    "over\rwrite",
    "\u202edesrever\u2066\u2069\u200f\u061c",
    "zero\u200bwidth\u2060\ufeff",
    "\U000e0041\U000e007f",
    "\u2028\u2029\x85",
]
MARKUP = "[/] [red]alarm[/red] [link=http://evil]here[/link] [bold]**b** <b>x</b> {{goal}} :smile: \\[x]"
HOSTILE = MARKUP + " " + " ".join(ESCAPES)


def hostile_answer() -> str:
    """A draft whose every text is hostile."""
    answer: dict[str, Any] = copy.deepcopy(ANSWER)
    answer["title"] = f"Title {HOSTILE}"
    answer["goal"] = HOSTILE
    answer["risks"] = [HOSTILE]
    answer["requirements"][0]["title"] = MARKUP
    return json.dumps(answer)


def test_the_same_bytes_on_a_terminal_in_a_pipe_and_in_the_file(tmp_path: Path) -> None:
    """The draft is byte for byte the same in a pipe, on a terminal, in a redirected file and with -o."""
    shell = Shell(tmp_path)
    piped = shell.kata(*QUICK)
    assert on_terminal(shell, *QUICK, streams="stdout").screen == piped.stdout
    assert shell.bash(f"kata {' '.join(QUICK[:-1])} 'Make save atomic' > {tmp_path}/shown.md").code == 0
    assert (tmp_path / "shown.md").read_bytes() == piped.stdout
    to_file = shell.kata(*QUICK, "-o", tmp_path / "out.md")
    assert (to_file.code, to_file.stdout) == (0, b"")
    assert (tmp_path / "out.md").read_bytes() == piped.stdout
    assert all((run / "spec.md").read_bytes() == piped.stdout for run in shell.runs)


def test_o_leaves_the_format_alone(tmp_path: Path) -> None:
    """With -o the JSON formats still go to stdout, and the file holds the result itself."""
    shell = Shell(tmp_path)
    ended = shell.kata(*QUICK, "-o", tmp_path / "out.md", "--json")
    assert ended.document["result"]["text"] == (tmp_path / "out.md").read_text()
    assert ended.document["result"]["path"] == str(tmp_path / "out.md")
    lines = shell.kata(*QUICK, "-o", tmp_path / "out.md", "--format", "jsonl")
    assert lines.events[-1]["type"] == "run.finished"


def test_stderr_tells_what_60_seconds_look_like(tmp_path: Path) -> None:
    """A log has the header first, a line per change, and the summary with run and path last; -q is silent."""
    shell = Shell(tmp_path)
    lines = shell.kata(*QUICK, "-o", tmp_path / "out.md").stderr.splitlines()
    assert re.fullmatch(r"mock mock/mock-1 · no key needed · context 3 files, \d+ tokens", lines[0])
    assert lines[1] == "synthesize started"
    summary = rf"draft \d+ REQ \d+ AC \d+ T · .* · {shell.runs[0].name} · {tmp_path}/out.md"
    assert re.fullmatch(summary, lines[-1])
    assert not any("still running" in line for line in lines)
    assert shell.kata(*QUICK, "-q").stderr == ""
    assert shell.kata(*QUICK, "-v").code == 0


def test_the_live_display(tmp_path: Path) -> None:
    """On a terminal each task has a row, and the display has ended before the result is shown there."""
    shell = Shell(tmp_path)
    shown = on_terminal(shell, *MOCK, "Make save atomic")
    assert shown.code == 0
    draft = shown.text.index('---\nschema: "kata.spec/v1"')
    assert all(task in shown.text[:draft] for task in ("investigate", "verify", "critique", "synthesize"))
    assert "completed" in shown.text[:draft]
    assert "\x1b[?25h" not in shown.text[draft:], "the cursor came back late"
    assert "\x1b[" not in shown.text[draft:]
    assert shown.text.rstrip().endswith("spec.md")


def test_c3_f77_head_closes_the_pipe(tmp_path: Path) -> None:
    """C3, F77: `| head -1` is quiet, exits 0, and the run is recorded completed."""
    shell = Shell(tmp_path)
    ended = shell.bash(f"kata {' '.join(MOCK)} 'Make save atomic' -q | head -1")
    assert (ended.code, ended.text, ended.stderr) == (0, "---\n", "")
    assert shell.last_run["status"] == "completed"
    lines = shell.bash(f"kata {' '.join(MOCK)} 'Make save atomic' -q --format jsonl | true")
    assert (lines.code, lines.stderr) == (0, "")
    assert shell.last_run["status"] == "completed"
    others = "kata --help | true; kata run -h | true; kata workflows show spec | true"
    assert shell.bash(others).stderr == ""
    assert shell.bash(others.replace(";", " &&")).code == 0


@pytest.mark.parametrize("target", [">/dev/full", ">&-"])
def test_c3_f78_stdout_is_full_or_closed(tmp_path: Path, target: str) -> None:
    """C3, F78: a result that cannot be written is exit 11 with one line, in every format; the run is kept."""
    shell = Shell(tmp_path)
    for form in ("text", "json", "jsonl"):
        ended = shell.bash(f"kata {' '.join(QUICK[:-1])} goal --format {form} {target}")
        assert ended.code == 11, form
        assert "cannot write" in ended.stderr.splitlines()[-1 if form != "text" else -2]
        assert "Traceback" not in ended.stderr
    assert len(shell.runs) == 3
    assert all((run / "spec.md").stat().st_size for run in shell.runs)
    for command in ("--help", "run -h", "workflows list", "config show", "completion bash", "--version"):
        shell.bash(f"kata {command} {target}").refused(11)


def test_c3_output_needs_no_stdout(tmp_path: Path) -> None:
    """C3: with -o nothing is owed to stdout, so a closed one does no harm; nor does a closed stderr."""
    shell = Shell(tmp_path)
    kata = f"kata {' '.join(QUICK[:-1])} goal -o {tmp_path}/out.md"
    assert shell.bash(f"{kata} >&-").code == 0
    assert shell.bash(f"{kata} >&- 2>&- <&-").code == 0
    assert shell.bash(f"{kata} 2>/dev/full").code == 0
    assert (tmp_path / "out.md").read_text().startswith("---\n")
    assert [run.name for run in shell.runs if json.loads((run / "run.json").read_text())["exit_code"]] == []


def test_output_that_cannot_be(tmp_path: Path) -> None:
    """-o is judged before the first request: a missing folder, a directory, a file kata did not write."""
    shell = Shell(tmp_path)
    assert "mkdir -p no" in shell.kata(*QUICK, "-o", "no/x.md").refused(11)
    assert "directory" in shell.kata(*QUICK, "-o", "shelf").refused(11)
    mine = shell.write("mine.md", "my own words\n")
    assert "--force" in shell.kata(*QUICK, "-o", mine).refused(2)
    assert mine.read_text() == "my own words\n"
    assert shell.runs == []
    assert shell.kata(*QUICK, "-o", mine, "--force").code == 0
    assert shell.kata(*QUICK, "-o", mine).code == 0, "what kata wrote itself it may replace"
    mine.write_text(mine.read_text() + "edited\n")
    assert "edited" in shell.kata(*QUICK, "-o", mine).refused(2)
    assert mine.read_text().endswith("edited\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_output_without_permission(tmp_path: Path) -> None:
    """-o into a folder that may not be written is exit 11 before the first request."""
    shell = Shell(tmp_path)
    (shell.project / "shelf").chmod(0o500)
    assert "permission" in shell.kata(*QUICK, "-o", "shelf/x.md").refused(11)
    assert shell.runs == []


def test_output_special_targets(tmp_path: Path) -> None:
    """-o writes into a device, takes `-` for stdout, and spares what a symlink points at."""
    shell = Shell(tmp_path)
    assert shell.kata(*QUICK, "-o", "/dev/null").code == 0
    assert not Path("/dev/null").is_file()
    assert shell.kata(*QUICK, "-o", "-").stdout.startswith(b"---\n")
    precious = tmp_path / "bashrc"
    precious.write_text("precious\n")
    (shell.project / "link.md").symlink_to(precious)
    assert "--force" in shell.kata(*QUICK, "-o", "link.md").refused(2)
    assert precious.read_text() == "precious\n"


def test_output_is_untouched_on_failure(tmp_path: Path) -> None:
    """A run that fails leaves the file of the run before as it was."""
    shell = Shell(tmp_path)
    assert shell.kata(*QUICK, "-o", "out.md").code == 0
    before = (shell.project / "out.md").read_bytes()
    assert shell.kata(*QUICK, *shell.faults("task_failed"), "-o", "out.md").code == 8
    assert (shell.project / "out.md").read_bytes() == before
    assert not [path for path in shell.project.iterdir() if path.name.startswith(".tmp")]


@pytest.mark.parametrize("args", [ASK, NATIVE], ids=["streamed", "draft"])
def test_x1_x2_f50_hostile_text_is_shown_not_obeyed(tmp_path: Path, args: tuple[str, ...]) -> None:
    """X1, X2, F50: escapes, bidi controls and markup in a reply are shown literally, the same everywhere."""
    text = HOSTILE if args is ASK else hostile_answer()
    cut = [text[at : at + 3] for at in range(0, len(text), 3)]
    shell = Shell(tmp_path)
    with VendorServer([Reply(text=text, chunks=cut)]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url}
        piped = shell.kata(*args, env=env)
        shown = on_terminal(shell, *args, env=env, streams="stdout")
        both = on_terminal(shell, *args, env=env)
        document = shell.kata(*args, "--format", "jsonl" if args is ASK else "json", env=env)
    assert (piped.code, shown.screen) == (0, piped.stdout)
    assert UNSAFE.search(piped.text) is None
    assert UNSAFE.search(piped.stderr) is None
    assert piped.text in both.text
    assert "\x1b]" not in both.text
    for literal in ("[/]", "alarm", "[link=http://evil]", ":smile:", "{{goal}}", "^[]0;title^G", "\\u{202e}"):
        assert literal in piped.text.replace("\\[", "[").replace("\\\\u", "\\u"), literal
    assert re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", document.stdout) is None


def test_x1_a_hostile_error_and_hostile_names(tmp_path: Path) -> None:
    """X1: escapes in a vendor's error, a file's name, a goal and an argument reach no terminal."""
    shell = Shell(tmp_path)
    shell.write("a\x1b[31m\u202e.py", "x = 1\n")
    with VendorServer([Status(status=400, message=f"no {HOSTILE}\n::error::x")]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url, "GITHUB_ACTIONS": "true"}
        failed = shell.kata(*NATIVE, "-v", "-f", "a*.py", env=env)
    assert failed.code == 5
    ended = [
        failed,
        shell.kata("run", "--mode", "mock", "--no-stdin", "-w", f"x{ESCAPES[0]}\n::error::y", "goal"),
        shell.kata("sessions", "show", f"x{ESCAPES[3]}"),
        shell.kata("workflows", "show", f"./{ESCAPES[3]}\n::error::.toml"),
        shell.kata(*QUICK[:-1], f"Goal {HOSTILE}".replace("\0", "")),
        shell.kata("sessions", "list"),
        shell.kata("sessions", "show", "last"),
        shell.kata(*QUICK, "--dry-run", "-f", "a*.py"),
    ]
    for one in ended:
        assert UNSAFE.search(one.stderr) is None, one.stderr
        assert UNSAFE.search(one.text) is None
        assert not re.search(r"^\s*(::|##vso)", one.stderr, re.M), one.stderr


def test_x3_ci_commands_stay_off_stderr(tmp_path: Path) -> None:
    """X3: in CI no line of the log begins with a model's words; stdout is the result, as it is anywhere."""
    text = "::add-mask::x\n##vso[task.setvariable]y\n::set-output name=a::b\nend"
    shell = Shell(tmp_path)
    with VendorServer([Reply(text=text)]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url, "GITHUB_ACTIONS": "true", "CI": "true"}
        asked = shell.kata(*ASK, "-v", env=env)
        failed = shell.kata(*NATIVE, "-v", env=env)
        shown = on_terminal(shell, *ASK, env=env, streams="stderr")
    assert asked.text == text + "\n"
    assert failed.code == 9
    for told in (asked.stderr, failed.stderr, shown.text):
        assert not re.search(r"^\s*(::|##vso)", told, re.M), told
    assert "\x1b" not in shown.text, "CI gets the plain log, on a terminal too"


ENVIRONMENTS: dict[str, dict[str, str]] = {
    "no-home": {"HOME": ""},
    "relative-home": {"HOME": "here"},
    "lang-c": {"LANG": "C"},
    "ascii": {"LANG": "POSIX", "PYTHONIOENCODING": "ascii"},
    "dumb": {"TERM": "dumb"},
    "no-term": {"TERM": ""},
    "no-color": {"NO_COLOR": "1"},
    "force-color": {"FORCE_COLOR": "1"},
    "columns": {"COLUMNS": "20"},
    "bad-columns": {"COLUMNS": "wide"},
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_d2_f88_poor_environments(tmp_path: Path, name: str) -> None:
    """D2, F88: without home, in LANG=C, on a dumb terminal or one that lies the bytes are the same."""
    shell, env = Shell(tmp_path), {"XDG_STATE_HOME": str(tmp_path), **ENVIRONMENTS[name]}
    env |= {"XDG_CONFIG_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    goal = (*QUICK[:-1], "Grüße: make save atomic")
    piped = shell.kata(*goal, env=env)
    assert piped.code == 0, piped.stderr
    assert "Grüße" in piped.text
    shown = on_terminal(shell, *goal, env=env, columns=60)
    assert (shown.code, "Traceback" in shown.text) == (0, False)
    assert piped.stdout in shown.screen
    assert "\x1b" not in piped.text + piped.stderr
    assert ("\x1b" in shown.text) == (name not in ("dumb", "no-term"))
    if name == "no-color":
        assert not re.search("\x1b\\[[0-9;]*3[0-9]m", shown.text)


def test_d2_a_narrow_terminal_gets_plain_lines(tmp_path: Path) -> None:
    """D2: on 20 columns the rows of the live display would be cut to nothing, so the log is shown."""
    shown = on_terminal(Shell(tmp_path), *QUICK, columns=20)
    assert shown.code == 0
    assert "\x1b" not in shown.text
    assert "synthesize completed" in shown.text


def test_d2_no_home_at_all(tmp_path: Path) -> None:
    """D2: with a home that cannot be written the run fails with exit 11, one line and a hint."""
    shell = Shell(tmp_path)
    (tmp_path / "file").write_text("")
    told = shell.kata(*QUICK, env={"HOME": str(tmp_path / "file")}).refused(11)
    assert str(tmp_path / "file") in told


def test_colour_choice(tmp_path: Path) -> None:
    """The live display has colour on a terminal; --color never and NO_COLOR take it away."""
    shell = Shell(tmp_path)
    colour = re.compile("\x1b\\[[0-9;]*3[0-9]m")
    assert colour.search(on_terminal(shell, *QUICK, streams="stderr").text)
    assert not colour.search(on_terminal(shell, *QUICK, "--color", "never", streams="stderr").text)
    assert not colour.search(on_terminal(shell, *QUICK, env={"NO_COLOR": "1"}, streams="stderr").text)


def test_f48_a_reader_that_is_slow(tmp_path: Path) -> None:
    """F48: several megabytes through a slow pipe arrive whole."""
    text = "0123456789abcde\n" * 200_000
    shell = Shell(tmp_path)
    with VendorServer([Reply(text=text, chunks=[text[: len(text) // 2], text[len(text) // 2 :]])]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url}
        words = " ".join(ASK[:-1])
        ended = shell.bash(f"kata {words} goal -q | (read -r first; sleep 0.3; cat | wc -c)", env=env)
    assert ended.code == 0
    assert int(ended.text) == len(text) - 16
