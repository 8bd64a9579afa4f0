"""`kata models`, and the model of a run in pi mode that nobody named, with an executable in Pi's place."""

from __future__ import annotations

import json
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cli.shell import Ended, Shell, finish
from fake_pi.fakes import FakePi
from servers.vendor import Models, VendorServer

TARGET = "pi/local/llama"
HERE = ("--base-url", "http://127.0.0.1:9/v1")
KEY = {"ANTHROPIC_API_KEY": "key-for-the-agents"}
ASK = ("run", "--no-stdin", "--mode", "pi", "-w", "ask", "Say hello.")


class Desk:
    """A shell whose Pi is a fake that misbehaves as told."""

    def __init__(self, root: Path, **fake: Any) -> None:
        self.shell = Shell(root)
        place = root / "pi"
        place.mkdir()
        self.pi = FakePi(place, **fake)
        self.env = {"KATA_PI_BINARY": str(self.pi.binary)}
        self.file = self.shell.home / ".config/kata/models.toml"

    def kata(self, *args: str, **env: str) -> Ended:
        return self.shell.kata(*args, env={**self.env, **env})

    def add(self, *args: str, **env: str) -> Ended:
        return self.kata("models", "add", TARGET, *HERE, *args, **env)

    def rows(self, *args: str, **env: str) -> list[Any]:
        listed = self.kata("models", "list", "--mode", "pi", "--json", *args, **env)
        assert listed.code == 0, listed.stderr
        rows: list[Any] = listed.document["models"]
        return rows

    @property
    def stored(self) -> list[Any]:
        rows: list[Any] = tomllib.loads(self.file.read_text())["models"]
        return rows

    def agent_dir(self, **files: Any) -> Path:
        """A Pi directory of the user's own, which the config names."""
        directory = self.shell.home / "own"
        directory.mkdir()
        for name, content in files.items():
            directory.joinpath(f"{name}.json").write_text(
                content if isinstance(content, str) else json.dumps(content)
            )
        self.file.parent.mkdir(parents=True)
        self.file.with_name("config.toml").write_text(f'[pi]\nagent_dir = "{directory}"\n')
        return directory


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_mo_12_a_model_is_added_and_used(desk: Desk) -> None:
    """MO-12: what Pi accepts is stored privately, listed, and can be asked; no key is written anywhere."""
    told = desk.add("--key-env", "LOCAL_KEY", "--context-window", "32000", LOCAL_KEY="a-secret-of-mine")
    assert told.code == 0, told.stderr
    assert "added local/llama" in told.text
    assert "LOCAL_KEY" not in told.text
    assert stat.S_IMODE(desk.file.stat().st_mode) == 0o600
    assert "secret" not in desk.file.read_text()
    rows = {row["id"]: row for row in desk.rows(LOCAL_KEY="a-secret-of-mine")}
    assert (rows["llama"]["is_available"], rows["llama"]["context_window"]) == (True, 32000)
    ended = desk.kata(*ASK, "-m", "local/llama", LOCAL_KEY="a-secret-of-mine")
    assert ended.code == 0, ended.stderr
    seen = desk.pi.logged("providers")[-1]["local"]
    assert "secret" not in json.dumps(seen)
    assert desk.pi.is_gone()


def test_mo_12_every_property_reaches_pi(desk: Desk) -> None:
    """The options end up in the models.json of the child, in Pi's words."""
    options = {
        "--api": "openai-responses",
        "--name": "My Llama",
        "--max-output-tokens": "4096",
        "--thinking": "low,xhigh",
        "--input-cost": "0.5",
        "--output-cost": "1.5",
    }
    added = desk.add("--json", *(word for option in options.items() for word in option)).document
    assert (added["schema"], added["is_written"], added["is_key_set"]) == ("kata.model-added/v1", True, True)
    (model,) = desk.pi.logged("providers")[-1]["local"]["models"]
    assert (model["api"], model["name"], model["maxTokens"]) == ("openai-responses", "My Llama", 4096)
    assert model["reasoning"] is True
    assert model["thinkingLevelMap"] == {
        "off": None,
        "minimal": None,
        "medium": None,
        "high": None,
        "xhigh": "xhigh",
    }
    assert model["cost"] == {"input": 0.5, "output": 1.5, "cacheRead": 0, "cacheWrite": 0}


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (("models", "add", "openai/gpt", *HERE), 2, "[providers.NAME]"),
        (("models", "add", "pi/local", *HERE), 2, "pi/PROVIDER/ID"),
        (("models", "add", TARGET), 2, "--base-url"),
        (("models", "add", TARGET, *HERE, "--api", "chat"), 2, "--api: expected one of"),
        (("models", "add", TARGET, *HERE, "--key-env", "sk-abc"), 2, "--key-env"),
        (("models", "add", TARGET, *HERE, "--context-window", "0"), 2, "--context-window"),
        (("models", "add", TARGET, *HERE, "--context-window", "big"), 2, "--context-window"),
        (("models", "add", TARGET, *HERE, "--thinking", "hard"), 2, "--thinking"),
        (("models", "add", "pi/anthropic/x", *HERE), 2, "built in"),
        (("models", "list", "--thinking", "hihg", "--mode", "pi"), 2, "high"),
        (("models", "show", "fake/thnk", "--mode", "pi"), 2, "did you mean fake/think"),
        (("models", "show", "plain", "--mode", "pi"), 2, "provider/model"),
    ],
)
def test_what_is_refused_before_anything_is_stored(
    desk: Desk, args: tuple[str, ...], code: int, told: str
) -> None:
    """One clear line with the field and the next thing to type; no file is made."""
    assert told in desk.kata(*args).refused(code)
    assert not desk.file.exists()
    assert desk.pi.is_gone()


@pytest.mark.parametrize(
    ("fault", "code", "told"), [("bad-models", 5, "no good"), ("deaf", 5, "does not list local/llama")]
)
def test_mo_12_what_pi_refuses_is_not_stored(tmp_path: Path, fault: str, code: int, told: str) -> None:
    """MO-12: neither what Pi complains of nor what it passes over in silence gets into the file."""
    desk = Desk(tmp_path, fault=fault)
    desk.file.parent.mkdir(parents=True)
    desk.file.write_text('[[models]]\nprovider = "x"\n')
    assert told in desk.add().refused(code)
    assert desk.file.read_text() == '[[models]]\nprovider = "x"\n'
    assert desk.pi.is_gone()


def test_f55_without_pi_no_model_is_added(desk: Desk) -> None:
    """F55: what cannot be checked is not stored, and the way to install Pi is named."""
    desk.pi.binary.unlink()
    assert "npm install" in desk.add().refused(5)
    assert not desk.file.exists()


def test_a_model_is_replaced_only_by_force(desk: Desk) -> None:
    """A second one of the same name is refused until it is forced; a dry run stores nothing."""
    assert "nothing was written" in desk.add("--dry-run").text
    assert not desk.file.exists()
    assert desk.add().code == 0
    assert "--force" in desk.add("--name", "Two").refused(2)
    assert "replaced" in desk.add("--name", "Two", "--force").text
    assert [row.get("name") for row in desk.stored] == ["Two"]


def test_two_models_added_at_once_are_both_there(desk: Desk) -> None:
    """Each command reads the file again before it writes, one at a time."""
    names = ["pi/local/one", "pi/local/two", "pi/other/three"]
    started = [desk.shell.start("models", "add", name, *HERE, env=desk.env) for name in names]
    assert [finish(process).code for process in started] == [0, 0, 0]
    assert sorted(row["id"] for row in desk.stored) == ["one", "three", "two"]


def test_mo_05_06_07_rows_say_what_a_run_would_make_of_them(desk: Desk) -> None:
    """MO-05, MO-06, MO-07: provider, mode, available, default; what cannot be used comes last, with why."""
    assert desk.add("--key-env", "LOCAL_KEY").code == 0
    rows = desk.rows()
    assert [f"{row['provider']}/{row['id']}" for row in rows] == [
        "fake/m",
        "fake/think",
        "other/x/y",
        "local/llama",
    ]
    assert [row["is_available"] for row in rows] == [True, True, True, False]
    assert [row["is_default"] for row in rows] == [True, False, False, False]
    assert {row["runtime_mode"] for row in rows} == {"pi"}
    assert rows[-1]["reason"] == "LOCAL_KEY is not set"
    assert "unavailable: LOCAL_KEY is not set" in desk.kata("models", "list", "--mode", "pi").text
    assert "no: LOCAL_KEY is not set" in desk.kata("models", "show", "local/llama", "--mode", "pi").text


def test_a_list_is_narrowed(desk: Desk) -> None:
    """By a part of a name in any case, by thinking level, by provider; nothing left is said."""
    assert [row["id"] for row in desk.rows("SLASH")] == ["x/y"]
    assert [row["id"] for row in desk.rows("--thinking", "high")] == ["think"]
    assert [row["id"] for row in desk.rows("--provider", "other")] == ["x/y"]
    empty = desk.kata("models", "list", "nothing-like-it", "--mode", "pi")
    assert (empty.code, empty.text) == (0, "")
    assert "no model is like that" in empty.stderr


def test_one_model_is_shown(desk: Desk) -> None:
    """All that is known of it, in words and as a document; the age of the list is told."""
    args = ("models", "show", "fake/m", "--mode", "pi")
    document = desk.kata(*args, "--json").document
    assert (document["schema"], document["is_cached"], document["age_s"] < 60) == (
        "kata.model/v1",
        False,
        True,
    )
    assert document["model"]["max_output_tokens"] == 4096
    told = desk.kata(*args)
    assert "context window  32000 tokens" in told.text
    assert "cached" in told.stderr


def test_a_vendors_model_is_shown_by_its_own_name(tmp_path: Path) -> None:
    """The provider in the name is the one that is asked; with --provider the name is the id alone."""
    shell = Shell(tmp_path)
    with VendorServer([Models(rows=[{"id": "org/big"}])]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url}
        assert "openai/org/big" in shell.kata("models", "show", "openai/org/big", env=env).text
        verbatim = shell.kata("models", "show", "org/big", "--provider", "openai", env=env)
        assert verbatim.code == 0, verbatim.stderr
        assert "did you mean openai/org/big" in shell.kata(
            "models", "show", "openai/org/bag", env=env
        ).refused(2)


def test_mo_12_a_slip_in_the_file_costs_one_model(desk: Desk) -> None:
    """MO-12: a bad entry is named with its line, in a list and in a run; all others still work."""
    assert desk.add().code == 0
    desk.file.write_text(desk.file.read_text() + '\n[[models]]\nprovider = "local"\nid = "slip"\n')
    listed = desk.kata("models", "list", "--mode", "pi")
    assert "local/llama" in listed.text
    assert "models.toml:7: models[1]" in listed.stderr
    ended = desk.kata(*ASK, "-m", "local/llama")
    assert ended.code == 0, ended.stderr
    assert "models.toml:7" in ended.stderr


def test_a_file_that_is_no_toml_is_told(desk: Desk) -> None:
    """It stays as it is, for nobody but its owner knows what it should say."""
    desk.file.parent.mkdir(parents=True)
    desk.file.write_text("[[models\n")
    assert "models.toml" in desk.add().refused(3)
    assert desk.file.read_text() == "[[models\n"


def test_the_users_own_pi_models_stay_his(desk: Desk) -> None:
    """With pi.agent_dir both kinds are offered, and no byte of the user's own directory changes."""
    own = {"providers": {"mine": {"models": [{"id": "m1"}]}}}
    directory = desk.agent_dir(models=own, auth={})
    assert desk.add().code == 0
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    names = [f"{row['provider']}/{row['id']}" for row in desk.rows()]
    assert {"mine/m1", "local/llama"} <= set(names)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_the_users_own_provider_goes_first(desk: Desk) -> None:
    """A provider in his models.json is not added to; a file kata cannot read is given to Pi as it is."""
    assert desk.add().code == 0
    (directory := desk.shell.home / "own").mkdir()
    directory.joinpath("models.json").write_text('{"providers": {"local": {"models": [{"id": "his"}]}}}')
    desk.file.with_name("config.toml").write_text(f'[pi]\nagent_dir = "{directory}"\n')
    rows = {row["id"]: row for row in desk.rows()}
    assert rows["his"]["is_available"]
    assert "has a provider local too" in rows["llama"]["reason"]
    assert "has a provider local too" in desk.add("--force").refused(3)
    directory.joinpath("models.json").write_text("{ nonsense")
    assert "cannot be read" in desk.add("--force").refused(3)


def test_pi_02_a_model_whose_key_is_not_set_is_not_asked(desk: Desk) -> None:
    """PI-02: the variable is named before any Pi is started; a dry run needs no key."""
    assert desk.add("--key-env", "LOCAL_KEY").code == 0
    started = len(desk.pi.logged("pid"))
    for named in (("-m", "local/llama"), ("--provider", "local", "-m", "llama")):
        assert "export LOCAL_KEY" in desk.kata(*ASK, *named).refused(4)
    assert desk.kata(*ASK, "-m", "local/llama", "--dry-run").code == 0
    assert len(desk.pi.logged("pid")) == started


def test_a_run_without_a_model_takes_one_that_pi_lists(desk: Desk) -> None:
    """The first line names it; the list is asked for once, and the next run starts no Pi for it."""
    first = desk.kata(*ASK, **KEY)
    assert first.code == 0, first.stderr
    assert first.stderr.startswith("pi fake/m")
    assert desk.shell.last_run["model"] == "fake/m"
    before = desk.pi.commands().count("get_available_models")
    assert desk.kata(*ASK, **KEY).code == 0
    assert (before, desk.pi.commands().count("get_available_models")) == (1, 1)


def test_the_default_follows_the_provider_and_the_users_pi(desk: Desk) -> None:
    """`--provider` narrows the choice; the default of the user's own Pi directory comes before all."""
    assert desk.kata(*ASK, "--provider", "other", **KEY).stderr.startswith("pi other/x/y")
    desk.agent_dir(settings={"defaultProvider": "fake", "defaultModel": "think"})
    ended = desk.kata(*ASK)
    assert ended.code == 0, ended.stderr
    assert "pi fake/think" in ended.stderr


def test_a_dry_run_names_the_same_default(desk: Desk) -> None:
    """What it shows is what a run would ask."""
    assert desk.kata(*ASK, "--dry-run", **KEY).text.startswith("pi fake/m")


def test_pi_02_without_a_key_pi_is_not_started(desk: Desk) -> None:
    """PI-02: a key is required before the catalogue is asked for."""
    assert "ANTHROPIC_API_KEY" in desk.kata(*ASK).refused(4)
    assert desk.pi.logged("pid") == []


def test_pi_04_an_empty_catalogue_is_no_default(tmp_path: Path) -> None:
    """PI-04: where Pi lists nothing there is nothing to choose, and native mode is the way on."""
    desk = Desk(tmp_path, fault="no-models")
    assert "--mode native" in desk.kata(*ASK, **KEY).refused(6)
    assert desk.shell.runs == []


def test_mo_08_without_pi_nothing_is_listed_however_fresh_the_cache(desk: Desk) -> None:
    """MO-08: the list of a Pi that is gone is not shown."""
    assert len(desk.rows()) == 3
    desk.pi.binary.unlink()
    assert "npm install" in desk.kata("models", "list", "--mode", "pi").refused(5)


def test_another_key_is_another_list(desk: Desk) -> None:
    """What was listed without a key is not taken for what is listed with one."""
    desk.rows()
    assert desk.kata("models", "list", "--mode", "pi", "--json").document["is_cached"]
    assert not desk.kata("models", "list", "--mode", "pi", "--json", **KEY).document["is_cached"]


def test_au_23_pi_is_known_to_have_a_key_by_its_list(desk: Desk) -> None:
    """AU-23: the doctor says authenticated when models are listed, else unknown; the default is checked."""

    def rows(*args: str, **env: str) -> dict[str, Any]:
        document = desk.kata("doctor", "--mode", "pi", "--json", *args, **env).document
        return {row["name"]: row for row in document["checks"]}

    known = rows(**KEY)
    assert (known["pi"]["auth"], known["models"]["auth"]) == ("authenticated", "authenticated")
    assert (known["models"]["about"], known["models"]["status"]) == ("fake/m", "ready")
    unknown = rows()
    assert (unknown["pi"]["auth"], unknown["models"]["status"]) == ("unknown", "error")
    assert "fake/think" in rows("-m", "fake/thnk", **KEY)["models"]["remedy"]


def test_au_23_auth_status_asks_pi(desk: Desk) -> None:
    """AU-23: in pi mode a run could go where Pi lists models, and only there."""
    told = desk.kata("auth", "status", "--mode", "pi", "--json", **KEY)
    assert (told.code, told.document["chosen"]) == (0, "fake"), told.stderr
    assert "ANTHROPIC_API_KEY" in desk.kata("auth", "status", "--mode", "pi").refused(4)
