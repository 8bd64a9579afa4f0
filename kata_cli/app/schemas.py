"""What `kata schema` needs: the JSON Schema of every document that kata reads or writes, from its Structs."""

from __future__ import annotations

from importlib import import_module
from inspect import cleandoc
from typing import Any

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.text import near

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# Name to the place of its type; a name is the middle of `kata.NAME/v1`. Types are imported when they are
# asked for: completion reads the names alone.
DOCUMENTS = {
    "run": ("run.json, and `sessions show --json`", "kata_cli.core.records:RunRecord"),
    "event": ("a line of events.jsonl and of `run --format jsonl`", "kata_cli.app.schema_parts:EventLine"),
    "spec": ("spec.json", "kata_cli.app.schema_parts:SpecFile"),
    "session": ("a line of a session file", "kata_cli.app.schema_parts:SessionLine"),
    "error": ("a failure, on stderr and in other documents", "kata_cli.core.errors:ErrorDocument"),
    "workflow": ("a workflow file", "kata_cli.workflows.model:Workflow"),
    "config": ("config.toml and kata.toml", ""),
    "result": ("`run --json`", "kata_cli.output.machine:ResultDocument"),
    "dry-run": ("`run --dry-run --json`", "kata_cli.app.dry_run:DryRun"),
    "exchange": ("a line of exchanges.jsonl", "kata_cli.store.exchanges:Exchange"),
    "models": ("`models list --json`", "kata_cli.app.models:Listing"),
    "model": ("`models show --json`", "kata_cli.app.models:Shown"),
    "model-added": ("`models add --json`", "kata_cli.app.model_add:Added"),
    "auth": ("`auth status --json`", "kata_cli.app.auth:AuthReport"),
    "sessions": ("`sessions list --json`", "kata_cli.app.session_list:RunList"),
    "search": ("`sessions search --json`", "kata_cli.app.session_list:HitList"),
    "conversation": (
        "`sessions show --json` of a session without runs",
        "kata_cli.app.session_conversation:Conversation",
    ),
    "session-tree": ("`sessions tree --json`", "kata_cli.app.session_tree:SessionTree"),
    "compaction": ("`sessions compact --json`", "kata_cli.app.session_compact:Compaction"),
    "session-info": ("`sessions fork` and `rename --json`", "kata_cli.app.session_tree:SessionInfo"),
    "stats": ("`sessions stats --json`", "kata_cli.app.session_stats:Stats"),
    "export": ("`sessions export --format json`", "kata_cli.app.session_export:Export"),
    "archive": (
        "manifest.json of `sessions export --format zip`",
        "kata_cli.app.session_archive:Manifest",
    ),
    "stop": ("`sessions stop --json`", "kata_cli.app.session_stop:Stopped"),
    "removal": ("`sessions rm` and `prune --json`", "kata_cli.app.session_keep:Removal"),
    "lint": ("`spec lint --json`", "kata_cli.app.spec_lint:LintReport"),
    "fmt": ("`spec fmt --json`", "kata_cli.app.spec_fmt:Formatted"),
    "trace": ("`spec trace --json`", "kata_cli.app.spec_trace:TraceReport"),
    "diff": ("`spec diff --json`", "kata_cli.app.spec_diff:DiffReport"),
    "workflows": ("`workflows list --json`", "kata_cli.app.workflows:WorkflowList"),
    "workflow-check": ("`workflows check --json`", "kata_cli.app.workflows:WorkflowCheck"),
    "settings": ("`config show --json`", "kata_cli.app.config:SettingList"),
    "doctor": ("`doctor --json`", "kata_cli.app.doctor:DoctorReport"),
    "batch": (
        "the last line of `batch`; those before it are `result`",
        "kata_cli.app.batch_totals:BatchFinished",
    ),
    "batch-line": ("a line that `batch` reads", "kata_cli.app.batch_source:BatchLine"),
    "serving": ("`serve --json`", "kata_cli.app.serve:Serving"),
    "health": ("what a service answers at /healthz", "kata_cli.service.documents:Health"),
    "capabilities": ("what a service can do", "kata_cli.service.documents:Capabilities"),
    "live-models": ("the models of a service", "kata_cli.service.documents:Models"),
    "live-sessions": ("the sessions of a service", "kata_cli.service.documents:LiveSessions"),
    "live-session": (
        "`agents open`, `fork`, `choose`, `abort`, `stop` and `answer --json`",
        "kata_cli.service.documents:LiveSession",
    ),
    "live-history": ("`agents show --json`", "kata_cli.service.documents:History"),
    "live-tree": ("`agents tree --json`", "kata_cli.service.documents:Tree"),
    "accepted": ("`agents steer` and `follow-up --json`", "kata_cli.service.documents:Accepted"),
    "agents": ("`agents list --json`", "kata_cli.app.agents_list:AgentList"),
    "agent-turn": ("`agents send --json`", "kata_cli.app.agents_turn:Turn"),
    "agent-compaction": ("`agents compact --json`", "kata_cli.app.agents_watch:Shortened"),
    "schemas": ("`schema --json`", "kata_cli.app.schemas:SchemaList"),
}


class SchemaRow(msgspec.Struct, kw_only=True):
    """One schema, and what it describes."""

    name: str
    about: str


class SchemaList(msgspec.Struct, kw_only=True):
    """All schemas (`kata.schemas/v1`)."""

    schema: str = "kata.schemas/v1"
    schemas: list[SchemaRow]


def list_schemas() -> SchemaList:
    """Every schema by name."""
    return SchemaList(schemas=[SchemaRow(name=name, about=about) for name, (about, _) in DOCUMENTS.items()])


def json_schema(name: str) -> dict[str, Any]:
    """The schema of that name (JSON Schema 2020-12). Raises `KataError` usage for an unknown one."""
    if name not in DOCUMENTS:
        hint = near(name, DOCUMENTS) or "kata schema lists them"
        raise KataError("usage", f"no schema is called {name[:80]!r}", hint)
    return {"$schema": DIALECT, "$id": f"urn:kata:{name}:v1", **_body(name)}


def _body(name: str) -> dict[str, Any]:
    if name == "config":
        from kata_cli.config.schema import config_schema

        return config_schema()
    module, _, type_name = DOCUMENTS[name][1].partition(":")
    schema: dict[str, Any] = _refined(msgspec.json.schema(getattr(import_module(module), type_name)))
    return schema


def _refined(value: Any) -> Any:
    """The schema with what its types cannot say: the name of a document is fixed, and always there."""
    if isinstance(value, list):
        return [_refined(item) for item in value]
    if not isinstance(value, dict):
        return cleandoc(value) if isinstance(value, str) else value
    # `discriminator` is a word of OpenAPI, which strict validators of JSON Schema refuse.
    refined = {key: _refined(item) for key, item in value.items() if key != "discriminator"}
    named = refined.get("properties", {}).get("schema", {})
    if str(named.get("default", "")).startswith("kata."):
        refined["properties"]["schema"] = {"const": named["default"]}
        refined["required"] = list(dict.fromkeys(["schema", *refined.get("required", [])]))
    return refined
