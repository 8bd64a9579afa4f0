"""Trees drawn in ASCII."""

from __future__ import annotations

from kata_cli.output.branches import Row, draw


def rows(*pairs: tuple[str, str | None]) -> list[Row]:
    return [Row(id=name, parent=parent, text=name) for name, parent in pairs]


def test_a_chain_stays_in_its_column() -> None:
    """However long: no recursion, no indentation."""
    names = [f"e{number}" for number in range(5000)]
    chain = rows(*zip(names, [None, *names[:-1]], strict=True))
    assert list(draw(chain)) == names


def test_branches_move_to_the_right() -> None:
    """Branches in branches, two roots, and notes below the row they belong to."""
    tree = rows(("a", None), ("b", "a"), ("c", "a"), ("d", "b"), ("e", "c"), ("f", "c"), ("z", None))
    tree[2] = Row(id="c", parent="a", text="c", notes=["> fork"])
    tree[3] = Row(id="d", parent="b", text="d", notes=["> fork"])
    assert list(draw(tree)) == [
        "|- a",
        "|  |- b",
        "|  |  d",
        "|  |     > fork",
        "|  `- c",
        "|     |  > fork",
        "|     |- e",
        "|     `- f",
        "`- z",
    ]


def test_nothing_is_no_line() -> None:
    """An empty session."""
    assert list(draw([])) == []
