"""What a model answers: a small, sound draft."""

from __future__ import annotations

from typing import Any

ANSWER: dict[str, Any] = {
    "title": "Atomic save",
    "goal": "A crash leaves the old record or the new one.",
    "non_goals": [],
    "assumptions": [],
    "context": [],
    "requirements": [{"id": "REQ-001", "title": "Save", "text": "The store SHALL replace a record at once."}],
    "criteria": [
        {
            "id": "AC-001",
            "requirements": ["REQ-001"],
            "text": "GIVEN a record WHEN it is saved THEN it is whole",
        }
    ],
    "tasks": [
        {
            "id": "T-001",
            "role": "implement",
            "requirements": ["REQ-001"],
            "text": "Write aside, then rename",
            "path": "shelf/store.py",
            "after": [],
        }
    ],
    "verification": [{"criterion": "AC-001", "command": "pytest", "note": ""}],
    "risks": [],
    "rollback": [],
    "decisions": [],
    "open_questions": [],
}
