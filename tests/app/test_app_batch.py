"""What a batch comes to, and how its lines are judged."""

from __future__ import annotations

import json
import os
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

from kata_cli.app.batch_line import ResultLine
from kata_cli.app.batch_source import BatchLine, Entry, Source, entries, open_source
from kata_cli.app.batch_totals import Totals, aggregate
from kata_cli.core.errors import Exit, Failure, KataError, document
from kata_cli.core.messages import Usage
from kata_cli.output.board import Progress, progress_line


@pytest.mark.parametrize(
    ("exits", "status"),
    [
        ({0: 9}, 0),
        ({}, 0),
        ({0: 1, 6: 2}, 6),
        ({4: 1, 6: 2}, 8),
        ({4: 1, 7: 1}, 7),
        ({7: 1, 124: 1}, 124),
        ({124: 1, 130: 1}, 130),
        ({10: 3, 0: 1}, 10),
    ],
)
def test_the_status_that_stands_for_all(exits: dict[int, int], status: int) -> None:
    """Signal, time-out, limit, the one cause that all failures share, else 8 (contract §4)."""
    assert aggregate(Counter(exits)) == status


def failed(code: str, **fields: int) -> ResultLine:
    """The result of a line that failed so."""
    failure = Failure(code=code, message="no")
    return ResultLine(exit_code=failure.exit, error=document(failure), usage=Usage(**fields))


def test_totals_keep_sums_alone() -> None:
    """Counts by state and status, usage without what an earlier batch paid; a failure that names causes."""
    totals = Totals()
    totals.add(failed("timeout", input=3))
    totals.add(failed("rate_limited", input=4))
    totals.pass_on(ResultLine(status="completed", exit_code=0, usage=Usage(input=100)))
    failure = totals.failure(None)
    assert failure is not None
    assert failure.exit == Exit.UNAVAILABLE
    assert failure.message == "2 of 3 lines failed: timeout 1, rate_limited 1"
    last = totals.finished(failure, 0, 1.5)
    assert (last.lines, last.completed, last.failed, last.passed_on) == (3, 1, 2, 1)
    assert last.exit_codes == {"0": 1, "6": 2}
    assert last.usage == Usage(input=7)


def lines_of(source: Source) -> list[Entry]:
    """All lines of a source."""
    return list(chain.from_iterable(entries(source)))


def judged(folder: Path, *lines: bytes) -> list[str]:
    """The ids of the lines in a file, or what is wrong with them."""
    path = folder / "in.jsonl"
    path.write_bytes(b"\n".join(lines))
    found = lines_of(open_source(str(path)))
    return [each.line.id if isinstance(each.line, BatchLine) else each.line.message for each in found]


def test_lines_are_judged_one_by_one(tmp_path: Path) -> None:
    """A byte order mark, CRLF and blank lines are no harm; ids are of a safe form and used once."""
    good = b'\xef\xbb\xbf{"id":"a.1","goal":"x"}\r'
    assert judged(tmp_path, good, b"", b'{"id":"b","goal":"x"}') == ["a.1", "b"]
    assert "used before" in judged(tmp_path, good, good.removeprefix(b"\xef\xbb\xbf"))[1]
    for id in ("", "-a", "a b", "a/b", "a\n", "é", "x" * 129):
        assert "$.id" in judged(tmp_path, json.dumps({"id": id, "goal": "x"}).encode())[0]


@pytest.mark.parametrize(
    "line", [b"[]", b'{"id":"a"}', b'{"goal":"x"}', b'{"id":"a","goal":"x","jobs":3}', b"\xff", b"[" * 200]
)
def test_a_line_that_is_none(tmp_path: Path, line: bytes) -> None:
    """What is no line of a batch is told and never raises; the next line is judged all the same."""
    assert judged(tmp_path, line, b'{"id":"z","goal":"x"}')[1] == "z"


def test_a_line_without_an_end(tmp_path: Path) -> None:
    """A line beyond the cap ends the reading; it is not collected in memory for ever."""
    path = tmp_path / "long"
    path.write_bytes(b"x" * 5_000_000)
    with pytest.raises(KataError, match="longer than"):
        lines_of(open_source(str(path)))


def test_a_file_can_be_read_twice_and_a_pipe_cannot(tmp_path: Path) -> None:
    """A file is checked before its lines are run; of a pipe nobody knows what is still to come."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"id":"a","goal":"x"}\n')
    source = open_source(str(path))
    assert source.start == 0
    assert len(lines_of(source)) == len(lines_of(source)) == 1
    read_end, write_end = os.pipe()
    os.write(write_end, b'{"id":"a","goal":"x"}')
    os.close(write_end)
    assert len(lines_of(Source(read_end, "pipe", None))) == 1
    os.close(read_end)


def test_a_line_of_progress() -> None:
    """How many of how many, the rate of what was really run, and the time left where it can be known."""
    progress = Progress(
        ended=38,
        failed=3,
        running=8,
        passed_on=18,
        total=100,
        elapsed_s=10.0,
        usage=Usage(input=23_000, cost_usd=0.21),
    )
    told = "38 of 100 lines · 3 failed · 8 running · 2.0/s · 31 s left · 23k tokens · $0.21"
    assert progress_line(progress) == told
    slow = Progress(ended=2, failed=0, running=0, passed_on=0, total=None, elapsed_s=60.0, usage=Usage())
    assert progress_line(slow) == "2 lines · 2.0/min"
