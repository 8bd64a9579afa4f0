"""A mock draft that revises another: what was there stays under its ids, what the new goal adds follows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MAX_QUESTIONS = 3
MAX_RISKS = 8

Entries = list[dict[str, Any]]


def revise(previous: dict[str, Any], fresh: dict[str, Any], wish: str) -> dict[str, Any]:
    """The earlier answer with what `fresh`, the answer to the new goal alone, has beyond it.

    Ids of the additions follow the highest that was used. The wish is kept as a decision.
    """
    known = {entry["text"] for entry in previous["requirements"]}
    added = [entry for entry in fresh["requirements"] if entry["text"] not in known]
    requirements = _renumbered(added, previous["requirements"])
    criteria = _renumbered(_citing(fresh["criteria"], requirements), previous["criteria"])
    tasks = _renumbered(_citing(fresh["tasks"], requirements), previous["tasks"])
    steps = [step for step in fresh["verification"] if step["criterion"] in criteria]
    asked = {entry["text"] for entry in previous["open_questions"]}
    new_questions = [entry for entry in fresh["open_questions"] if entry["text"] not in asked]
    questions = _renumbered(new_questions[: max(0, MAX_QUESTIONS - len(asked))], previous["open_questions"])
    names = {old: entry["id"] for group in (requirements, criteria, tasks) for old, entry in group.items()}
    return {
        **previous,
        "assumptions": fresh["assumptions"],
        "context": fresh["context"],
        "requirements": [*previous["requirements"], *requirements.values()],
        "criteria": [*previous["criteria"], *_renamed(criteria.values(), names)],
        "tasks": [*previous["tasks"], *_waiting(_renamed(tasks.values(), names), previous["tasks"])],
        "verification": [*previous["verification"], *_renamed(steps, names)],
        "risks": _joined(previous["risks"], fresh["risks"])[:MAX_RISKS],
        "rollback": _joined(previous["rollback"], fresh["rollback"] if added else []),
        "decisions": _joined(previous["decisions"], [f"Revised for: {wish}"]),
        "open_questions": [*previous["open_questions"], *questions.values()],
    }


def _renumbered(entries: Entries, used: Entries) -> dict[str, dict[str, Any]]:
    """Entries by the id they had, each with an id after all those that were used."""
    highest = max((int(entry["id"].rpartition("-")[2]) for entry in used), default=0)
    return {
        entry["id"]: {**entry, "id": re.sub(r"\d+$", f"{highest + number:03d}", entry["id"])}
        for number, entry in enumerate(entries, 1)
    }


def _citing(entries: Entries, requirements: Iterable[str]) -> Entries:
    known = set(requirements)
    return [entry for entry in entries if known.intersection(entry["requirements"])]


def _renamed(entries: Iterable[dict[str, Any]], names: dict[str, str]) -> Entries:
    """Entries whose references follow the new ids; what was left out is no longer referred to."""
    renamed = []
    for entry in entries:
        changed: dict[str, Any] = {
            key: [names[name] for name in entry[key] if name in names]
            for key in ("requirements", "after")
            if key in entry
        }
        if "criterion" in entry:
            changed["criterion"] = names[entry["criterion"]]
        renamed.append({**entry, **changed})
    return renamed


def _waiting(tasks: Entries, earlier: Entries) -> Entries:
    """Tasks that wait for the last earlier one on the same file: two at once would be in each other's way."""
    last = {task["path"]: task["id"] for task in earlier if task["path"]}
    return [
        {**task, "after": [last[task["path"]], *task["after"]]} if task["path"] in last else task
        for task in tasks
    ]


def _joined(one: list[str], other: list[str]) -> list[str]:
    return list(dict.fromkeys([*one, *other]))
