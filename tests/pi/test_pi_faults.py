"""Pi as a provider, over a fake that misbehaves: one clean failure each, and nothing left."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from fake_pi.fakes import REQUEST, FakePi
from kata_cli.core.events import ContentDelta
from kata_cli.core.ports import Timeouts
from servers.adapters import failure, finish, listen

VERSIONS = pytest.mark.parametrize("version", ["0.74.2", "0.87.1"])


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("exit-0", "agent_unavailable", "Pi ended with status 0"),
        ("exit-1", "agent_unavailable", "Pi ended with status 1"),
        (
            "crash",
            "provider_unavailable",
            "status 3 before it had answered: a trace Error: the fake",
        ),
        ("segv", "provider_unavailable", "SIGSEGV"),
        ("exit-mid", "provider_unavailable", "Pi ended with status 0"),
        ("grandchild", "provider_unavailable", "Pi ended with status 0"),
        ("long-line", "provider_unavailable", "a line is longer than 16777216 bytes"),
        ("no-version", "agent_unavailable", "--version ended with 1: no version here"),
    ],
    ids=["f57", "f58", "f59", "f60", "f61", "f71", "f67", "no-version"],
)
def test_a_broken_pi_is_one_clean_failure(tmp_path: Path, fault: str, code: str, words: str) -> None:
    """Whatever ends the process, there is one failure that says how, and nothing left (P2, P7, F57-F61)."""
    (events,) = FakePi(tmp_path, fault=fault).answers()
    last = failure(events).failure
    assert last.code == code
    assert words in last.message


def test_f61_text_of_a_run_that_broke_off_is_kept(tmp_path: Path) -> None:
    """Exit code 0 in mid-prompt is no success; what had come is shown and goes with the failure."""
    (events,) = FakePi(tmp_path, runs=[[{"text": "half an answer", "dies": True}]]).answers()
    assert failure(events).seen == "half an answer"


def test_f63_a_pi_that_is_never_ready(tmp_path: Path) -> None:
    """Readiness is the first answer; without one in time the process is stopped, and not started again."""
    fake = FakePi(tmp_path, fault="not-ready")
    (events,) = fake.answers(start_s=0.3)
    last = failure(events).failure
    assert (last.code, last.message) == ("agent_unavailable", "Pi was not ready within 0.3 s")
    assert len(fake.logged("pid")) == 1


def test_f64_a_silent_pi_must_answer_a_ping(tmp_path: Path) -> None:
    """One that is silent is asked whether it lives, long before the idle limit."""
    fake = FakePi(tmp_path, fault="unresponsive")
    (events,) = fake.answers(ping_after_s=0.05, ping_s=0.1)
    last = failure(events).failure
    assert (last.code, last.message) == ("timeout", "Pi did not answer get_state within 0.1 s")


@pytest.mark.parametrize(("limit", "word"), [("idle_s", "idle"), ("request_s", "request")])
def test_f64_answers_to_pings_are_no_progress(tmp_path: Path, limit: str, word: str) -> None:
    """A run that stands still is ended by the idle limit, or by the deadline, whichever comes first."""
    fake = FakePi(tmp_path, fault="hang")
    (events,) = fake.answers(timeouts=Timeouts(**{limit: 0.3}), ping_after_s=0.05)
    last = failure(events).failure
    assert last.code == "timeout"
    assert f"({word})" in last.message
    assert fake.commands().count("get_state") > 2


def test_a_new_session_that_is_refused_is_an_error_of_the_next_request(tmp_path: Path) -> None:
    """What failed in the background is told to whoever asks next, and nothing is asked in an old session."""
    fake = FakePi(tmp_path, fault="no-new-session")
    first, second = fake.answers(REQUEST, REQUEST)
    assert finish(first).reply.text == "Hello from the fake."
    assert "Pi refused new_session: not now" in failure(second).failure.message
    assert fake.commands().count("prompt") == 1


@pytest.mark.parametrize("fault", ["garbage", "wrong-ids", "dialog"], ids=["f68", "f69", "f70"])
@VERSIONS
def test_oddities_do_not_stop_a_run(tmp_path: Path, version: str, fault: str) -> None:
    """Garbage, wrong ids and dialogs are dealt with, and what could not be read is kept as a warning."""
    fake = FakePi(tmp_path, version=version, fault=fault)

    async def main() -> list[str]:
        provider = fake.provider()
        assert finish(await listen(provider, REQUEST)).reply.text == "Hello from the fake."
        await provider.aclose()
        return provider.warnings

    warnings = asyncio.run(main())
    assert bool(warnings) is (fault != "dialog")


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes below /proc")
def test_a_process_that_left_its_group_is_found(tmp_path: Path) -> None:
    """What a tool has started in a session of its own ends with the agent that may start programs (P7)."""
    fake = FakePi(tmp_path, fault="stray")
    (events,) = fake.answers(tools=("read", "bash"))
    assert finish(events).reply.text == "Hello from the fake."
    assert len(fake.logged("grandchild")) == 1


def test_cancellation_leaves_nothing(tmp_path: Path) -> None:
    """A task that is cancelled while its agent is at work takes the agent with it."""
    fake = FakePi(tmp_path, runs=[[{"thinking": "Hm.", "hangs": True}]])

    async def main() -> None:
        provider = fake.provider()
        is_at_work = asyncio.Event()

        async def consume() -> None:
            async with aclosing(provider.stream(REQUEST)) as events:
                async for _ in events:
                    is_at_work.set()

        task = asyncio.create_task(consume())
        await is_at_work.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert fake.is_gone()
        await provider.aclose()

    asyncio.run(main())


def test_an_iterator_closed_early_makes_room_for_the_next(tmp_path: Path) -> None:
    """The agent of a run that nobody reads to its end is stopped, and its place is free."""
    fake = FakePi(tmp_path, runs=[[{"thinking": "Hm.", "hangs": True}]])

    async def main() -> None:
        provider = fake.provider(max_instances=1)
        for _ in range(2):
            async with aclosing(provider.stream(REQUEST)) as events:
                assert isinstance(await anext(events), ContentDelta)
        assert fake.is_gone()
        await provider.aclose()

    asyncio.run(main())
    assert len(fake.logged("pid")) == 2
