"""The mock summary says what the turns say and nothing else."""

from __future__ import annotations

from kata_cli.core.fence import fence
from kata_cli.core.messages import Message, ModelRef, Request
from kata_cli.providers.mock.author import LABEL, write_answer

DRAFT = """Goal: Limit the login
second line

---
title: "x"
---
## Requirements

### REQ-001 Refuse the eleventh try

It SHALL refuse.

## Open Questions

- Q-001 Per client?
"""


def summary(*parts: str) -> str:
    prompt = "\n\n".join(parts)
    request = Request(
        task="compact", role="compact", model=ModelRef("mock", "m"), messages=(Message("user", prompt),)
    )
    return write_answer(request)


def test_se14_each_turn_is_told_by_its_goal_and_its_points() -> None:
    """A draft by its requirements and questions, a text by its lines, an earlier summary as it was."""
    told = summary(
        fence("earlier", f"{LABEL}\n\n## Before (completed)\n\n- a", {"kind": "summary"}),
        fence("earlier", DRAFT, {"kind": "spec", "status": "completed"}),
        fence("earlier", f"Goal: Ask\n\n{LABEL}\n\nIt is in `a.py`.\n", {"kind": "text", "status": "failed"}),
        "Now summarize.",
    )
    assert told == (
        f"{LABEL}\n\n## Before (completed)\n\n- a\n\n"
        "## Limit the login (completed)\n\n- REQ-001 Refuse the eleventh try\n- Q-001 Per client?\n\n"
        "## Ask (failed)\n\n- It is in `a.py`."
    )
    assert told.count("Mock mode") == 1


def test_a_long_turn_is_cut_and_says_so() -> None:
    """Twelve lines of a turn are enough to know what it was about."""
    told = summary(fence("earlier", "\n".join(f"line {n}" for n in range(40)), {"kind": "message"}))
    assert told.endswith("- line 11\n- and 28 more")
    assert "## Message (said)" in told


def test_nothing_before_is_said_to_be_nothing() -> None:
    """A prompt without turns."""
    assert summary("Summarize.") == f"{LABEL}\n\nNothing came before."
