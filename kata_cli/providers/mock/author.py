"""Which text the mock provider answers with: one writer per role, all fed from the prompt."""

from __future__ import annotations

import json

from kata_cli.core.messages import Request
from kata_cli.providers.mock import reports, reviewer, spec_writer
from kata_cli.providers.mock.material import read_material

WRITERS = {
    "investigate": reports.investigate,
    "implement": reports.implement,
    "verify": reports.verify,
    "debug": reports.debug,
    "critique": reports.critique,
    "review": reviewer.review,
    "answer": reports.answer,
}
LABEL = "*Mock mode: derived from the material by fixed rules; no model was asked.*"


def write_answer(request: Request) -> str:
    """The whole answer to a request: JSON where a schema is asked for, Markdown else."""
    material = read_material(request)
    if request.schema_name == "spec_draft":
        return json.dumps(spec_writer.write_spec(material), ensure_ascii=False, indent=1)
    if request.schema is not None:
        return json.dumps({"goal": material.goal.title})
    writer = WRITERS.get(request.role, reports.digest)
    return f"{LABEL}\n\n{writer(material)}"
