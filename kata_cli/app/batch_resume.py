"""A line of a batch that goes on with the run that it had in an earlier batch."""

from __future__ import annotations

from typing import Any

import msgspec

from kata_cli.app.past import past_of
from kata_cli.app.prepare import Prepared
from kata_cli.app.recall import SHAPING, Record, resumable
from kata_cli.core.errors import KataError
from kata_cli.core.events import RunStarted
from kata_cli.core.redact import Redactor


def gone_on(prepared: Prepared, run_id: str, redactor: Redactor) -> Prepared:
    """The run of a line as one that resumes `run_id`; as it is where that cannot be, or would be another run.

    Nothing is taken over from a run without a finished task, or that was asked anything else. Blocks.
    """
    try:
        recalled = resumable(run_id, prepared.resolved)
    except KataError:
        return prepared
    started = recalled.started
    if not recalled.finished or _asked(prepared, redactor) != _recorded(started):
        return prepared
    return msgspec.structs.replace(
        prepared,
        options=msgspec.structs.replace(prepared.options, resumes=run_id),
        past=past_of(started, prepared.resolved, recalled.warnings),
        record=Record(run=recalled),
    )


def _asked(prepared: Prepared, redactor: Redactor) -> dict[str, Any]:
    """All that shapes the requests of a run, but for its context, as a journal has it."""
    origins = prepared.resolved.settings.origins
    asked = {
        "goal": prepared.inputs.goal,
        "definition": prepared.found.workflow,
        "vars": prepared.vars,
        "system": prepared.system,
        "files": prepared.options.files,
        "mode": origins["runtime_mode"].value,
        "settings": {name: origins[name].value for name in SHAPING if origins[name].origin != "default"},
    }
    plain: dict[str, Any] = redactor.value(msgspec.json.decode(msgspec.json.encode(asked)))
    return plain


def _recorded(started: RunStarted) -> dict[str, Any]:
    return {
        "goal": started.goal,
        "definition": started.definition,
        "vars": started.vars,
        "system": started.system,
        "files": started.files,
        "mode": started.runtime_mode,
        "settings": {name: started.settings[name] for name in SHAPING if name in started.settings},
    }
