"""The README holds: its shell blocks run in order, its tables are those of the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from docs.checkout import ROOT, Checkout
from kata_cli.cli.commands import COMMANDS
from kata_cli.config.setting import Setting
from kata_cli.config.settings import SETTINGS
from kata_cli.core.errors import MEANINGS, Exit
from kata_cli.core.events import STORED_TYPES, ContentDelta
from kata_cli.spec.lint import RULES
from servers.vendor import Reply, VendorServer

README = (ROOT / "README.md").read_text()
_BLOCK = re.compile(r"^```(\S*)([^\n]*)\n(.*?)^```$", re.M | re.S)
_VARYING = (
    (re.compile(r"\d{8}-\d{6}-[0-9a-z]{6}"), "RUN"),
    (re.compile(r"\d+(\.\d+)?k?\b"), "N"),
)


class Block(msgspec.Struct, frozen=True):
    """A fenced block: its language, the words after it, its text and the line it begins at."""

    language: str
    words: str
    text: str
    line: int


def blocks(*languages: str) -> Iterator[Block]:
    """The blocks of the README in some languages, in order."""
    for match in _BLOCK.finditer(README):
        if match[1] in languages:
            yield Block(match[1], match[2].strip(), match[3], README.count("\n", 0, match.start()) + 1)


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    section = README.partition(f"\n{heading}\n")[2]
    lines = [line for line in section.split("\n\n#")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def code(cell: str) -> list[str]:
    """The words in backticks of a cell."""
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A clone of this repository with an empty home."""
    return Checkout(tmp_path_factory.mktemp("readme"))


@pytest.mark.parametrize("block", list(blocks("sh", "console")), ids=lambda block: f"line-{block.line}")
def test_shell_block_runs(block: Block, checkout: Checkout) -> None:
    """Each shell block works as it stands, and a console block prints what it shows."""
    if block.language == "console":
        shown = [line for line in block.text.splitlines() if not line.startswith("$ ")]
        typed = [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
        assert_shown(shown, checkout.bash("\n".join(typed)).output, checkout)
    elif block.words == "native":
        with VendorServer([Reply(text="It keeps records.")]) as server:
            env = {"OPENAI_BASE_URL": server.openai_url}
            done = checkout.bash(block.text, env=env)
        assert done.code == 0, done.output
        assert "It keeps records." in done.output
        assert server.requests
    else:
        done = checkout.bash(block.text)
        assert done.code == 0, done.output


def assert_shown(shown: list[str], output: str, checkout: Checkout) -> None:
    """Every line shown occurs in the output, in this order; figures, ids and homes may differ."""
    left = iter([steady(line.replace(str(checkout.home), "~")) for line in output.splitlines()])
    for line in shown:
        if line != "…":
            assert any(steady(line) == other for other in left), f"{line!r} is not in:\n{output}"


def steady(line: str) -> str:
    """A line without what differs from run to run."""
    for pattern, name in _VARYING:
        line = pattern.sub(name, line)
    return line.strip()


@pytest.mark.parametrize(
    ("begins", "command"),
    [
        ("schema", "kata workflows check ./block.toml"),
        ("provider", "kata config show"),
        ("latency_ms", "kata run --mode mock --no-context -w ask --scenario ./block.toml Why"),
    ],
)
def test_toml_block_is_accepted(begins: str, command: str, checkout: Checkout) -> None:
    """The workflow, the config and the scenario that the README shows are read without a complaint."""
    [text] = [block.text for block in blocks("toml") if block.text.startswith(begins)]
    folder = checkout.home / "config" / "kata"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(text if begins == "provider" else "")
    (checkout.path / "block.toml").write_text(text)
    done = checkout.bash(command, env={"XDG_CONFIG_HOME": str(folder.parent)})
    assert done.code == 0, done.output
    assert begins != "provider" or "llama3.3" in done.output


def test_every_shell_block_is_known() -> None:
    """No block hides from the test above behind another name of a shell."""
    assert {match[1] for match in _BLOCK.finditer(README)} <= {"sh", "console", "toml", "yaml", "markdown"}
    assert len(list(blocks("sh", "console"))) >= 8


def test_exit_codes_are_those_of_the_code() -> None:
    """The table names every exit status with the failure codes that lead to it."""
    told = {int(number): (name, set(code(codes))) for number, name, codes, _ in rows("## Exit codes")}
    known = {
        int(status): (status.name.lower(), {c for c, meaning in MEANINGS.items() if meaning.exit == status})
        for status in Exit
    }
    assert told == known


def test_lint_rules_are_those_of_the_code() -> None:
    """The table names every rule with its severity, once."""
    told = [
        (rule, severity)
        for ids, severities, _ in rows("### Lint and fmt")
        for rule, severity in zip(code(ids), severities.split(", ") * len(code(ids)), strict=False)
    ]
    known = {rule.id: rule.severity for rule in reversed(RULES)} | {"KS032": "warning"}
    assert sorted(told) == sorted(known.items())


def test_events_are_those_of_the_code() -> None:
    """The table of events lists every type there is."""
    told = [name for row in rows("### Events") for name in code(row[0])]
    assert sorted(told) == sorted({*STORED_TYPES, str(ContentDelta.__struct_config__.tag)})


def test_settings_are_those_of_the_code() -> None:
    """The table of settings lists each with its flags, default and what an untrusted project may do."""
    told = {
        code(key)[0]: (code(flags), default, trust)
        for key, flags, default, trust, _ in rows("## Settings and trust")
    }
    known = {
        setting.key: (list(setting.flags), shown(setting.default), trust_of(setting))
        for setting in SETTINGS.values()
    }
    assert told == known


def shown(default: object) -> str:
    """A default as the table writes it."""
    if default in (None, (), {}):
        return ""
    if isinstance(default, tuple):
        default = ",".join(default)
    text = (
        str(default).lower()
        if isinstance(default, bool)
        else f"{default:g}"
        if isinstance(default, float)
        else default
    )
    return f"`{text}`"


def trust_of(setting: Setting[object]) -> str:
    """What an untrusted project may do with a setting, as the table writes it."""
    if setting.is_user_only:
        return "own file only"
    if not setting.is_trusted:
        return "no"
    if setting.trusted_choices:
        return ", ".join(f"`{choice}`" for choice in setting.trusted_choices)
    return "lower wins" if setting.lower_wins else "yes"


def commands() -> Iterator[str]:
    """Every command, with its group."""
    for name, load in COMMANDS.items():
        inner = getattr(load(), "commands", None)
        yield from (f"{name} {each}" for each in inner) if inner else (name,)


def test_flags_and_commands_exist(checkout: Checkout) -> None:
    """Every flag the README speaks of is in some help text, and every command has one."""
    helps = [checkout.bash(f"kata {command} --help") for command in ("", *commands())]
    assert [done.code for done in helps] == [0] * len(helps)
    known = set(re.findall(r"--[a-z][a-z-]+", "".join(done.output for done in helps)))
    prose = re.sub(r"git log[^|]*\||--since", "", README)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", prose)) <= known


def test_workflows_named_exist(checkout: Checkout) -> None:
    """Every workflow that a command of the README names can be run."""
    named = set(re.findall(r"-w ([\w./-]+)", README)) - {"./my.toml"}
    assert len(named) >= 5
    for name in sorted(named):
        done = checkout.bash(f"kata workflows check {name}")
        assert done.code == 0, done.output


def test_dependencies_are_those_of_the_package() -> None:
    """The table gives a reason for each declared dependency and for nothing else."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    declared = [name for name in project["dependencies"] + extras if not name.startswith("kata-cli")]
    told = [row[0].split()[0] for row in rows("## Dependencies")]
    assert sorted(told) == sorted(re.match(r"[\w-]+", text)[0] for text in declared)  # type: ignore[index]
    locked = set(re.findall(r"^([\w-]+)==", (ROOT / "requirements.lock").read_text(), re.M))
    assert set(told) <= locked


def test_lock_names_no_place() -> None:
    """The lock holds versions and hashes: no address and no path."""
    lock = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"://|index|find-links|^\s*/|\.\./", lock, re.M)
    assert lock.count("==") <= lock.count("--hash=sha256:")


def test_documents_name_no_place() -> None:
    """Nothing for readers carries a path of the machine it was written on."""
    for path in [*ROOT.glob("*.md"), *ROOT.glob("scripts/*"), *ROOT.glob("examples/**/*.toml")]:
        found = re.findall(r"(?:^|[\s\"'(=])(/(?:home|root|tmp|work|Users)\b\S*)", path.read_text())
        assert not found, f"{Path(path).name}: {found}"


def test_contributing_names_what_exists() -> None:
    """Every path that CONTRIBUTING.md speaks of is there."""
    words = code(_BLOCK.sub("", (ROOT / "CONTRIBUTING.md").read_text()))
    paths = [word for word in words if re.fullmatch(r"[\w.]+/[\w./]*", word)]
    assert len(paths) > 15
    assert not [path for path in paths if not ((ROOT / path).exists() or (ROOT / "kata_cli" / path).exists())]
