"""`--otel FILE` of a real run: a line by the rules of OTLP/JSON, content only if it is switched on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.shell import MOCK, Shell
from kata_cli.output.otlp_content import VARIABLE

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
KEY = "sk-ant-" + "x" * 40
GOAL = f"Make save atomic, without {KEY} in it"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell of its own."""
    return Shell(tmp_path)


def spans(shell: Shell, **env: str) -> list[dict[str, Any]]:
    """The spans of a run with several tasks, one of which is asked twice."""
    scenario = shell.faults("rate_limited", times=1)
    ended = shell.kata(*MOCK, GOAL, *scenario, "--otel", "traces.jsonl", env=env)
    assert ended.code == 0, ended.stderr
    (line,) = (shell.project / "traces.jsonl").read_bytes().splitlines()
    (resource,) = json.loads(line)["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    found: list[dict[str, Any]] = scope["spans"]
    return found


def test_a_run_is_one_sound_tree_of_spans(shell: Shell) -> None:
    """Ids in hex and unique, times and integers as text, every span within the one around it, one root."""
    found = spans(shell, TRACEPARENT=f"00-{TRACE}-{CALLER}-01")
    by_id = {span["spanId"]: span for span in found}
    assert len(by_id) == len(found)
    assert {span["traceId"] for span in found} == {TRACE}
    assert [span["name"] for span in found if span["parentSpanId"] == CALLER] == ["invoke_workflow spec"]
    for span in found:
        assert int(span["spanId"], 16)
        assert len(span["spanId"]) == 16
        begin, end = span["startTimeUnixNano"], span["endTimeUnixNano"]
        assert isinstance(begin, str)
        assert isinstance(end, str)
        around = by_id.get(span["parentSpanId"], span)
        assert int(around["startTimeUnixNano"]) <= int(begin) <= int(end)
        assert all(isinstance(entry["value"].get("intValue", ""), str) for entry in span["attributes"])
    kinds = [span["name"].split()[0] for span in found]
    assert kinds.count("chat") == kinds.count("invoke_agent") + 1 > 2


def test_content_is_told_only_on_request_and_without_secrets(shell: Shell) -> None:
    """Off by default; on, the goal is in the prompts, but not the key that somebody pasted into it."""
    assert "atomic" not in json.dumps(spans(shell))
    (shell.project / "traces.jsonl").unlink()
    told = json.dumps(spans(shell, **{VARIABLE: "true"}))
    assert "Make save atomic" in told
    assert "gen_ai.output.messages" in told
    assert KEY not in told
