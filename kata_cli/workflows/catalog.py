"""Finding a workflow: built in by name, the user's own by name, any file by path."""

from __future__ import annotations

from pathlib import Path

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.text import near
from kata_cli.core.toml import decode, read
from kata_cli.workflows.check import check
from kata_cli.workflows.model import Workflow
from kata_cli.workflows.roles import BUILTIN_FOLDER

BUILTIN = ("spec", "quick", "ask", "review")


class Found(msgspec.Struct, frozen=True):
    """A workflow with the text it was read from; `source` is `built-in` or the path as it was given."""

    workflow: Workflow
    text: str
    source: str


def names(own_folder: Path) -> dict[str, str]:
    """Every workflow that a bare name reaches: name to source; built-in names win."""
    own = {path.stem: str(path) for path in sorted(own_folder.glob("*.toml"))} if own_folder.is_dir() else {}
    return {**own, **dict.fromkeys(BUILTIN, "built-in")}


def find(name: str, own_folder: Path) -> Found:
    """Read a workflow by name or path. A bare name is never looked up in the project.

    Raises `KataError`: usage for an unknown name, io for an unreadable file, config for a wrong one.
    """
    if name in BUILTIN:
        text = (BUILTIN_FOLDER / f"{name}.toml").read_text("utf-8")
        return Found(check(decode(text.encode(), Path(f"{name}.toml"))), text, "built-in")
    if "/" in name or name.endswith(".toml"):
        return _read(Path(name))
    own = own_folder / f"{name}.toml"
    if own.is_file():
        return _read(own)
    known = names(own_folder)
    hint = near(name, known) or "workflows: " + ", ".join(known)
    raise KataError(
        "usage", f"no workflow is called {name!r}", f"{hint} (a file needs a path: ./{name}.toml)"
    )


def _read(path: Path) -> Found:
    file = read(path)
    if not file.text and not path.exists():
        raise KataError("io", f"there is no workflow file {path}", "kata workflows list")
    return Found(check(file, folder=path.parent), file.text, str(path))
