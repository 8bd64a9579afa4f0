"""Every setting from every place, and which place wins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from config_world import World

from kata_cli.config.resolve import describe
from kata_cli.config.settings import SETTINGS
from kata_cli.core.errors import KataError

# Two values of each setting as a file holds them, the second one lower where lower wins.
SAMPLES: dict[str, tuple[Any, Any]] = {
    "runtime_mode": ("mock", "native"),
    "provider": ("openai", "anthropic"),
    "model": ("openai/a", "anthropic/b"),
    "thinking": ("high", "low"),
    "temperature": (1.0, 0.5),
    "max_tokens": (200, 100),
    "fallback": (["openai/a"], ["anthropic/b"]),
    "auth_mode": ("token_session", "api_key"),
    "key_fallback": (False, True),
    "workflow": ("quick", "ask"),
    "vars": ({"k": "one"}, {"k": "two"}),
    "jobs": (5, 3),
    "timeout": (200.0, 100.0),
    "idle_timeout": (20.0, 10.0),
    "max_cost": (2.0, 1.0),
    "token_budget": (9_000, 5_000),
    "max_tasks": (10, 5),
    "otel": ("/x/traces.jsonl", "/y/traces.jsonl"),
    "connect_timeout": (4.0, 2.0),
    "first_byte_timeout": (40.0, 20.0),
    "request_timeout": (50.0, 25.0),
    "stdin_wait": (20.0, 10.0),
    "context_enabled": (False, True),
    "context_max_tokens": (200, 100),
    "context_max_named_tokens": (5_000, 2_000),
    "context_max_files": (20, 10),
    "context_max_file_bytes": (2000, 1000),
    "context_exclude": (["*.a"], ["*.b"]),
    "strict": (True, False),
    "pi_binary": ("/x/pi", "/y/pi"),
    "pi_agent_dir": ("/x/agent", "/y/agent"),
    "pi_extensions": (True, False),
    "tools": (["read"], ["read", "bash"]),
    "allow_agent": (True, False),
    "services": (["http://localhost:1"], ["https://agents.example", "local"]),
    "service_token_file": (["/x/token"], ["/y/token"]),
    "home": ("/x/one", "/x/two"),
    "color": ("never", "always"),
    "allow_http": (True, False),
    "key_cmd_timeout": (20.0, 10.0),
    "trusted_projects": (["/one"], ["/two"]),
    "serve_host": ("::1", "localhost"),
    "serve_port": (9001, 9002),
    "serve_model": ("openai/a", "openai/b"),
    "serve_max_sessions": (3, 4),
    "serve_session_idle": (20.0, 10.0),
    "serve_session_timeout": (200.0, 100.0),
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def _toml(name: str, raw: Any) -> str:
    table: dict[str, Any] = {}
    inner = table
    *groups, last = SETTINGS[name].key.split(".")
    for group in groups:
        inner = inner.setdefault(group, {})
    inner[last] = raw
    return tomli_w.dumps(table)


def _text(raw: Any) -> str:
    return ",".join(raw) if isinstance(raw, list) else str(raw).lower()


def _final(raw: Any) -> Any:
    return tuple(raw) if isinstance(raw, list) else raw


def test_every_setting_has_samples() -> None:
    """A new setting cannot escape the matrix below."""
    assert set(SAMPLES) == set(SETTINGS)


@pytest.mark.parametrize("name", SAMPLES)
def test_defaults_are_the_declared_ones(world: World, name: str) -> None:
    """Without any source a setting has its default and says so."""
    value = world.resolve().settings.origins[name]
    assert (value.value, value.origin) == (SETTINGS[name].default, "default")


@pytest.mark.parametrize("name", SAMPLES)
def test_the_user_file_beats_the_default(world: World, name: str) -> None:
    """Origin and place of the value are known."""
    world.user(_toml(name, SAMPLES[name][0]))
    value = world.resolve().settings.origins[name]
    assert (value.value, value.origin) == (_final(SAMPLES[name][0]), "user")
    assert value.source.startswith(f"{world.user_file}:")
    assert value.source.endswith(f": {SETTINGS[name].key}")


@pytest.mark.parametrize("name", [name for name in SAMPLES if not SETTINGS[name].is_user_only])
def test_the_trusted_project_beats_the_user_file(world: World, name: str) -> None:
    """The project file stands above the user file, found from a folder below."""
    world.user(_toml(name, SAMPLES[name][0]))
    world.says(_toml(name, SAMPLES[name][1]))
    value = world.resolve(trusts_project=True).settings.origins[name]
    assert (value.value, value.origin) == (_final(SAMPLES[name][1]), "project")


@pytest.mark.parametrize("name", [name for name in SAMPLES if not SETTINGS[name].is_user_only])
def test_the_profile_beats_both_files(world: World, name: str) -> None:
    """A profile is named on the command line, so no file overrules it."""
    key, raw = SETTINGS[name].key, SAMPLES[name][1]
    profile = (
        _toml(name, raw).replace("[", "[profiles.p.", 1) if "[" in _toml(name, raw).split("=")[0] else ""
    )
    world.user(profile or f"[profiles.p]\n{_toml(name, raw)}")
    if SETTINGS[name].is_trusted:
        world.says(_toml(name, SAMPLES[name][0]))
    value = world.resolve(profile="p").settings.origins[name]
    assert (value.value, value.origin) == (_final(raw), "profile")
    assert value.source.endswith(f": profiles.p.{key}")


@pytest.mark.parametrize("name", [name for name in SAMPLES if SETTINGS[name].has_env])
def test_the_variable_beats_profile_and_files(world: World, name: str) -> None:
    """`KATA_<NAME>` overrules all files; a blank one is absent."""
    world.user(_toml(name, SAMPLES[name][0]))
    variable = SETTINGS[name].env
    value = world.resolve(env={variable: _text(SAMPLES[name][1])}).settings.origins[name]
    assert (value.value, value.origin, value.source) == (_final(SAMPLES[name][1]), "env", variable)
    assert world.resolve(env={variable: " "}).settings.origins[name].origin == "user"


@pytest.mark.parametrize("name", SAMPLES)
def test_the_flag_beats_everything(world: World, name: str) -> None:
    """What is typed wins; a flag that is not given does not."""
    env = {SETTINGS[name].env: _text(SAMPLES[name][0])} if SETTINGS[name].has_env else {}
    value = world.resolve({name: SAMPLES[name][1]}, env).settings.origins[name]
    assert (value.value, value.origin) == (_final(SAMPLES[name][1]), "flag")
    assert value.source == (SETTINGS[name].flag or name)
    assert world.resolve({name: None}, env).settings.origins[name].origin != "flag"


def test_settings_read_as_attributes(world: World) -> None:
    """The effective value is one attribute away."""
    settings = world.resolve({"jobs": 3, "timeout": "2m"}).settings
    assert (settings.jobs, settings.timeout, settings.runtime_mode) == (3, 120.0, "native")


def test_variables_of_all_places_are_merged(world: World) -> None:
    """`vars` is a table: each key is overruled by itself."""
    world.user("[vars]\na = 'user'\nb = 'user'\n")
    world.says("[vars]\nb = 'project'\nc = 'project'\n")
    settings = world.resolve({"vars": {"c": "flag"}}).settings
    assert settings.vars == {"a": "user", "b": "project", "c": "flag"}


@pytest.mark.parametrize(
    ("flags", "env", "origin"),
    [
        ({"runtime_mode": "mock"}, {"KATA_RUNTIME_MODE": "pi"}, "flag"),
        ({}, {"KATA_RUNTIME_MODE": "mock", "KATA_CLOUD_PROVIDER_RUNTIME_MODE": "pi"}, "env"),
        ({}, {"KATA_CLOUD_PROVIDER_RUNTIME_MODE": "mock"}, "env"),
        ({}, {}, "project"),
    ],
)
def test_the_mode_and_who_chose_it(
    world: World, flags: dict[str, str], env: dict[str, str], origin: str
) -> None:
    """The alias stands below the variable, and results can name the source of the mode."""
    world.says('runtime_mode = "mock"')
    resolved = world.resolve(flags, env)
    assert (resolved.settings.runtime_mode, resolved.mode_source) == ("mock", origin)


def test_a_mode_of_a_profile_is_the_users(world: World) -> None:
    """`mode_source` knows no profile: it is a part of the user file."""
    world.user('[profiles.p]\nruntime_mode = "pi"')
    resolved = world.resolve(profile="p")
    assert (resolved.settings.runtime_mode, resolved.mode_source) == ("pi", "user")


def test_pi_mode_has_four_jobs_unless_told(world: World) -> None:
    """Children cost more than requests; an explicit number stands."""
    assert world.resolve({"runtime_mode": "pi"}).settings.jobs == 4
    assert world.resolve({"runtime_mode": "pi", "jobs": 8}).settings.jobs == 8


@pytest.mark.parametrize(
    ("flags", "env", "text", "code", "place"),
    [
        ({"runtime_mode": "nativ"}, {}, "", "usage", "--mode: "),
        ({}, {"KATA_RUNTIME_MODE": "nativ"}, "", "usage", "KATA_RUNTIME_MODE: "),
        (
            {},
            {"KATA_CLOUD_PROVIDER_RUNTIME_MODE": "nativ"},
            "",
            "usage",
            "KATA_CLOUD_PROVIDER_RUNTIME_MODE: ",
        ),
        ({}, {}, '\nruntime_mode = "nativ"', "config", "config.toml:2: runtime_mode: "),
    ],
)
def test_a_bad_value_names_its_place(
    world: World, flags: dict[str, str], env: dict[str, str], text: str, code: str, place: str
) -> None:
    """Exit 2 for flag and variable, 3 for a file; expected values and the nearest are named."""
    world.user(text)
    failure = world.refusal(flags, env)
    assert (failure.code, failure.exit) == (code, 2 if code == "usage" else 3)
    assert place in failure.message
    assert "expected one of native, pi, mock" in failure.message
    assert "did you mean native" in failure.message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("\n\ntimout = 3", ":3: timout: unknown key; did you mean timeout"),
        ("[context]\nmax_token = 3", ":2: context.max_token: unknown key; did you mean context.max_tokens"),
        ("[context.deep]\nx = 3", ":1: context.deep: unknown key"),
        ("context = 3", ":1: context: unknown key"),
        (
            "[providers.x]\nkind = 'openai'\nbase_ur = ''",
            ":3: providers.x.base_ur: unknown key; did you mean base_url",
        ),
        ("[profiles.p]\njob = 3", ":2: profiles.p.job: unknown key; did you mean jobs"),
    ],
)
def test_unknown_keys_name_line_and_nearest(world: World, text: str, place: str) -> None:
    """A misspelt key is an error with its place, never ignored."""
    world.user(text)
    failure = world.refusal(profile="p" if "profiles" in text else None)
    assert (failure.code, failure.exit) == ("config", 3)
    assert f"{world.user_file}{place}" in failure.message


def test_unknown_variables_warn_with_the_nearest(world: World) -> None:
    """Known variables, also those of providers, are silent."""
    world.user("[providers.my-llm]\nkind = 'openai'\nbase_url = 'https://h'\nkey_env = 'KATA_OWN_SECRET'")
    env = {
        "KATA_JOB": "3",
        "KATA_DEBUG": "1",
        "KATA_MY_LLM_API_KEY": "k",
        "KATA_OWN_SECRET": "k",
        "OTHER": "x",
    }
    warnings = world.resolve(env=env).warnings
    assert len(warnings) == 1
    assert warnings[0].startswith("unknown variable KATA_JOB is ignored; did you mean KATA_JOBS")


def test_an_unknown_profile_is_a_usage_error(world: World) -> None:
    """The nearest profile is named."""
    world.user("[profiles.fast]\njobs = 3")
    failure = world.refusal(profile="fst")
    assert failure.exit == 2
    assert "did you mean fast" in failure.message


def test_isolated_ignores_both_files(world: World) -> None:
    """Not even a broken file is opened."""
    world.user("= broken")
    world.says("= broken")
    resolved = world.resolve(is_isolated=True)
    assert {value.origin for value in resolved.settings.origins.values()} == {"default"}
    assert resolved.project_file is None


@pytest.mark.parametrize("provider", ["opnai", "mock"])
def test_an_unknown_provider_lists_the_known_ones(world: World, provider: str) -> None:
    """The name must be built in or the user's own; in pi mode it is Pi's affair."""
    failure = world.refusal({"provider": provider})
    assert failure.exit == 2
    assert "--provider: expected one of anthropic, openai" in failure.message
    assert world.resolve({"provider": provider, "runtime_mode": "pi"}).settings.provider == provider


def test_the_nearest_project_file_wins_and_the_repository_is_the_border(world: World) -> None:
    """Files above the repository root belong to somebody else."""
    (world.project.parent / "kata.toml").write_text("jobs = 1")
    assert world.resolve().settings.jobs == 8
    world.says("jobs = 2")
    assert world.resolve().settings.jobs == 2
    (world.below / "kata.toml").write_text("jobs = 3")
    assert world.resolve().project_file == world.below / "kata.toml"
    assert world.resolve().project_root == world.project


def test_outside_a_repository_only_the_working_directory_counts(world: World) -> None:
    """Nothing is walked where there is no repository."""
    (world.project / ".git").rmdir()
    world.says("jobs = 2")
    assert world.resolve().settings.jobs == 8
    assert world.resolve().project_root == world.below


def test_paths_in_a_file_are_relative_to_it(world: World) -> None:
    """A workflow path of the project works from every folder of it; a bare name stays a name."""
    world.says('workflow = "flows/own.toml"')
    assert world.resolve().settings.workflow == str(world.project / "flows/own.toml")
    world.says('workflow = "own"')
    assert world.resolve().settings.workflow == "own"


def test_config_show_lists_every_setting_with_its_place_and_no_secret(world: World) -> None:
    """Arguments of a key command stay private, as does every key."""
    world.user("jobs = 3\n[providers.openai]\nkey_cmd = ['vault', 'canary-argument']")
    env = {"OPENAI_API_KEY": "canary-key"}
    rows = {row.name: row for row in describe(world.resolve(env=env))}
    assert {setting.key for setting in SETTINGS.values()} <= set(rows)
    assert (rows["jobs"].value, rows["jobs"].source) == (3, f"{world.user_file}:1: jobs")
    assert rows["providers.openai.key_cmd"].value == ("vault", "…")
    assert rows["providers.openai.api"].value == "responses"
    assert "canary" not in repr(rows)


def test_f88_no_home_is_needed_when_the_directories_are_named(world: World) -> None:
    """The XDG variables stand for themselves."""
    env = {f"XDG_{name}_HOME": str(world.home / name) for name in ("CONFIG", "STATE", "CACHE")}
    world.env = env
    assert world.resolve().paths.state == world.home / "STATE" / "kata"


def test_f83_a_config_that_others_may_write_is_refused(world: World) -> None:
    """The user file can name commands, so nobody else may have written it; a trusted project neither."""
    world.user("jobs = 3")
    world.user_file.chmod(0o646)
    failure = world.refusal()
    assert (failure.exit, failure.hint) == (3, f"chmod o-w {world.user_file}")
    world.user_file.chmod(0o644)
    world.says("jobs = 2")
    world.project_file.chmod(0o646)
    assert world.resolve().settings.jobs == 2
    with pytest.raises(KataError, match="everybody may write it"):
        world.resolve(trusts_project=True)


def test_settings_load_nothing_heavy() -> None:
    """Every command pays for these imports, `--help` included."""
    code = (
        "import sys; import kata_cli.config.credentials;"
        "print(sorted({'asyncio', 'tomllib', 'subprocess', 'difflib', 'pwd'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
