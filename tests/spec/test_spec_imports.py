"""The room is cheap to enter."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("asyncio", "anthropic", "openai", "pydantic", "rich", "typer", "starlette", "difflib", "yaml")


def test_the_room_imports_nothing_heavy() -> None:
    """Importing all of kata_cli.spec loads no SDK, no event loop and no terminal library."""
    names = ("answer", "check", "document", "ears", "lint", "parse", "render", "report", "report_junit")
    imports = "; ".join(f"import kata_cli.spec.{name}" for name in names)
    script = f"import sys; {imports}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
