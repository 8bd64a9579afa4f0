"""Which text the mock provider answers with: one writer per role, all fed from the prompt."""

from __future__ import annotations

import json
from typing import Any

from kata_cli.core.messages import Request, ToolCall
from kata_cli.providers.mock import chat, compactor, reports, reviewer, spec_writer, tool_use
from kata_cli.providers.mock.instance import instance_of
from kata_cli.providers.mock.material import Material, read_material
from kata_cli.providers.mock.places import places

WRITERS = {
    "investigate": reports.investigate,
    "implement": reports.implement,
    "verify": reports.verify,
    "debug": reports.debug,
    "critique": reports.critique,
    "review": reviewer.review,
    "answer": reports.answer,
}
MAX_FIRST_LINES = 12
LABEL = "*Mock mode: derived from the material by fixed rules; no model was asked.*"


def write_reply(request: Request) -> tuple[str, tuple[ToolCall, ...]]:
    """The whole answer to a request, and the tool call that it ends with, if it does."""
    call = tool_use.wished_call(request)
    if call is not None:
        return f"{LABEL}\n\nI ask for `{call.name}`.", (call,)
    return write_answer(request), ()


def write_answer(request: Request) -> str:
    """The text of an answer: JSON where a schema or any JSON is asked for, Markdown else."""
    if request.role == "compact":
        return f"{LABEL}\n\n{compactor.compact(request.prompt)}"
    if results := tool_use.results(request):
        return f"{LABEL}\n\n{results}"
    if request.role == "chat":
        return f"{LABEL}\n\n{chat.answer(request)}"
    material = read_material(request)
    if request.schema_name == "spec_draft":
        return json.dumps(spec_writer.write_spec(material), ensure_ascii=False, indent=1)
    if request.schema_name == "json":
        return json.dumps(_facts(material), ensure_ascii=False, indent=1)
    if request.schema_name == "task_plan":
        return json.dumps(_parts(material), ensure_ascii=False, indent=1)
    if request.schema is not None:
        return json.dumps(instance_of(request.schema, material.goal.title), ensure_ascii=False, indent=1)
    writer = WRITERS.get(request.role, reports.digest)
    return f"{LABEL}\n\n{writer(material)}"


def _parts(material: Material) -> dict[str, Any]:
    """A plan with one part for each clause of the goal."""
    return {
        "tasks": [
            {"id": f"part-{number}", "role": "implement", "prompt": clause, "needs": []}
            for number, clause in enumerate(material.goal.clauses, 1)
        ]
    }


def _facts(material: Material) -> dict[str, Any]:
    """The material as one JSON object, for a task that asks for JSON of no special form."""
    return {
        "mode": "mock",
        "goal": material.goal.title,
        "places": [
            {"path": place.file.path, "symbols": [symbol.bare for symbol in place.symbols]}
            for place in places(material)
        ],
        "inputs": [
            {"name": name, "lines": len(text.splitlines()), "first": _first_lines(text)}
            for name, text in material.inputs
        ],
        "answers": {task: _first_lines(text) for task, text in material.outputs},
    }


def _first_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()][:MAX_FIRST_LINES]
