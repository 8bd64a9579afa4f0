"""The arrows of the house: who may import whom, no cycles, and no `yield` where it would leak tasks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_cli.workflows.model import find_cycle

PACKAGE = Path(__file__).parents[2] / "kata_cli"

ALLOWED = {
    "core": set(),
    "config": {"core"},
    "context": {"core"},
    "spec": {"core"},
    "store": {"core"},
    "workflows": {"core"},
    "output": {"core"},
    "pi": {"core"},
    "service": {"core"},
    "providers": {"core", "pi"},
    "engine": {"core", "workflows", "spec"},
    "app": {
        *("core", "config", "context", "engine", "output", "pi"),
        *("providers", "service", "spec", "store", "workflows"),
    },
    "cli": {"core", "app", "output", "config"},
    "__main__": {"cli"},
    "__init__": set(),
}
ONLY_IN = {
    "typer": "cli/",
    "rich": "output/human.py",
    "anthropic": "providers/anthropic.py",
    "openai": "providers/openai.py",
    "httpx2": "providers/",
    "starlette": "service/",
    "uvicorn": "service/",
    "pydantic": "nowhere",
}


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _room(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def _is_module(name: str) -> bool:
    place = PACKAGE.parent.joinpath(*name.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            inside = [name.name for name in node.names if _is_module(f"{node.module}.{name.name}")]
            yield from ((node.lineno, f"{node.module}.{name}") for name in inside)
            if len(inside) < len(node.names):
                yield node.lineno, node.module
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path: Path) -> None:
    """A module imports only rooms below its own."""
    room = _room(path)
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for line, name in _imports(ast.parse(path.read_text()))
        if name.startswith("kata_cli.") and (target := name.split(".")[1]) != room
        if (PACKAGE / target).is_dir() and target not in ALLOWED[room]
    ]
    assert not wrong


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_library_has_one_home(path: Path) -> None:
    """SDKs, the terminal library and the command framework are imported in their own room only."""
    inside = str(path.relative_to(PACKAGE))
    wrong = [
        f"{inside}:{line} imports {name}"
        for line, name in _imports(ast.parse(path.read_text()))
        if (home := ONLY_IN.get(name.split(".")[0])) is not None and not inside.startswith(home)
    ]
    assert not wrong


def test_no_module_imports_itself_round_a_corner() -> None:
    """The graph of imports at module level has no cycle."""
    graph: dict[str, list[str]] = {}
    for path in _modules():
        name = ".".join(("kata_cli", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
            ".__init__"
        )
        body = ast.Module(
            [node for node in ast.parse(path.read_text()).body if not isinstance(node, ast.If)],
            type_ignores=[],
        )
        top = [node for node in body.body if isinstance(node, ast.Import | ast.ImportFrom)]
        graph[name] = [target for node in top for _, target in _imports(ast.Module([node], type_ignores=[]))]
    known = {name: [target for target in targets if target in graph] for name, targets in graph.items()}
    assert find_cycle(known) == []


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of the functions inside it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from _own_nodes(node)


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_yields_inside_a_task_group_or_a_timeout(path: Path) -> None:
    """An async generator that yields there would cancel its consumer's body or leak tasks.

    `aclosing` is safe: it only closes what the generator itself iterates.
    """
    wrong = []
    for block in ast.walk(ast.parse(path.read_text())):
        if isinstance(block, ast.AsyncWith) and not all(_is_aclosing(item) for item in block.items):
            wrong += [
                f"{path.relative_to(PACKAGE)}:{node.lineno} yields inside an async with"
                for node in _own_nodes(block)
                if isinstance(node, ast.Yield | ast.YieldFrom)
            ]
    assert not wrong


def _is_aclosing(item: ast.withitem) -> bool:
    call = item.context_expr
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "aclosing"
