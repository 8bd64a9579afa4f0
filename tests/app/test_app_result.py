"""The result on its way out: streamed text equals the whole, `-o` protects what it would replace."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.app.result import OutputFile, TextStream, body_of
from kata_cli.core.errors import KataError
from kata_cli.core.events import Recorded, TaskFinished
from kata_cli.workflows.model import Result

texts = st.text(st.sampled_from("ab \n\t\r\x1b\x9b\u202eé"), max_size=60)


@settings(max_examples=300, deadline=None)
@given(texts, st.lists(st.integers(0, 60), max_size=6))
def test_a_streamed_answer_is_the_same_text_as_a_whole_one(text: str, cuts: list[int]) -> None:
    """Cut into any deltas, the stream shows exactly what the result document holds."""
    stream = TextStream()
    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    shown = "".join(stream.feed(text[a:b]) for a, b in pairwise(bounds)) + stream.finish()
    end = TaskFinished(task="t", status="completed", output=text)
    body = body_of(Result(task="t"), [Recorded(0, "", "", end)])
    assert body is not None
    assert shown == (body.text if body.text.strip() else "")


def test_a_task_that_failed_leaves_no_result() -> None:
    """Only a completed result task has a text to bring out."""
    end = TaskFinished(task="t", status="failed", output="half")
    assert body_of(Result(task="t"), [Recorded(0, "", "", end)]) is None


def output(tmp_path: Path, name: str = "out.md") -> OutputFile:
    return OutputFile(tmp_path / name, tmp_path / "ledger")


def test_what_kata_wrote_may_be_replaced_and_what_was_edited_may_not(tmp_path: Path) -> None:
    """The ledger tells a draft of kata's own from one that somebody changed."""
    first = output(tmp_path)
    first.check(is_forced=False)
    first.write("one\n")
    output(tmp_path).check(is_forced=False)
    (tmp_path / "out.md").write_text("one\nmy own line\n")
    with pytest.raises(KataError, match="edited since") as caught:
        output(tmp_path).check(is_forced=False)
    assert caught.value.failure.code == "usage"
    assert "--force" in caught.value.failure.hint
    output(tmp_path).check(is_forced=True)


def test_a_file_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    """A file that kata never wrote is as precious; an empty one is not."""
    (tmp_path / "out.md").write_text("a diary")
    with pytest.raises(KataError, match="did not write"):
        output(tmp_path).check(is_forced=False)
    (tmp_path / "out.md").write_text("")
    output(tmp_path).check(is_forced=False)


@pytest.mark.parametrize(("name", "told"), [("none/out.md", "no directory"), ("sub", "is a directory")])
def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(
    tmp_path: Path, name: str, told: str
) -> None:
    """Exit 11 with the reason, before the first request."""
    (tmp_path / "sub").mkdir()
    with pytest.raises(KataError, match=told) as caught:
        output(tmp_path, name).check(is_forced=True)
    assert caught.value.failure.code == "io"


def test_f2_a_link_is_replaced_and_its_target_untouched(tmp_path: Path) -> None:
    """A planted link does not make kata write somewhere else."""
    (tmp_path / "target").write_text("safe")
    (tmp_path / "out.md").symlink_to(tmp_path / "target")
    output(tmp_path).write("draft\n")
    assert (tmp_path / "target").read_text() == "safe"
    assert not (tmp_path / "out.md").is_symlink()


def test_a_device_is_written_to_and_never_replaced() -> None:
    """`-o /dev/null` leaves the device what it is."""
    null = OutputFile(Path("/dev/null"), Path("/nonexistent"))
    null.check(is_forced=False)
    null.write("text")
    assert os.stat("/dev/null").st_rdev != 0
