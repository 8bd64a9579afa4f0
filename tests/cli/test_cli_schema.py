"""`kata schema`: every document that kata writes is as its JSON Schema says."""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cli.shell import MOCK, QUICK, Ended, Shell
from fake_pi.fakes import FakePi
from kata_cli.app.schemas import DOCUMENTS, json_schema
from kata_cli.core.events import STORED_TYPES
from kata_cli.workflows.catalog import BUILTIN

ROOT = Path(__file__).parents[2]
WORKFLOWS = [
    *(ROOT / f"kata_cli/workflows/builtin/{name}.toml" for name in BUILTIN),
    *sorted(ROOT.glob("examples/*.toml")),
]
CONFIG = """
provider = "ollama"
timeout = "10m"
trusted_projects = ["~/work"]

[context]
max_tokens = 1000

[vars]
area = "the store"

[profiles.fast]
thinking = "low"

[providers.ollama]
kind = "openai"
base_url = "http://127.0.0.1:11434/v1"
key_cmd = ["pass", "show", "llm"]
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A project with a run that ended well, a draft in `spec.md`, and a run that failed."""
    shell = Shell(tmp_path_factory.mktemp("schema"))
    assert shell.kata(*QUICK, "-o", "spec.md").code == 0
    draft = (shell.project / "spec.md").read_text()
    shell.write("other.md", draft.replace("atomic", "durable"))
    shell.write("broken.md", draft.replace("## Tasks", "## Task"))
    assert shell.kata(*MOCK, *shell.faults("rate_limited", "truncated", times=1), "Load fast").code == 9
    return shell


def closed(schema: Any) -> Any:
    """The schema without room for keys that it does not name, which readers are to ignore."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: closed(part) for key, part in schema.items()}
    return {"additionalProperties": False, **parts} if "properties" in schema else parts


def check(name: str, *documents: Any) -> None:
    """Each document is as the schema says, and the schema names every key of it."""
    assert documents
    validator = Draft202012Validator(closed(json_schema(name)))
    for document in documents:
        validator.validate(json.loads(document) if isinstance(document, bytes) else document)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_schema_is_one(name: str) -> None:
    """Each is a valid JSON Schema 2020-12 with a name of its own, and in words that a reader can use."""
    schema = json_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:kata:{name}:v1"
    assert "discriminator" not in json.dumps(schema)


def test_a_schema_is_printed(shell: Shell) -> None:
    """For people it is indented, with --json it is one line; both are the same."""
    printed = shell.kata("schema", "run").text
    assert printed.startswith("{\n  ")
    assert json.loads(printed) == shell.kata("schema", "run", "--json").document == json_schema("run")


def test_schemas_are_listed(shell: Shell) -> None:
    """Without a name all are listed; an unknown one is exit 2 with the nearest."""
    assert [line.split()[0] for line in shell.kata("schema").text.splitlines()] == list(DOCUMENTS)
    assert "did you mean event or" in shell.kata("schema", "evnt").refused(2)
    assert "kata schema lists them" in shell.kata("schema", "/etc/passwd").refused(2)


def test_every_document_of_the_code_has_a_schema() -> None:
    """A type with `schema = "kata.NAME/v1"` is in the table under that name, and nothing else is."""
    sources = [path.read_text() for path in (ROOT / "kata_cli").rglob("*.py")]
    form = re.compile(r'schema"?: .*"kata\.([a-z_-]+)/v1"')
    written = {name for text in sources for name in form.findall(text)}
    in_lines = {"event", "exchange", "session", "batch-line"}  # these have a version in each line instead
    assert written | in_lines | {"config"} == set(DOCUMENTS)


COMMANDS: list[tuple[str, int, tuple[str, ...]]] = [
    ("result", 0, (*QUICK, "--json")),
    ("result", 9, (*MOCK, "--json", "--scenario", "{scenario}", "Load fast")),
    ("result", 2, ("run", "--mode", "mok", "--json", "x")),
    ("dry-run", 0, (*MOCK, "--dry-run", "--json", "Make save atomic")),
    ("models", 0, ("models", "list", "--mode", "mock", "--json")),
    ("auth", 0, ("auth", "status", "--mode", "mock", "--json")),
    ("auth", 4, ("auth", "status", "--json")),
    ("model", 0, ("models", "show", "mock/mock-1", "--mode", "mock", "--json")),
    ("sessions", 0, ("sessions", "list", "--json")),
    ("run", 0, ("sessions", "show", "last", "--json")),
    ("search", 0, ("sessions", "search", "atomic", "--json")),
    ("session-tree", 0, ("sessions", "tree", "--json")),
    ("session-info", 0, ("sessions", "fork", "last", "--json")),
    ("session-info", 0, ("sessions", "rename", "last", "shelf", "--json")),
    ("compaction", 0, ("sessions", "compact", "last", "--mode", "mock", "--json")),
    ("stats", 0, ("sessions", "stats", "--json")),
    ("export", 0, ("sessions", "export", "last", "--format", "json")),
    ("stop", 0, ("sessions", "stop", "last", "--json")),
    ("removal", 0, ("sessions", "prune", "--older-than", "1s", "--json")),
    ("lint", 0, ("spec", "lint", "spec.md", "--json")),
    ("lint", 10, ("spec", "lint", "broken.md", "--json")),
    ("fmt", 0, ("spec", "fmt", "--check", "spec.md", "--json")),
    ("trace", 0, ("spec", "trace", "spec.md", "--json")),
    ("trace", 10, ("spec", "trace", "spec.md", "--tests", "tests", "--json")),
    ("diff", 0, ("spec", "diff", "spec.md", "spec.md", "--json")),
    ("diff", 10, ("spec", "diff", "spec.md", "other.md", "--json")),
    ("workflows", 0, ("workflows", "list", "--json")),
    ("workflow-check", 0, ("workflows", "check", "spec", "--json")),
    ("settings", 0, ("config", "show", "--json")),
    ("schemas", 0, ("schema", "--json")),
]


@pytest.mark.parametrize(("name", "code", "args"), COMMANDS, ids=lambda value: str(value)[:60])
def test_what_a_command_prints(shell: Shell, name: str, code: int, args: tuple[str, ...]) -> None:
    """The one document on stdout is as its schema says; so is the error on stderr."""
    scenario = shell.faults("truncated", times=9)[1]
    ended: Ended = shell.kata(*(scenario if arg == "{scenario}" else arg for arg in args))
    assert ended.code == code, ended.stderr
    check(name, ended.document)
    assert ended.document["schema"] == f"kata.{name}/v1"
    another = ended.document | {"schema": "kata.other/v1"}
    assert not Draft202012Validator(json_schema(name)).is_valid(another)
    if code:
        check("error", ended.error)


def test_doctor(shell: Shell) -> None:
    """Whatever it finds on this machine, its report is as its schema says."""
    check("doctor", shell.kata("doctor", "--mode", "mock", "--json").document)


def test_a_model_added(shell: Shell, tmp_path: Path) -> None:
    """The model that is told to a Pi that is there is as its schema says."""
    env = {"KATA_PI_BINARY": str(FakePi(tmp_path).binary)}
    added = shell.kata("models", "add", "pi/a/b", "--base-url", "http://127.0.0.1:9/v1", "--json", env=env)
    assert added.code == 0, added.stderr
    check("model-added", added.document)


def test_an_archive(shell: Shell, tmp_path: Path) -> None:
    """The manifest in the zip of a run is as its schema says."""
    file = tmp_path / "run.zip"
    assert shell.kata("sessions", "export", "last", "--format", "zip", "-o", file).code == 0
    with zipfile.ZipFile(file) as archive:
        [manifest] = [name for name in archive.namelist() if name.endswith("manifest.json")]
        check("archive", archive.read(manifest))


def test_files_of_a_run(shell: Shell) -> None:
    """Journal, views, exchanges and draft of a whole and of a failed run are as their schemas say."""
    assert len(shell.runs) >= 2
    for run in shell.runs[:2]:
        check("run", (run / "run.json").read_bytes())
        check("event", *(run / "events.jsonl").read_bytes().splitlines())
        check("exchange", *(run / "exchanges.jsonl").read_bytes().splitlines())
    check("spec", (shell.runs[0] / "spec.json").read_bytes())


def test_session_files(shell: Shell) -> None:
    """Header and entries of every session are as the schema says."""
    files = list((shell.home / ".local/state/kata/sessions").glob("*.jsonl"))
    check("session", *(line for file in files for line in file.read_bytes().splitlines()))


def test_streamed_events(shell: Shell) -> None:
    """Lines on stdout are as the schema says, those that are not stored too, and after a refusal."""
    events = shell.kata(*MOCK, "-w", "ask", "--format", "jsonl", "What is it?").events
    assert "content.delta" in {event["type"] for event in events}
    check("event", *events, *shell.kata("run", "--mode", "mok", "--format", "jsonl", "x").events)


def test_schema_of_events_is_complete() -> None:
    """Each stored type has its own keys beside those of every line; what has none is refused."""
    variants = json_schema("event")["$defs"].values()
    types = {kind for one in variants for kind in one["properties"].get("type", {}).get("enum", [])}
    assert types == {*STORED_TYPES, "content.delta"}
    assert not Draft202012Validator(json_schema("event")).is_valid({"v": 1, "seq": 0, "type": "run.started"})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_files(path: Path) -> None:
    """The built-in workflows and the examples are as the schema says; a misspelt key is not."""
    workflow = tomllib.loads(path.read_text())
    check("workflow", workflow)
    misspelt = workflow | {"promt": ""}
    assert not Draft202012Validator(json_schema("workflow")).is_valid(misspelt)


def test_config_file(shell: Shell) -> None:
    """A config that kata takes is as the schema says."""
    config = shell.home / "config"
    (config / "kata").mkdir(parents=True)
    (config / "kata/config.toml").write_text(CONFIG)
    assert shell.kata("config", "show", env={"XDG_CONFIG_HOME": str(config)}).code == 0
    check("config", tomllib.loads(CONFIG))
