"""Live conversations with the same real Pi: what the vendor is sent, and what becomes of the process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from kata_cli.core.events import ContentDelta, Event, ToolFinished
from kata_cli.core.messages import Message, ModelRef, Request
from kata_cli.core.ports import Timeouts
from kata_cli.pi.options import LiveOptions
from kata_cli.providers.pi_live import LivePiProvider
from pi_real.asking import answered, are_gone, asking_process, children, options, until
from pi_real.installed import TIMEOUT_S, Open, Place, read_notes_then_answer
from pi_real.test_pi_real_provider import LINUX
from servers.adapters import listen, text_of
from servers.vendor import Behaviour, Reply, Seen

ONE = Message("user", "First question")
TWO = Message("user", "Second question")


@asynccontextmanager
async def living(place: Place, **changes: Any) -> AsyncIterator[LivePiProvider]:
    """A live provider whose agents work in the project; at the end nothing of it is left."""
    live = LiveOptions(directory_of=lambda task: place.project, max_instances=changes.pop("max_instances", 2))
    chosen = options(place.pi, place.agent_dir, place.project, place.env, **changes)
    provider = LivePiProvider(chosen, Timeouts(), live)
    try:
        yield provider
    finally:
        await provider.aclose()
    assert children(os.getpid()) == []


def talk(*messages: Message, model: str = "served-1", **changes: Any) -> Request:
    """The request of a conversation."""
    asked = ModelRef("vendor", model)
    return Request(task="s-1", model=asked, messages=messages, system="Be brief.", **changes)


async def say(provider: LivePiProvider, request: Request) -> Message:
    """The answer to a request, as the next one has it."""
    return Message("assistant", answered(await listen(provider, request)).reply.text)


def turns(seen: Seen) -> list[tuple[str, str]]:
    """What the vendor was sent but the system prompt: roles and texts."""
    messages = seen.body["messages"]
    return [(each["role"], _plain(each)) for each in messages if each["role"] in ("user", "assistant")]


def _plain(message: dict[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


async def begun(provider: LivePiProvider, request: Request) -> AsyncGenerator[Event, None]:
    """A run of which the first text has come."""
    events = provider.stream(request)
    async for event in events:
        if isinstance(event, ContentDelta) and event.text:
            return events
    raise AssertionError("the run ended without text")


def test_two_messages_are_one_growing_conversation(opened: Open) -> None:
    """The vendor sees the first question, its answer and the second question; the process is the same."""
    place = opened([Reply(text="First answer"), Reply(text="Second answer")])

    async def main() -> None:
        async with living(place) as provider:
            answer = await say(provider, talk(ONE))
            (pid,) = children(os.getpid())
            events = await listen(provider, talk(ONE, answer, TWO))
            assert text_of(events) == answered(events).reply.text == "Second answer"
            assert children(os.getpid()) == [pid]

    asyncio.run(main())
    first, second = map(turns, place.server.requests)
    assert first == [("user", "Be brief.\n\nFirst question")]
    assert second == [*first, ("assistant", "First answer"), ("user", "Second question")]


def test_two_conversations_share_no_memory(opened: Open) -> None:
    """Each has a process and a session of its own, and neither writes into the project."""
    place = opened([Reply(text="an answer")])

    async def main() -> None:
        async with living(place) as provider:
            for task in ("s-1", "s-2"):
                await say(provider, Request(task=task, model=ModelRef("vendor", "served-1"), messages=(ONE,)))
            assert len(children(os.getpid())) == 2

    asyncio.run(main())
    assert [turns(seen) for seen in place.server.requests] == [[("user", "First question")]] * 2
    assert [path.name for path in place.project.iterdir()] == ["notes.txt"]


def test_a_new_provider_puts_the_history_in_front(opened: Open) -> None:
    """After a restart the vendor gets one message that tells what was said, and ends with what is new."""
    place = opened([Reply(text="First answer"), Reply(text="Second answer")])

    async def main() -> None:
        async with living(place) as provider:
            answer = await say(provider, talk(ONE))
        async with living(place) as provider:
            await say(provider, talk(ONE, answer, TWO))

    asyncio.run(main())
    ((role, text),) = turns(place.server.requests[1])
    assert role == "user"
    assert text.startswith("Be brief.\n\n")
    assert '<earlier role="user">\nFirst question\n</earlier>' in text
    assert '<earlier role="assistant">\nFirst answer\n</earlier>' in text
    assert text.endswith("\n\nSecond question")


def test_a_changed_history_is_a_new_session_in_the_same_process(opened: Open) -> None:
    """Nothing of a branch that was left reaches the model."""
    place = opened([Reply(text="First answer"), Reply(text="Second answer")])

    async def main() -> None:
        async with living(place) as provider:
            await say(provider, talk(ONE))
            (pid,) = children(os.getpid())
            await say(provider, talk(Message("user", "Edited question")))
            assert children(os.getpid()) == [pid]

    asyncio.run(main())
    assert turns(place.server.requests[1]) == [("user", "Be brief.\n\nEdited question")]


def test_model_and_level_change_in_mid_session(opened: Open) -> None:
    """The vendor is asked for the other model with the whole conversation, and thinks as told."""
    place = opened([Reply(text="First answer"), Reply(text="Second answer")])

    async def main() -> None:
        async with living(place) as provider:
            answer = await say(provider, talk(ONE))
            events = await listen(provider, talk(ONE, answer, TWO, model="thinker-1", thinking="high"))
            assert answered(events).reply.thinking == "high"

    asyncio.run(main())
    first, second = place.server.requests
    assert (first.body["model"], second.body["model"]) == ("served-1", "thinker-1")
    assert second.body["reasoning_effort"] == "high"
    assert [role for role, _ in turns(second)] == ["user", "assistant", "user"]


def test_breaking_off_keeps_the_process(opened: Open) -> None:
    """The next message goes to the same process, whose session still holds the first question."""

    def stall_once(seen: Seen) -> Behaviour:
        is_first = len(turns(seen)) == 1
        return Reply(text="A long answer.", cut_at=600, is_stalled=True) if is_first else Reply(text="Well.")

    place = opened(stall_once)

    async def main() -> None:
        async with living(place) as provider:
            async with aclosing(await begun(provider, talk(ONE))):
                (pid,) = children(os.getpid())
            assert (await say(provider, talk(ONE, TWO))).text == "Well."
            assert children(os.getpid()) == [pid]

    asyncio.run(main())
    assert turns(place.server.requests[1]) == [
        ("user", "Be brief.\n\nFirst question"),
        ("user", "Second question"),
    ]


def test_a_message_in_mid_run_reaches_the_model(opened: Open) -> None:
    """It is read after the tools of the step, and belongs to the conversation afterwards."""
    has_asked, may_answer = threading.Event(), threading.Event()

    def script(seen: Seen) -> Behaviour:
        if len(place.server.requests) > 1:
            return Reply(text=f"Answer {len(place.server.requests)}")
        has_asked.set()
        assert may_answer.wait(TIMEOUT_S)
        return read_notes_then_answer(seen)

    place = opened(script)
    steered = Message("user", "Make it blue")

    async def main() -> None:
        async with living(place) as provider:
            listening = asyncio.create_task(listen(provider, talk(ONE)))
            await until(has_asked.is_set)
            assert await provider.steer("s-1", steered.text)
            may_answer.set()
            events = await listening
            outputs = [event.output for event in events if isinstance(event, ToolFinished)]
            assert [output.strip() for output in outputs] == ["the answer is 42"]
            answer = Message("assistant", answered(events).reply.text)
            assert answer.text == "Answer 2"
            assert not await provider.steer("s-1", "too late")
            await say(provider, talk(ONE, steered, answer, TWO))

    asyncio.run(main())
    _, second, third = map(turns, place.server.requests)
    assert second[-1] == ("user", "Make it blue")
    assert third[-2:] == [("assistant", "Answer 2"), ("user", "Second question")]
    assert [text for role, text in third if role == "user"].count("Make it blue") == 1


@LINUX
def test_a_process_that_was_killed_at_rest_is_replaced(opened: Open) -> None:
    """The next message is answered by another process, which was told what was said."""
    place = opened([Reply(text="First answer"), Reply(text="Second answer")])

    async def main() -> None:
        async with living(place) as provider:
            answer = await say(provider, talk(ONE))
            (pid,) = children(os.getpid())
            os.kill(pid, signal.SIGKILL)
            assert (await say(provider, talk(ONE, answer, TWO))).text == "Second answer"

    asyncio.run(main())
    assert "First answer" in turns(place.server.requests[1])[0][1]


@LINUX
def test_f80_no_agent_at_rest_outlives_a_service_that_is_killed(opened: Open) -> None:
    """SIGKILL of the parent between two messages of a conversation: no Pi is left after 500 ms."""
    place = opened([Reply(text="an answer")])
    with subprocess.Popen(**asking_process(place, "read", "live"), stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"at rest\n"
        pidfds = [os.pidfd_open(pid) for pid in children(parent.pid)]
        parent.send_signal(signal.SIGKILL)
    assert len(pidfds) == 1
    assert are_gone(pidfds)


@pytest.mark.slow
def test_sixteen_conversations_live_at_once(opened: Open) -> None:
    """Sixteen processes come up and stay up; each answers its second message in its own session."""

    def script(seen: Seen) -> Behaviour:
        return Reply(text=f"Answer to: {turns(seen)[-1][1]}")

    async def converse(provider: LivePiProvider, task: str) -> list[str]:
        model = ModelRef("vendor", "served-1")
        first = Message("user", f"I am {task}")
        answer = await say(provider, Request(task=task, model=model, messages=(first,)))
        last = await say(provider, Request(task=task, model=model, messages=(first, answer, TWO)))
        return [answer.text, last.text]

    place = opened(script)
    tasks = [f"s-{number}" for number in range(16)]

    async def main() -> None:
        async with living(place, max_instances=16) as provider:
            found = await asyncio.gather(*(converse(provider, task) for task in tasks))
            assert found == [[f"Answer to: I am {task}", "Answer to: Second question"] for task in tasks]
            assert len(children(os.getpid())) == 16

    asyncio.run(main())
    assert len(place.server.requests) == 32
