"""Placeholders and variables: put in once, checked for type and choice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_cli.core.errors import KataError
from kata_cli.workflows import template
from kata_cli.workflows.model import Result, Task, Var, Workflow
from kata_cli.workflows.variables import bind


@given(st.text(), st.text())
def test_a_value_is_never_read_as_a_template(goal: str, context: str) -> None:
    """Whatever a value says, it stands in the result as it is."""
    filled = template.fill("<{{goal}}|{{ context }}>", {"goal": goal, "context": context})
    assert filled == f"<{goal}|{context}>"


def test_a_placeholder_inside_a_value_stays() -> None:
    """`{{context}}` in a goal is text, not a wish."""
    assert template.fill("{{goal}}", {"goal": "{{context}}", "context": "secret"}) == "{{context}}"


def test_names_are_listed_once_in_order() -> None:
    """The names of a template, without repeats."""
    assert template.names("{{b}} {{a}} {{ b }}") == ["b", "a"]


def workflow(**variables: Var) -> Workflow:
    prompt = " ".join(f"{{{{vars.{name}}}}}" for name in variables)
    task = Task(id="t", role="debug", prompt=prompt)
    return Workflow(
        schema="kata.workflow/v1", name="w", vars=variables, tasks=[task], result=Result(task="t")
    )


def test_defaults_and_given_values_are_bound() -> None:
    """A given value wins over the default; truth values are written in lower case."""
    bound = bind(workflow(a=Var(default="x"), b=Var(type="bool", default=True), c=Var()), {"a": "y"})
    assert bound == {"a": "y", "b": "true", "c": ""}


@pytest.mark.parametrize(
    ("var", "given", "told"),
    [
        (Var(required=True), {}, "variable 'a' is required"),
        (Var(type="int"), {"a": "many"}, "not of type int"),
        (Var(type="float"), {"a": "x"}, "not of type float"),
        (Var(type="bool"), {"a": "maybe"}, "not of type bool"),
        (Var(choices=["low", "high"]), {"a": "hgih"}, "not one of low, high"),
        (Var(), {"aa": "x"}, "has no variable 'aa'"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_runs(var: Var, given: dict[str, str], told: str) -> None:
    """Exit 2, naming the variable and what was expected."""
    with pytest.raises(KataError, match=told) as caught:
        bind(workflow(a=var), given)
    assert caught.value.failure.code == "usage"
