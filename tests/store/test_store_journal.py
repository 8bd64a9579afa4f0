"""The journal survives torn tails, failing calls and killed writers."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from faulty_fs import ERRNOS, FaultyFs, torture
from made_events import RUN_ID, finished, lines, recorded

from kata_cli.core.errors import KataError
from kata_cli.store.journal import Journal, read_journal

ENTRIES = recorded(finished())
LINES = lines(ENTRIES)

WRITER = """
import sys
from pathlib import Path
from kata_cli.core.events import Recorded, TaskStarted
from kata_cli.store.journal import Journal
path, first = Path(sys.argv[1]), int(sys.argv[2])
journal = Journal.open(path)
for seq in range(first, first + 100_000):
    entry = Recorded(seq, "2026-11-21T05:44:12.345Z", sys.argv[3], TaskStarted(task="t" * 200))
    journal.append([entry.line()])
    sys.stdout.write(f"{seq}\\n")
    sys.stdout.flush()
"""


def _journal(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    """Batches come back as one sequence, in a private file."""
    path = tmp_path / "events.jsonl"
    journal = Journal.create(path)
    journal.append(LINES[:4])
    journal.append([])
    journal.append(LINES[4:])
    journal.close()
    text = read_journal(path)
    assert text.recorded == ENTRIES
    assert text.warnings == []
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_batch_is_one_write_and_one_sync(tmp_path: Path) -> None:
    """Group commit: the number of events in a batch costs no more calls, and a sync only where asked."""
    fs = FaultyFs()
    journal = Journal.create(tmp_path / "events.jsonl", fs)
    fs.calls.clear()
    journal.append(LINES)
    journal.append(LINES, is_durable=False)
    journal.close()
    assert fs.calls == ["write", "fdatasync", "write"]


def test_create_is_exclusive(tmp_path: Path) -> None:
    """A journal is never begun twice."""
    Journal.create(tmp_path / "events.jsonl").close()
    with pytest.raises(KataError, match="File exists"):
        Journal.create(tmp_path / "events.jsonl")


def test_t2_f12_every_truncation_opens_and_loses_at_most_one_record(tmp_path: Path) -> None:
    """Cut at each byte of the last records: the whole ones are read, and appending goes on behind them."""
    whole = b"".join(LINES)
    for cut in range(len(b"".join(LINES[:-3])), len(whole) + 1):
        path = _journal(tmp_path / "events.jsonl", whole[:cut])
        kept = whole[:cut].count(b"\n")
        is_torn = not whole[:cut].endswith(b"\n")
        text = read_journal(path)
        assert text.recorded == ENTRIES[:kept]
        assert len(text.warnings) == is_torn
        journal = Journal.open(path)
        journal.append(LINES[kept:])
        journal.close()
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "tail", [b"\0" * 4096, LINES[3][:20] + b"\0" * 100, b"\0\0" + LINES[3][2:], b"\0\n\0\n"]
)
def test_f13_a_tail_of_nul_blocks_is_cut(tmp_path: Path, tail: bytes) -> None:
    """Blocks that a power loss left empty are dropped with the record they tore."""
    path = _journal(tmp_path / "events.jsonl", b"".join(LINES[:3]) + tail)
    assert read_journal(path).recorded == ENTRIES[:3]
    journal = Journal.open(path)
    journal.append([LINES[3]])
    journal.close()
    assert read_journal(path).recorded == ENTRIES[:4]


def test_f14_a_repeated_number_is_dropped(tmp_path: Path) -> None:
    """The first record of a number counts."""
    path = _journal(tmp_path / "events.jsonl", b"".join([*LINES[:2], LINES[1], *LINES[2:]]))
    text = read_journal(path)
    assert text.recorded == ENTRIES
    assert text.warnings == ["1 event(s) with a number already taken dropped"]


def test_t5_the_golden_journal_of_version_1_is_read_whole() -> None:
    """A journal that an earlier kata wrote means the same today; a change here breaks every stored run."""
    golden = Path(__file__).parent / "journal_v1.jsonl"
    text = read_journal(golden)
    assert (text.recorded, text.warnings) == (ENTRIES, [])
    assert golden.read_bytes() == b"".join(LINES)


def test_unknown_types_are_counted_and_skipped(tmp_path: Path) -> None:
    """A reader ignores events of a later minor version."""
    new = LINES[1].replace(b'"context.gathered"', b'"context.pondered"')
    text = read_journal(_journal(tmp_path / "events.jsonl", LINES[0] + new + LINES[2]))
    assert text.recorded == [ENTRIES[0], ENTRIES[2]]
    assert text.warnings == ["1 event(s) of a type unknown to this version skipped"]


def test_t5_a_newer_version_is_refused_with_the_way_on(tmp_path: Path) -> None:
    """Exit 11, and the hint says to upgrade."""
    path = _journal(tmp_path / "events.jsonl", LINES[0] + LINES[1].replace(b'"v":1', b'"v":2'))
    with pytest.raises(KataError, match="event version 2 is newer") as caught:
        read_journal(path)
    assert caught.value.failure.exit == 11
    assert "upgrade" in caught.value.failure.hint


@pytest.mark.parametrize("garbage", [b"garbage\n", b'{"v":1}\n', b"\xff\xfe\n", b"[" * 5000 + b"\n", b"\n"])
def test_garbage_in_the_middle_stops_reading_and_is_never_overwritten(tmp_path: Path, garbage: bytes) -> None:
    """Nothing is appended to a damaged journal, so the evidence stays."""
    path = _journal(tmp_path / "events.jsonl", b"".join(LINES[:2]) + garbage + b"".join(LINES[2:]))
    before = path.read_bytes()
    text = read_journal(path)
    assert text.recorded == ENTRIES[:2]
    assert text.is_damaged
    assert text.warnings == ["line 3 of the journal is no event; what follows it is left out"]
    with pytest.raises(KataError, match="line 3 of the journal"):
        Journal.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("fault", ERRNOS)
def test_f01_to_f08_each_failing_call_of_append_and_open(tmp_path: Path, fault: str, short: bool) -> None:
    """What was acknowledged stays; after a refusal the journal is closed and can be opened again."""
    path = tmp_path / "events.jsonl"
    _journal(path, LINES[0] + b"torn")
    acknowledged = [1]

    def work(fs: FaultyFs) -> None:
        journal = Journal.open(path, fs)
        for number in range(1, 4):
            try:
                journal.append([LINES[number]])
            except KataError:
                with pytest.raises(KataError, match="it is closed"):
                    journal.append([LINES[number]])
                raise
            acknowledged[0] = number + 1
        journal.close()

    def check(error: KataError | None) -> None:
        if error:
            assert str(error).endswith(os.strerror(ERRNOS[fault]))
        read = read_journal(path).recorded
        assert read == ENTRIES[: len(read)]
        assert acknowledged[0] <= len(read) <= acknowledged[0] + 1
        _journal(path, LINES[0] + b"torn")
        acknowledged[0] = 1

    assert torture(work, check, ERRNOS[fault], short=short) >= 8


@pytest.mark.parametrize("fail_at", [1, 2, 3, 4])
def test_f10_a_failing_create_is_an_io_error(tmp_path: Path, fail_at: int) -> None:
    """The name of the journal is durable, or the run does not start."""
    with pytest.raises(KataError, match="cannot create"):
        Journal.create(tmp_path / "events.jsonl", FaultyFs(fail_at, errno.EIO))


def test_f15_a_journal_deleted_under_us_is_refused(tmp_path: Path) -> None:
    """Events do not vanish into a file without a name."""
    journal = Journal.create(tmp_path / "events.jsonl")
    (tmp_path / "events.jsonl").unlink()
    with pytest.raises(KataError, match="it was deleted while in use"):
        journal.append([LINES[0]])


def test_f17_a_symlinked_journal_is_not_opened(tmp_path: Path) -> None:
    """Appending follows no link."""
    _journal(tmp_path / "real", LINES[0])
    (tmp_path / "events.jsonl").symlink_to(tmp_path / "real")
    with pytest.raises(KataError, match="cannot read"):
        Journal.open(tmp_path / "events.jsonl")


def test_reading_a_missing_journal_is_an_io_error(tmp_path: Path) -> None:
    """One line, with the path."""
    with pytest.raises(KataError, match=r"cannot read .*events\.jsonl: No such file"):
        read_journal(tmp_path / "events.jsonl")


def _kill_a_writer(path: Path, first: int, rng: random.Random) -> int:
    """Start a writer, kill it after some acknowledged records; the last number it acknowledged."""
    command = [sys.executable, "-c", WRITER, str(path), str(first), RUN_ID]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        for _ in range(rng.randrange(1, 30)):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().splitlines(keepends=True)
    whole = [line for line in rest if line.endswith(b"\n")]
    return int(whole[-1]) if whole else first - 1


@pytest.mark.parametrize("kills", [30, pytest.param(120, marks=pytest.mark.slow)])
def test_f11_sigkill_loses_nothing_that_was_acknowledged(tmp_path: Path, kills: int) -> None:
    """Whenever a writer dies, all its acknowledged records are read back, dense and in order."""
    path, rng = tmp_path / "events.jsonl", random.Random(kills)
    Journal.create(path).close()
    for _ in range(kills):
        first = len(read_journal(path).recorded)
        acknowledged = _kill_a_writer(path, first, rng)
        numbers = [entry.seq for entry in read_journal(path).recorded]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) > acknowledged
