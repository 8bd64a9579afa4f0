"""The table of settings: name, flag, variable, key, kind, default, help and trust, each declared once."""

from __future__ import annotations

from typing import Any

from kata_cli.config.serve_settings import ServeSettings
from kata_cli.config.setting import Setting
from kata_cli.core.messages import THINKING_LEVELS

MODES = ("native", "pi", "mock")
AUTH_MODES = ("api_key", "token_session")
PI_JOBS = 4
LOCAL = "local"  # among the services: the agents that a run starts itself


def _seconds(default_s: float | None, help: str, *flags: str) -> Setting[Any]:
    return Setting(
        default_s, help, kind="duration", flags=flags, metavar="D", is_trusted=True, lower_wins=True
    )


class Settings(ServeSettings):
    """Every setting of kata outside `[providers]`, with its effective value."""

    runtime_mode = Setting(
        "native",
        "Who answers: native SDKs, Pi agents, or mock (no network, no key).",
        flags=("--mode",),
        aliases=("KATA_CLOUD_PROVIDER_RUNTIME_MODE",),
        choices=MODES,
        trusted_choices=("native", "mock"),
        metavar="native|pi|mock",
        is_trusted=True,
    )
    provider = Setting[str | None](
        None,
        "Provider to ask: anthropic, openai, or one of your [providers].",
        flags=("--provider",),
        metavar="NAME",
        is_trusted=True,
    )
    model = Setting[str | None](
        None,
        "Model as provider/id; with --provider the id alone.",
        flags=("-m", "--model"),
        metavar="MODEL",
        is_trusted=True,
    )
    thinking = Setting[str | None](
        None,
        "How long the model thinks before it answers.",
        flags=("--thinking",),
        choices=THINKING_LEVELS,
        metavar="|".join(THINKING_LEVELS),
        is_trusted=True,
    )
    temperature = Setting[float | None](
        None,
        "Sampling temperature, 0 to 2.",
        kind="float",
        flags=("--temperature",),
        minimum=0,
        maximum=2,
        metavar="X",
    )
    max_tokens = Setting[int | None](
        None,
        "Most tokens of one answer.",
        kind="int",
        flags=("--max-tokens",),
        minimum=1,
        metavar="N",
        is_trusted=True,
        lower_wins=True,
    )
    fallback = Setting[tuple[str, ...]](
        (),
        "Model to ask when the first one is unavailable; repeatable.",
        kind="list",
        flags=("--fallback",),
        metavar="PROVIDER/MODEL",
    )
    auth_mode = Setting[str | None](
        None,
        "Sign in by API key or by token session; else by the first one there is.",
        flags=("--auth-mode",),
        choices=AUTH_MODES,
        metavar="|".join(AUTH_MODES),
    )
    key_fallback = Setting(
        True,
        "Fail when a token session cannot be used, even with a key there.",
        kind="bool",
        flags=("--no-key-fallback",),
    )
    workflow = Setting(
        "spec",
        "Workflow: a built-in name, one of your own, or a path.",
        kind="target",
        flags=("-w", "--workflow"),
        metavar="NAME|PATH",
        is_trusted=True,
    )
    vars = Setting[dict[str, Any]](
        {},
        "Variable of the workflow; repeatable. k=@file reads a file.",
        kind="table",
        flags=("--var",),
        metavar="K=V",
        has_env=False,
        is_trusted=True,
    )
    jobs = Setting(
        8,
        "Most tasks at a time (in pi mode 4 unless set).",
        kind="int",
        flags=("-j", "--jobs"),
        minimum=1,
        maximum=10_000,
        metavar="N",
        is_trusted=True,
    )
    timeout: Setting[float | None] = _seconds(
        None, "Stop the whole run after this time (90, 90s, 10m, 2h).", "--timeout"
    )
    idle_timeout: Setting[float] = _seconds(
        300.0, "Give up on an answer that is silent for this time.", "--idle-timeout"
    )
    max_cost = Setting[float | None](
        None,
        "Most US dollars that the run may cost.",
        kind="float",
        flags=("--max-cost",),
        minimum=0,
        metavar="USD",
        is_trusted=True,
        lower_wins=True,
    )
    token_budget = Setting[int | None](
        None,
        "Most tokens that the run may take, in and out.",
        kind="int",
        flags=("--token-budget",),
        minimum=1,
        metavar="N",
        is_trusted=True,
        lower_wins=True,
    )
    max_tasks = Setting(
        20,
        "Most tasks that a plan task may add.",
        kind="int",
        flags=("--max-tasks",),
        minimum=1,
        maximum=10_000,
        metavar="N",
        is_trusted=True,
        lower_wins=True,
    )
    otel = Setting[str | None](
        None,
        "Write the run's OpenTelemetry spans to this file, as OTLP/JSON.",
        kind="path",
        flags=("--otel",),
        metavar="FILE",
    )
    connect_timeout: Setting[float] = _seconds(5.0, "Give up connecting to a provider after this time.")
    first_byte_timeout: Setting[float] = _seconds(120.0, "Give up waiting for an answer to begin.")
    request_timeout: Setting[float] = _seconds(600.0, "Give up on one whole request after this time.")
    stdin_wait: Setting[float] = _seconds(30.0, "How long to wait for the first byte of a pipe on stdin.")
    context_enabled = Setting(
        True,
        "Read no project files as context.",
        kind="bool",
        flags=("--no-context",),
        key="context.enabled",
        is_trusted=True,
    )
    context_max_tokens = Setting(
        24_000,
        "Most tokens that project files fill in one request.",
        kind="int",
        key="context.max_tokens",
        minimum=0,
        is_trusted=True,
    )
    context_max_named_tokens = Setting(
        200_000,
        "Most tokens of stdin and the files named with -f together.",
        kind="int",
        key="context.max_named_tokens",
        minimum=1,
        is_trusted=True,
    )
    context_max_files = Setting(
        24,
        "Most files of context in one request.",
        kind="int",
        key="context.max_files",
        minimum=0,
        is_trusted=True,
    )
    context_max_file_bytes = Setting(
        200_000,
        "Larger project files are left out of the context.",
        kind="int",
        key="context.max_file_bytes",
        minimum=1,
        is_trusted=True,
    )
    context_exclude = Setting[tuple[str, ...]](
        (),
        "Globs of project files that are never context.",
        kind="list",
        key="context.exclude",
        is_trusted=True,
    )
    strict = Setting(
        False,
        "Fail with exit 10 when the draft has lint findings.",
        kind="bool",
        flags=("--strict",),
        key="spec.strict",
        is_trusted=True,
    )
    pi_binary = Setting[str | None](
        None,
        "Pi to run in pi mode: an absolute path, or a name on PATH.",
        key="pi.binary",
    )
    pi_agent_dir = Setting[str | None](
        None,
        "Your own Pi directory, to use its login and models.json in pi mode.",
        kind="path",
        key="pi.agent_dir",
    )
    pi_extensions = Setting(
        False,
        "Load the project's extensions, skills and prompts in pi mode.",
        kind="bool",
        key="pi.extensions",
    )
    tools = Setting[tuple[str, ...]](
        ("read", "grep", "find", "ls"),
        "Tools that an agent may use, with commas between.",
        kind="list",
        flags=("--tools",),
        key="pi.tools",
        metavar="LIST",
    )
    allow_agent = Setting(
        False,
        "Allow agents in a CI job.",
        kind="bool",
        flags=("--allow-agent",),
    )
    services = Setting[tuple[str, ...]](
        (),
        "URL of a kata serve to use; repeatable. In a run of mode pi, local adds agents of its own.",
        kind="list",
        flags=("--service",),
        aliases=("KATA_SERVICE",),
        metavar="URL",
    )
    service_token_file = Setting[tuple[str, ...]](
        (),
        "File with the token of the services; repeatable, then one for each --service in order.",
        kind="paths",
        flags=("--token-file",),
        metavar="FILE",
    )
    home = Setting[str | None](
        None,
        "Directory of runs and sessions.",
        kind="path",
        flags=("--home",),
        metavar="DIR",
    )
    color = Setting(
        "auto",
        "Colour on stderr.",
        flags=("--color",),
        choices=("auto", "always", "never"),
        metavar="auto|always|never",
    )
    allow_http = Setting(False, "Allow providers on plain http outside this machine.", kind="bool")
    key_cmd_timeout = Setting(10.0, "Most time a key_cmd may take.", kind="duration")
    trusted_projects = Setting[tuple[str, ...]](
        (),
        "Directories whose kata.toml may set everything.",
        kind="list",
        has_env=False,
        is_user_only=True,
    )


SETTINGS: dict[str, Setting[Any]] = Settings.declared()
