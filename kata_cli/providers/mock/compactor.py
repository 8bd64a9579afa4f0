"""The mock summary of a session: each turn's goal and what its result says, line by line, nothing added."""

from __future__ import annotations

import re

from kata_cli.core.fence import Block, blocks
from kata_cli.core.text import one_line

MAX_LINES = 12
LINE_CHARS = 120

_GOAL = re.compile(r"\AGoal: (.*)\n?")
_POINT = re.compile(r"^(?:### |- \*\*Q-|- Q-)(.*)$", re.M)


def compact(prompt: str) -> str:
    """Every turn that the prompt shows: its goal, then its headings and open questions or its first lines."""
    told = [_turn(block) for block in blocks(prompt) if block.tag == "earlier"]
    return "\n\n".join(told) or "Nothing came before."


def _turn(block: Block) -> str:
    if block.attributes.get("kind") == "summary":
        return "\n".join(
            line for line in block.text.splitlines() if not line.startswith("*Mock mode:")
        ).strip()
    goal = _GOAL.match(block.text)
    text = block.text[goal.end() :] if goal else block.text
    status = block.attributes.get("status", "said")
    title = one_line(goal[1], LINE_CHARS) if goal else "Message"
    return "\n".join([f"## {title} ({status})", "", *(f"- {line}" for line in _lines(text))]).rstrip()


def _lines(text: str) -> list[str]:
    """The points of a draft, else the first lines of a text."""
    points = [match[0].lstrip("#- ") for match in _POINT.finditer(text)]
    plain = [line.strip("-*# ") for line in text.splitlines() if not line.startswith("*Mock mode:")]
    found = [one_line(line, LINE_CHARS) for line in points or plain if line.strip()]
    more = len(found) - MAX_LINES
    return [*found[:MAX_LINES], f"and {more} more"] if more > 0 else found
