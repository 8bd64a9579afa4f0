"""EARS sentences are told apart by their first words."""

from __future__ import annotations

import pytest

from kata_cli.spec.ears import classify


@pytest.mark.parametrize(
    ("sentence", "pattern"),
    [
        ("The gate SHALL answer in 50 ms.", "ubiquitous"),
        ("Each answer MUST carry an id.", "ubiquitous"),
        ("WHEN a key expires, the gate SHALL refuse it.", "event"),
        ("When a, b or c comes, the gate shall refuse it.", "event"),
        ("WHILE draining, the gate SHALL refuse new work.", "state"),
        ("IF the disk is full, THEN the gate SHALL say so.", "unwanted"),
        ("WHERE tracing is on, the gate SHALL send spans.", "optional"),
        ("WHILE draining, WHEN a request comes, the gate SHALL answer 503.", "complex"),
        ("IF the disk is full the gate SHALL say so.", None),
        ("The gate answers quickly.", None),
        ("Refuse the key.", None),
        ("", None),
    ],
)
def test_sentences_are_classified(sentence: str, pattern: str | None) -> None:
    """One sentence of every pattern, and some of none."""
    assert classify(sentence) == pattern
