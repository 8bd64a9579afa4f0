"""How the panel reads a stream of events and follows a session, run in Chromium with a scripted service."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page

from panel.modules import call

Given = dict[str, Any]

STREAM = (
    ': ping\n\nid: e.1\nevent: delta\ndata: {"type":"delta"}\n\n'
    "id: e.2\r\ndata: two\r\ndata:  lines\r\n\r\nevent: nothing\n\n: ping\n\ndata:x\n\nid: e.4\ndata: cut"
)
FRAMES = [
    {"id": "e.1", "event": "delta", "data": '{"type":"delta"}'},
    {"id": "e.2", "event": "message", "data": "two\n lines"},
    {"event": "message", "data": "x"},
]


def test_frames_are_whole_wherever_the_stream_is_cut(modules: Page) -> None:
    """Every cut in two, and every byte by itself, gives the same frames; half a frame gives none."""
    script = """(() => {
      const read = (...pieces) => {
        const frames = new m.Frames();
        return pieces.flatMap((piece) => frames.feed(piece));
      };
      const cuts = [...arg].map((_, at) => read(arg.slice(0, at), arg.slice(at)));
      return [...cuts, read(...arg)].map((frames) => JSON.stringify(frames));
    })()"""
    assert {json.dumps(json.loads(found)) for found in call(modules, "sse", script, STREAM)} == {
        json.dumps(FRAMES)
    }


WATCH = """(async () => {
  const asked = [];
  const connections = arg.connections;
  const api = {
    async get(path) {
      asked.push(path.split("/").pop());
      const session = { id: "s-1", status: arg.statuses.shift() ?? "idle" };
      return path.endsWith("history") ? { session, last_event_id: arg.ids.shift() } : session;
    },
    async events(session, after) {
      asked.push(`events after ${after}`);
      const frames = connections.shift();
      if (frames === "refused") throw new TypeError("no connection");
      return (async function* () { yield* frames; if (!connections.length) await new Promise(() => {}); })();
    },
  };
  const seen = [];
  const stop = new AbortController();
  for await (const event of m.watch(api, "s-1", stop.signal)) {
    if (event.type === "connection") seen.push(event.isLive ? "live" : event.waitMs ? "waits" : "again");
    else seen.push(event.text ?? event.type);
    if (event.text === arg.last) break;
  }
  return [seen, asked];
})()"""


def _frame(number: int, type_: str = "delta") -> list[object]:
    return [f"e.{number}", {"type": type_, **({"text": f"t{number}"} if type_ == "delta" else {})}]


def test_a_lost_connection_is_taken_up_where_it_broke(modules: Page) -> None:
    """H6: after a break the events go on after the last id that was seen; nothing is read twice."""
    connections = [[_frame(1), _frame(2)], "refused", [_frame(3)]]
    seen, asked = call(
        modules, "session", WATCH, {"connections": connections, "statuses": [], "ids": ["e.0"], "last": "t3"}
    )
    assert seen == ["history", "live", "t1", "t2", "again", "waits", "live", "t3"]
    assert asked == ["history", "events after e.0", "s-1", "events after e.2", "s-1", "events after e.2"]


def test_after_a_gap_the_history_is_read_again(modules: Page) -> None:
    """A `reset` leads to the history, after which the events go on; a `bye` only to a new connection."""
    connections = [[_frame(1), _frame(9, "reset")], [_frame(21), _frame(21, "bye")], [_frame(22)]]
    given = {"connections": connections, "statuses": [], "ids": ["e.0", "e.20"], "last": "t22"}
    seen, asked = call(modules, "session", WATCH, given)
    assert seen == [
        "history",
        "live",
        "t1",
        "reset",
        "again",
        "history",
        "live",
        "t21",
        "bye",
        "again",
        "live",
        "t22",
    ]
    assert [one for one in asked if one.startswith("events")] == [
        "events after e.0",
        "events after e.20",
        "events after e.21",
    ]


def _closed(statuses: list[str], ids: list[str], *connections: object) -> Given:
    return {"connections": list(connections), "statuses": statuses, "ids": ids, "last": None}


def test_a_closed_session_is_not_followed(modules: Page) -> None:
    """Asking for its events would take it up; its history is shown, also when it was closed meanwhile."""
    assert call(modules, "session", WATCH, _closed(["closed"], [""])) == [["history"], ["history"]]
    meanwhile = _closed(["idle", "closed", "closed"], ["e.0", ""], [_frame(1, "bye")], [])
    seen, asked = call(modules, "session", WATCH, meanwhile)
    assert seen == ["history", "live", "bye", "again", "history"]
    assert asked == ["history", "events after e.0", "s-1", "history"]
