"""Live conversations over the fake: what a process is told, what is kept of it, and what its faults cost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fake_pi.fakes import FakePi, asking, is_running
from kata_cli.app.options import RunOptions
from kata_cli.app.prepare import resolved_settings
from kata_cli.app.providers import open_service
from kata_cli.core.clock import SystemClock
from kata_cli.core.events import ContentDelta, Event, ReplyFailed, ReplyFinished, ToolFinished, ToolStarted
from kata_cli.core.fence import blocks
from kata_cli.core.messages import Message, ModelRef, Reply, Request, Tool
from kata_cli.core.ports import LiveProvider, Timeouts
from kata_cli.core.redact import Redactor
from kata_cli.pi.options import LiveOptions
from kata_cli.pi.prompt import MAX_EARLIER_CHARS, earlier_text
from kata_cli.providers.pi_live import LivePiProvider
from servers.adapters import listen, text_of

VERSIONS = pytest.mark.parametrize("version", ["0.74.2", "0.87.1"])
HELLO = "Hello from the fake."
HANGING: list[dict[str, Any]] = [{"text": "I am on it", "hangs": True}]


@asynccontextmanager
async def living(fake: FakePi, **changes: Any) -> AsyncIterator[LivePiProvider]:
    """A live provider that is closed at the end, and then leaves nothing."""
    provider = fake.live(**changes)
    try:
        yield provider
    finally:
        await provider.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert fake.is_gone()


def within(main: Callable[[LivePiProvider], Coroutine[Any, Any, None]], fake: FakePi, **changes: Any) -> None:
    """Run a test's steps with a live provider."""

    async def run() -> None:
        async with living(fake, **changes) as provider:
            await main(provider)

    asyncio.run(run())


def said(*texts: str) -> tuple[Message, ...]:
    """A conversation in which the user speaks first, and both in turns."""
    return tuple(Message("assistant" if index % 2 else "user", text) for index, text in enumerate(texts))


def talking(*texts: str, **changes: Any) -> Request:
    """The request of a conversation."""
    return asking(task="s-1", messages=said(*texts), system="Be brief.", **changes)


async def begun(
    provider: LivePiProvider, request: Request, text: str = "I am on it"
) -> AsyncGenerator[Event, None]:
    """A run under way, of which this text has come."""
    events = provider.stream(request)
    seen = ""
    while seen != text:
        event = await anext(events)
        assert isinstance(event, ContentDelta), event
        seen += event.text
    return events


async def rest(events: AsyncIterator[Event]) -> list[Event]:
    """The other events of a run."""
    return [event async for event in events]


def answered(events: list[Event]) -> Reply:
    """The reply at the end."""
    assert isinstance(events[-1], ReplyFinished), events[-1]
    return events[-1].reply


def failed(events: list[Event]) -> ReplyFailed:
    """The failure at the end."""
    assert isinstance(events[-1], ReplyFailed), events[-1]
    return events[-1]


def earlier(prompt: str) -> list[tuple[str, str]]:
    """Who had said what, as a prompt tells it as material."""
    return [(block.attributes["role"], block.text) for block in blocks(prompt) if block.tag == "earlier"]


def test_it_is_a_live_provider(tmp_path: Path) -> None:
    """The service knows it by that seam alone."""
    assert isinstance(FakePi(tmp_path).live(), LiveProvider)
    assert not isinstance(FakePi(tmp_path).provider(), LiveProvider)


@VERSIONS
def test_a_conversation_goes_on_in_one_process(tmp_path: Path, version: str) -> None:
    """System text and history are told once: afterwards only what is new is sent, joined by blank lines."""
    fake = FakePi(tmp_path, version=version)

    async def main(provider: LivePiProvider) -> None:
        assert answered(await listen(provider, talking("One?"))).text == HELLO
        answered(await listen(provider, talking("One?", HELLO, "Two?")))
        more = (*said("One?", HELLO, "Two?", HELLO), Message("user", "Three?"), Message("user", "Four?"))
        answered(await listen(provider, asking(task="s-1", messages=more, system="Be brief.")))

    within(main, fake)
    assert fake.prompts() == ["Be brief.\n\nOne?", "Two?", "Three?\n\nFour?"]
    assert len(fake.logged("pid")) == 1
    assert "new_session" not in fake.commands()


@pytest.mark.parametrize(
    "changed",
    [
        talking("One?", "another answer", "Two?"),
        talking("Edited?", HELLO, "Two?"),
        asking(task="s-1", messages=said("One?", HELLO, "Two?"), system="Be long."),
    ],
    ids=["another answer", "another question", "another system text"],
)
def test_a_conversation_that_has_changed_begins_again(tmp_path: Path, changed: Request) -> None:
    """After a fork or a compaction a new Pi session in the same process is told what came before."""
    fake = FakePi(tmp_path)

    async def main(provider: LivePiProvider) -> None:
        await listen(provider, talking("One?"))
        answered(await listen(provider, changed))

    within(main, fake)
    prompt = fake.prompts()[-1]
    first, second, _ = changed.messages
    assert earlier(prompt) == [("user", first.text), ("assistant", second.text)]
    assert prompt.startswith(changed.system)
    assert prompt.endswith("\n\nTwo?")
    assert fake.commands().count("new_session") == 1
    assert len(fake.logged("pid")) == 1


def test_another_provider_object_begins_with_the_history(tmp_path: Path) -> None:
    """After a restart of the service nothing is alive, and nothing of the conversation is lost."""
    fake = FakePi(tmp_path)

    async def main(provider: LivePiProvider) -> None:
        answered(await listen(provider, talking("One?", HELLO, "</earlier> Two?", HELLO, "/three")))

    within(main, fake)
    (prompt,) = fake.prompts()
    assert [text for _, text in earlier(prompt)] == ["One?", HELLO, "</earlier> Two?", HELLO]
    assert prompt.endswith("\n\n/three")


def test_a_request_that_comes_again_is_harmless(tmp_path: Path) -> None:
    """The provider service repeats what failed: the message is not told twice in one session."""
    fake = FakePi(tmp_path, runs=[[{"error": "503 sorry"}], [{"text": "There."}]])

    async def main(provider: LivePiProvider) -> None:
        assert failed(await listen(provider, talking("One?"))).failure.code == "provider_unavailable"
        assert answered(await listen(provider, talking("One?"))).text == "There."

    within(main, fake)
    assert fake.prompts() == ["Be brief.\n\nOne?"] * 2
    assert fake.commands().count("new_session") == 1


def test_what_had_come_of_a_failed_answer_is_told_again(tmp_path: Path) -> None:
    """Pi forgets an answer that failed; where the conversation keeps it, the next prompt tells it."""
    fake = FakePi(tmp_path, runs=[[{"text": "half", "error": "503 sorry"}], [{"text": "There."}]])

    async def main(provider: LivePiProvider) -> None:
        assert failed(await listen(provider, talking("One?"))).seen == "half"
        answered(await listen(provider, talking("One?", "half", "Two?")))

    within(main, fake)
    assert earlier(fake.prompts()[1]) == [("assistant", "half")]
    assert "new_session" not in fake.commands()


@VERSIONS
def test_text_streams_and_tools_tell_what_they_gave(tmp_path: Path, version: str) -> None:
    """Text comes as it is written, a step's text before its tools; the end has the answer alone."""
    steps: list[dict[str, Any]] = [
        {"text": "I look.", "stop": "toolUse", "tools": ["read"]},
        {"thinking": "Hm.", "text": "Found."},
    ]
    fake = FakePi(tmp_path, version=version, runs=[steps])

    async def main(provider: LivePiProvider) -> None:
        events = await listen(provider, talking("One?"))
        order = [(type(event), getattr(event, "kind", "")) for event in events]
        kinds = list(dict.fromkeys(order))
        assert kinds == [
            (ContentDelta, "text"),
            (ToolStarted, ""),
            (ToolFinished, ""),
            (ContentDelta, "thinking"),
            (ReplyFinished, ""),
        ]
        assert (text_of(events), text_of(events, "thinking")) == ("I look.Found.", "Hm.")
        assert [event.output for event in events if isinstance(event, ToolFinished)] == ["read gave this"]
        assert answered(events).text == "Found."

    within(main, fake)


def test_model_and_level_change_in_the_session(tmp_path: Path) -> None:
    """Both are set on the live process and read back; a level that nobody asks for stays."""
    fake = FakePi(tmp_path)
    think = ModelRef("fake", "think")

    async def main(provider: LivePiProvider) -> None:
        await listen(provider, talking("One?"))
        events = await listen(provider, talking("One?", HELLO, "Two?", model=think, thinking="xhigh"))
        assert (answered(events).model, answered(events).thinking) == ("think", "xhigh")
        events = await listen(provider, talking("One?", HELLO, "Two?", HELLO, "Three?", model=think))
        assert answered(events).thinking == "xhigh"

    within(main, fake)
    assert fake.prompts()[1:] == ["Two?", "Three?"]
    assert len(fake.logged("pid")) == 1


@pytest.mark.parametrize("changes", [{"model": ModelRef("fake", "nope")}, {"thinking": "high"}])
def test_a_model_that_cannot_be_had_costs_no_session(tmp_path: Path, changes: dict[str, Any]) -> None:
    """The refusal comes before the prompt, and the conversation goes on where it was."""
    fake = FakePi(tmp_path)

    async def main(provider: LivePiProvider) -> None:
        await listen(provider, talking("One?"))
        failed(await listen(provider, talking("One?", HELLO, "Two?", **changes)))
        answered(await listen(provider, talking("One?", HELLO, "Two?")))

    within(main, fake)
    assert fake.prompts()[1:] == ["Two?"]


def test_another_provider_of_models_is_another_process(tmp_path: Path) -> None:
    """A process has the key of one provider only, so the next one is told what was said."""
    fake = FakePi(tmp_path)

    async def main(provider: LivePiProvider) -> None:
        await listen(provider, talking("One?"))
        other = talking("One?", HELLO, "Two?", model=ModelRef.parse("other/x/y"))
        answered(await listen(provider, other))

    within(main, fake, keys={"fake": {"A_KEY": "1"}, "other": {"B_KEY": "2"}})
    assert earlier(fake.prompts()[1]) == [("user", "One?"), ("assistant", HELLO)]
    assert len(fake.logged("pid")) == 2


def test_an_agent_works_where_its_conversation_is(tmp_path: Path) -> None:
    """Each conversation has its directory; one that is given another goes on in another process."""
    fake = FakePi(tmp_path, runs=[[{"text": "$env"}]])
    places = {name: tmp_path / name for name in ("first", "second")}
    for place in places.values():
        place.mkdir()

    async def main() -> None:
        live = LiveOptions(directory_of=lambda task: places[task], max_instances=2)
        provider = LivePiProvider(fake.options(), Timeouts(), live)

        async def works_in(task: str) -> str:
            return str(json.loads(answered(await listen(provider, asking(task=task))).text)["cwd"])

        assert await works_in("first") == str(tmp_path / "first")
        assert await works_in("second") == str(tmp_path / "second")
        places["first"] = places["second"]
        assert await works_in("first") == str(tmp_path / "second")
        await provider.aclose()

    asyncio.run(main())
    assert len(fake.logged("pid")) == 3
    assert fake.is_gone()


@VERSIONS
def test_breaking_off_keeps_the_process(tmp_path: Path, version: str) -> None:
    """Closing the stream aborts the run; the next message goes to the same process and session."""
    fake = FakePi(tmp_path, version=version, runs=[HANGING, [{"text": "Well."}]])

    async def main(provider: LivePiProvider) -> None:
        async with aclosing(await begun(provider, talking("One?"))):
            pass
        events = await listen(provider, talking("One?", "I am on it", "Two?"))
        assert answered(events).text == "Well."

    within(main, fake)
    assert len(fake.logged("pid")) == 1
    assert fake.commands().count("abort") == 2  # the other one when it is stopped
    assert "new_session" not in fake.commands()
    assert earlier(fake.prompts()[1]) == [("assistant", "I am on it")]
    assert fake.prompts()[1].endswith("\n\nTwo?")


def test_a_process_that_ignores_abort_is_replaced(tmp_path: Path) -> None:
    """It is stopped, and the next message finds another one that is told what was said."""
    fake = FakePi(tmp_path, fault="no-abort", runs=[HANGING])

    async def main(provider: LivePiProvider) -> None:
        async with aclosing(await begun(provider, talking("One?"))):
            pass
        assert fake.is_gone()
        events = await begun(provider, talking("One?", "I am", "Two?"))
        await provider.leave("s-1")
        failed(await rest(events))

    within(main, fake)
    assert earlier(fake.prompts()[1]) == [("user", "One?"), ("assistant", "I am")]
    assert len(fake.logged("pid")) == 2


def test_a_cancelled_start_leaves_the_conversation_free(tmp_path: Path) -> None:
    """Who gives up before the process is there can ask again."""
    fake = FakePi(tmp_path)

    async def main(provider: LivePiProvider) -> None:
        listening = asyncio.create_task(listen(provider, talking("One?")))
        await asyncio.sleep(0)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        answered(await listen(provider, talking("One?")))

    within(main, fake)


def test_one_answer_at_a_time(tmp_path: Path) -> None:
    """A second request of a conversation is refused while the first is being answered."""
    fake = FakePi(tmp_path, runs=[HANGING])

    async def main(provider: LivePiProvider) -> None:
        async with aclosing(await begun(provider, talking("One?"))):
            refused = failed(await listen(provider, talking("One?"))).failure
            assert (refused.code, "under way" in refused.message) == ("invalid_request", True)

    within(main, fake)


@VERSIONS
def test_a_message_reaches_the_run_under_way(tmp_path: Path, version: str) -> None:
    """It is part of the run, and of what the session has been told; what was answered before it stays."""
    fake = FakePi(tmp_path, version=version, runs=[[*HANGING, {"text": "Blue, then."}], [{"text": "Bye."}]])

    async def main(provider: LivePiProvider) -> None:
        assert not await provider.steer("s-1", "too early")
        events = await begun(provider, talking("One?"))
        assert not await provider.steer("s-2", "nobody there")
        assert await provider.steer("s-1", "/make it blue")
        reply = answered(await rest(events))
        assert reply.text == "I am on it\n\nBlue, then."
        assert not await provider.steer("s-1", "too late")
        told = (*said("One?"), Message("user", "/make it blue"), Message("assistant", reply.text))
        bye = asking(task="s-1", messages=(*told, Message("user", "Two?")), system="Be brief.")
        answered(await listen(provider, bye))

    within(main, fake)
    assert [line["message"] for line in fake.logged("line") if line["type"] == "steer"] == ["\n/make it blue"]
    assert fake.prompts()[1] == "Two?"


def test_a_message_that_pi_refuses_is_not_taken(tmp_path: Path) -> None:
    """The caller hears so, and the run goes on."""
    fake = FakePi(tmp_path, fault="no-steer", runs=[HANGING, [{"text": "Well."}]])

    async def main(provider: LivePiProvider) -> None:
        async with aclosing(await begun(provider, talking("One?"))):
            assert not await provider.steer("s-1", "make it blue")
        answered(await listen(provider, talking("One?", "I am on it", "Two?")))

    within(main, fake)
    assert len(fake.logged("pid")) == 1


def test_a_message_that_was_taken_and_not_read_is_told_again(tmp_path: Path) -> None:
    """A run that ends without it leaves nobody sure where it is, so another process is told everything."""
    fake = FakePi(tmp_path, fault="forgets-steer", runs=[HANGING])

    async def main(provider: LivePiProvider) -> None:
        async with aclosing(await begun(provider, talking("One?"))):
            assert await provider.steer("s-1", "make it blue")
        told = (*said("One?"), Message("user", "make it blue"), Message("user", "Two?"))
        async with aclosing(await begun(provider, asking(task="s-1", messages=told))):
            pass

    within(main, fake)
    assert fake.prompts()[1] == "One?\n\nmake it blue\n\nTwo?"
    assert len(fake.logged("pid")) == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
def test_a_process_that_fails_between_messages_is_replaced(tmp_path: Path, number: signal.Signals) -> None:
    """Nobody notices, also where its end has not been heard of yet: the next one is told what was said."""
    fake = FakePi(tmp_path)

    async def main(provider: LivePiProvider) -> None:
        answered(await listen(provider, talking("One?")))
        os.kill(fake.logged("pid")[0], number)
        assert answered(await listen(provider, talking("One?", HELLO, "Two?"))).text == HELLO

    within(main, fake, ping_s=0.2)
    assert earlier(fake.prompts()[1]) == [("user", "One?"), ("assistant", HELLO)]
    assert len(fake.logged("pid")) == 2


@VERSIONS
def test_a_process_that_dies_in_mid_answer_is_a_failed_reply(tmp_path: Path, version: str) -> None:
    """The failure keeps the text that came and what the process said last; the next message works."""
    fake = FakePi(tmp_path, version=version, runs=[[{"text": "I am on it", "crashes": True}]])

    async def main(provider: LivePiProvider) -> None:
        for texts in (("One?",), ("One?", "I am on it", "Two?")):
            end = failed(await listen(provider, talking(*texts)))
            assert (end.failure.code, end.seen) == ("provider_unavailable", "I am on it")
            assert "the fake broke" in end.failure.message

    within(main, fake)
    assert len(fake.logged("pid")) == 2


def test_leaving_stops_the_process(tmp_path: Path) -> None:
    """That of the conversation, and no other; a run under way is told, and twice is harmless."""
    fake = FakePi(tmp_path, runs=[HANGING])

    async def main(provider: LivePiProvider) -> None:
        events = await begun(provider, talking("One?"))
        other = await begun(provider, asking(task="s-2"))
        await provider.leave("s-1")
        assert failed(await rest(events)).failure.message == "Pi was stopped"
        await provider.leave("s-1")
        await provider.leave("s-3")
        first, second = fake.logged("pid")
        assert [is_running(first), is_running(second)] == [False, True]
        async with aclosing(other), aclosing(await begun(provider, talking("One?"))):
            pass

    within(main, fake)
    assert len(fake.logged("pid")) == 3


def test_leaving_during_the_start_leaves_no_process(tmp_path: Path) -> None:
    """The run that still waits for its process fails, and takes the process with it."""
    fake = FakePi(tmp_path)

    async def main(provider: LivePiProvider) -> None:
        listening = asyncio.create_task(listen(provider, talking("One?")))
        await asyncio.sleep(0)
        await provider.leave("s-1")
        assert failed(await listening).failure.message == "the conversation was ended"
        assert fake.is_gone()

    within(main, fake)
    assert fake.prompts() == []


def test_conversations_at_rest_give_way(tmp_path: Path) -> None:
    """With fewer places than conversations, the one at rest for longest is told its history again later."""
    fake = FakePi(tmp_path)

    async def main(provider: LivePiProvider) -> None:
        for task in ("a", "b", "c"):
            answered(await listen(provider, asking(task=task, messages=said(f"One of {task}?"))))
        assert sum(map(is_running, fake.logged("pid"))) == 2
        for task in ("c", "a"):
            answered(
                await listen(provider, asking(task=task, messages=said(f"One of {task}?", HELLO, "Two?")))
            )

    within(main, fake, max_instances=2)
    assert [bool(earlier(prompt)) for prompt in fake.prompts()] == [False, False, False, False, True]
    assert len(fake.logged("pid")) == 4


def test_sixteen_conversations_live_at_once(tmp_path: Path) -> None:
    """Each has its process and its session, and closing stops them all together."""
    fake = FakePi(tmp_path)
    tasks = [f"s-{number}" for number in range(16)]

    async def main(provider: LivePiProvider) -> None:
        async def talk(task: str) -> None:
            answered(await listen(provider, asking(task=task, messages=said(f"I am {task}."))))
            answered(await listen(provider, asking(task=task, messages=said(f"I am {task}.", HELLO, "Bye."))))

        await asyncio.gather(*map(talk, tasks))
        assert sum(map(is_running, fake.logged("pid"))) == 16

    within(main, fake, max_instances=16)
    assert sorted(fake.prompts()) == sorted([f"I am {task}." for task in tasks] + ["Bye."] * 16)


def test_closing_ends_runs_under_way(tmp_path: Path) -> None:
    """Who still listens is told at once."""
    fake = FakePi(tmp_path, runs=[HANGING])

    async def main(provider: LivePiProvider) -> None:
        events = await begun(provider, talking("One?"))
        await provider.aclose()
        assert failed(await rest(events)).failure.code == "agent_unavailable"

    within(main, fake)


def test_tools_of_a_client_are_refused(tmp_path: Path) -> None:
    """Pi has its own, and its protocol takes no others."""
    fake = FakePi(tmp_path)

    async def main(provider: LivePiProvider) -> None:
        asked = talking("One?", tools=(Tool(name="look"),))
        assert failed(await listen(provider, asked)).failure.code == "invalid_request"

    within(main, fake)
    assert fake.prompts() == []


def test_what_came_before_is_bounded() -> None:
    """The newest message is whole, an older one is cut, those before it are left out, and both are said."""
    text = earlier_text(said("oldest", "x" * MAX_EARLIER_CHARS, "newest"))
    cut = "x" * (MAX_EARLIER_CHARS - len("newest"))
    assert earlier(text) == [("assistant", f"{cut}\n[the rest is left out]"), ("user", "newest")]
    assert "\n\n[what came before is left out]\n\n" in text
    assert earlier_text(()) == ""


def test_a_service_is_opened_with_live_agents(tmp_path: Path) -> None:
    """In pi mode the command's own settings lead to agents that stay between the requests of a task."""
    fake = FakePi(tmp_path)
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "KATA_PI_BINARY": str(fake.binary)}
    resolved = resolved_settings(RunOptions(flags={"runtime_mode": "pi"}), env, tmp_path)
    live = LiveOptions(directory_of=lambda task: fake.workspace, max_instances=1)

    async def main() -> None:
        service = open_service(resolved, env, clock=SystemClock(), redactor=Redactor(), live_agents=live)
        answered(await listen(service, talking("One?")))
        answered(await listen(service, talking("One?", HELLO, "Two?")))
        await service.aclose()

    asyncio.run(main())
    assert fake.prompts() == ["Be brief.\n\nOne?", "Two?"]
    assert fake.is_gone()
