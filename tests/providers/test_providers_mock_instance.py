"""What the mock answers to a schema of the user's own: a value that fits it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kata_cli.providers.mock.instance import instance_of

LEAVES = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.builds(lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
              st.integers(-9, 9), st.integers(0, 9)),
    st.builds(lambda low: {"type": "number", "exclusiveMinimum": low}, st.integers(-9, 9)),
    st.builds(lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
              st.integers(0, 9), st.integers(0, 9)),
    st.lists(st.text(max_size=3), min_size=1, max_size=3).map(lambda values: {"enum": values}),
    st.just({"type": ["string", "null"]}),
    st.just({"$ref": "#/$defs/name"}),
)  # fmt: skip


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    return st.one_of(
        fields.map(lambda known: {"type": "object", "properties": known, "required": list(known)}),
        st.builds(
            lambda item, low: {"type": "array", "items": item, "minItems": low}, inner, st.integers(0, 3)
        ),
        st.lists(inner, min_size=1, max_size=2).map(lambda either: {"anyOf": either}),
    )


@given(st.recursive(LEAVES, nested, max_leaves=6))
@settings(max_examples=150, deadline=None)
def test_the_instance_fits_its_schema(schema: dict[str, Any]) -> None:
    """Whatever the schema is built of, the value validates against it."""
    whole = {**schema, "$defs": {"name": {"type": "string"}}}
    Draft202012Validator(whole).validate(instance_of(whole, "some words"))


@pytest.mark.parametrize(
    "schema", [{}, {"$ref": "#"}, {"$ref": "#/nowhere"}, {"properties": {"a": {"$ref": "#"}}}]
)
def test_a_schema_without_an_end_has_a_value_all_the_same(schema: dict[str, Any]) -> None:
    """Recursion and missing definitions end in something, not in a crash."""
    assert json.dumps(instance_of(schema, "words"))
