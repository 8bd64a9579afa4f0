"""Which model each task asks, and what makes a run's id."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_cli.app.options import RunOptions
from kata_cli.app.plan import choose_models, context_query, make_plan, new_run_id
from kata_cli.app.prepare import Prepared, prepare, resolved_settings
from kata_cli.app.providers import open_service
from kata_cli.app.recall import Record
from kata_cli.core.clock import SystemClock
from kata_cli.core.errors import KataError
from kata_cli.core.redact import Redactor

WORKFLOW = """
schema = "kata.workflow/v1"
name = "council"
[defaults]
timeout = "2m"
[[tasks]]
id = "a"
role = "review"
prompt = "{{goal}}"
model = "openai/gpt-x"
[[tasks]]
id = "b"
role = "review"
prompt = "{{goal}}"
model = "claude-y"
timeout = 5
[[tasks]]
id = "c"
role = "review"
needs = ["a", "b"]
prompt = "{{tasks.a.output}} {{tasks.b.output}}"
[result]
task = "c"
"""
KEYS = {"ANTHROPIC_API_KEY": "sk-ant-x", "OPENAI_API_KEY": "sk-x"}


def prepared(tmp_path: Path, env: dict[str, str] | None = None, **options: object) -> Prepared:
    """A run of the council above in a home of its own."""
    (tmp_path / "council.toml").write_text(WORKFLOW)
    env = {"HOME": str(tmp_path), **(KEYS if env is None else env)}
    flags = {"workflow": str(tmp_path / "council.toml"), **options.pop("flags", {})}  # type: ignore[dict-item]
    given = RunOptions(goal="decide", reads_stdin=False, flags=flags, **options)  # type: ignore[arg-type]
    return prepare(given, resolved_settings(given, env, tmp_path), Record(), env, tmp_path, lambda line: None)


def models_of(run: Prepared, env: dict[str, str] | None = None) -> dict[str, str]:
    service = open_service(
        run.resolved,
        {"HOME": str(run.cwd), **(KEYS if env is None else env)},
        clock=SystemClock(),
        redactor=Redactor(),
    )
    return {name: str(model) for name, model in choose_models(run, service, needs_key=True)[1].items()}


def test_a_task_asks_its_own_model_else_the_runs(tmp_path: Path) -> None:
    """A slash names the provider; a bare id belongs to the run's provider; none means the run's model."""
    run = prepared(tmp_path, flags={"model": "anthropic/claude-x"})
    assert models_of(run) == {"a": "openai/gpt-x", "b": "anthropic/claude-y", "c": "anthropic/claude-x"}


def test_a_task_whose_provider_has_no_key_stops_the_run_before_it_begins(tmp_path: Path) -> None:
    """Exit 4 before any request: a council with one voice missing is no council."""
    only = {"ANTHROPIC_API_KEY": "sk-ant-x"}
    with pytest.raises(KataError, match="openai") as caught:
        models_of(prepared(tmp_path, env=only), env=only)
    assert caught.value.failure.code == "missing_auth"


def test_an_unknown_fallback_is_refused_before_the_run(tmp_path: Path) -> None:
    """A fallback is needed late; a wrong name in it is said early."""
    with pytest.raises(KataError, match="unknown provider 'opnai'"):
        models_of(prepared(tmp_path, flags={"fallback": ("opnai/gpt",)}))


def test_durations_and_defaults_reach_the_plan(tmp_path: Path) -> None:
    """The workflow's own time limits are in seconds, the task's before the default."""
    run = prepared(tmp_path)
    plan = make_plan(run, {}, "", str)
    assert plan.timeouts == {"a": 120.0, "b": 5.0, "c": 120.0}
    assert plan.spec_id == "decide"


def test_the_id_follows_from_the_inputs_where_time_is_fixed(tmp_path: Path) -> None:
    """Same inputs, same id; another goal, another id; without a fixed time every id is new."""
    fixed = {"SOURCE_DATE_EPOCH": "1700000000"}
    flags = {"runtime_mode": "mock"}
    run = prepared(tmp_path, env=fixed, flags=flags)
    service = open_service(run.resolved, {"HOME": str(tmp_path)}, clock=run.clock, redactor=Redactor())
    main, _ = choose_models(run, service, needs_key=True)
    assert new_run_id(run, main) == new_run_id(run, main)
    assert new_run_id(run, main).startswith("20231114-221320-")
    free = prepared(tmp_path, env={}, flags=flags)
    assert new_run_id(free, main) != new_run_id(free, main)


def test_the_draft_of_an_earlier_run_is_no_context(tmp_path: Path) -> None:
    """`-o` inside the project is left out of what the models see, whatever its name."""
    (tmp_path / ".git").mkdir()
    run = prepared(tmp_path, output=str(tmp_path / "my [draft].md"))
    assert context_query(run).limits.exclude[-1] == "my [[]draft].md"


def test_outside_a_repository_nothing_is_walked(tmp_path: Path) -> None:
    """No `.git` above: the tree is None unless `--context` names one."""
    assert context_query(prepared(tmp_path)).root is None
    assert context_query(prepared(tmp_path, context_dir=".")).root == tmp_path.resolve()
