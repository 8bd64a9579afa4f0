"""From `--var name=value` and the table `vars` to the values that a workflow declares."""

from __future__ import annotations

from collections.abc import Mapping

from kata_cli.core.errors import KataError
from kata_cli.core.text import near
from kata_cli.workflows.model import Var, VarType, VarValue, Workflow

_TRUE = ("true", "yes", "1", "on")
_FALSE = ("false", "no", "0", "off")


def bind(workflow: Workflow, given: Mapping[str, VarValue]) -> dict[str, str]:
    """The text of every variable, checked for type and choice. Raises `KataError` usage."""
    for name in given:
        if name not in workflow.vars:
            known = ", ".join(workflow.vars) or "none"
            hint = near(name, workflow.vars) or f"variables of {workflow.name}: {known}"
            raise KataError("usage", f"workflow {workflow.name!r} has no variable {name!r}", hint)
    return {name: _bind_one(name, var, given.get(name)) for name, var in workflow.vars.items()}


def _bind_one(name: str, var: Var, value: VarValue | None) -> str:
    if value is None:
        if var.required:
            raise KataError(
                "usage", f"variable {name!r} is required", f"--var {name}=VALUE  {var.help}".rstrip()
            )
        return "" if var.default is None else _text(var.default)
    text = _text(value)
    if not fits(var.type, text):
        raise KataError("usage", f"--var {name}: {text!r} is not of type {var.type}", f"--var {name}=VALUE")
    choices = [_text(choice) for choice in var.choices or []]
    if choices and text not in choices:
        raise KataError(
            "usage", f"--var {name}: {text!r} is not one of {', '.join(choices)}", near(text, choices)
        )
    return text


def _text(value: VarValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def fits(kind: VarType, value: VarValue) -> bool:
    """Whether a value can be read as that type."""
    text = _text(value)
    if kind == "bool":
        return text.lower() in _TRUE + _FALSE
    try:
        {"int": int, "float": float}.get(kind, str)(text)
    except ValueError:
        return False
    return True
