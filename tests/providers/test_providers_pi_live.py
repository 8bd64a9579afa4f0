"""The provider service in front of live agents: what it forwards, and that its retries are harmless."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from provider_bench import Keys

from fake_pi.fakes import FakePi, asking, is_running
from kata_cli.core.clock import SystemClock
from kata_cli.core.events import AttemptFailed, AttemptStarted, ReplyFinished
from kata_cli.core.messages import Message
from kata_cli.core.ports import LiveProvider, Provider, Timeouts
from kata_cli.providers.service import Policy, ProviderService
from servers.adapters import listen

ONE = (Message("user", "One?"),)


def service_over(provider: Provider) -> ProviderService:
    """A provider service in pi mode that does not wait between its attempts."""
    return ProviderService(
        policy=Policy(mode="pi", mode_source="flag", timeouts=Timeouts()),
        endpoints={},
        credentials=Keys(),
        clock=SystemClock(),
        on_secret=lambda secret: None,
        connect=lambda endpoint, credential, timeouts: provider,
        sleep=lambda delay_s: asyncio.sleep(0),
    )


def test_a_process_that_died_between_messages_is_replaced(tmp_path: Path) -> None:
    """Whether its death is noticed before or during the next attempt, the next message is answered."""
    fake = FakePi(tmp_path)

    async def main() -> None:
        service = service_over(fake.live())
        first = (await listen(service, asking(messages=ONE)))[-1]
        assert isinstance(first, ReplyFinished)
        os.kill(fake.logged("pid")[0], signal.SIGKILL)
        told = (*ONE, Message("assistant", first.reply.text), Message("user", "Two?"))
        assert isinstance((await listen(service, asking(messages=told)))[-1], ReplyFinished)
        await service.aclose()

    asyncio.run(main())
    assert "One?" in fake.prompts()[1]
    assert (len(fake.prompts()), len(fake.logged("pid"))) == (2, 2)
    assert fake.is_gone()


def test_an_attempt_that_is_repeated_tells_nothing_twice(tmp_path: Path) -> None:
    """The second attempt has a Pi session of its own, with what came before in front."""
    fake = FakePi(tmp_path, runs=[[{"text": "Hello."}], [{"error": "503 sorry"}], [{"text": "There."}]])

    async def main() -> None:
        service = service_over(fake.live())
        await listen(service, asking(messages=ONE))
        told = (*ONE, Message("assistant", "Hello."), Message("user", "Two?"))
        events = await listen(service, asking(messages=told))
        assert [type(event) for event in events if isinstance(event, AttemptStarted | AttemptFailed)] == [
            AttemptStarted,
            AttemptFailed,
            AttemptStarted,
        ]
        assert isinstance(events[-1], ReplyFinished)
        assert events[-1].reply.text == "There."
        await service.aclose()

    asyncio.run(main())
    first, second, third = fake.prompts()
    assert (first, second) == ("One?", "Two?")
    assert third.endswith("\n\nTwo?")
    assert [word in third for word in ("One?", "Hello.")] == [True, True]


def test_steering_and_leaving_reach_the_provider(tmp_path: Path) -> None:
    """The service is a live provider itself; where nothing is alive there is nothing to steer or to leave."""
    fake = FakePi(tmp_path, runs=[[{"text": "I am on it", "hangs": True}, {"text": "Blue."}]])

    async def main() -> None:
        service = service_over(fake.live())
        assert isinstance(service, LiveProvider)
        assert not await service.steer("look", "nobody there")
        await service.leave("look")
        seen = ""
        async for event in service.stream(asking(messages=ONE)):
            seen += getattr(event, "text", "")
            if seen == "I am on it":
                assert await service.steer("look", "make it blue")
        assert isinstance(event, ReplyFinished)
        assert event.reply.text == "I am on it\n\nBlue."
        await service.leave("look")
        assert not any(map(is_running, fake.logged("pid")))
        await service.aclose()

    asyncio.run(main())


def test_providers_that_keep_nothing_are_let_be(tmp_path: Path) -> None:
    """A provider without live conversations takes no message in between, and leaving it is harmless."""
    fake = FakePi(tmp_path)

    async def main() -> None:
        service = service_over(fake.provider())
        await listen(service, asking(messages=ONE))
        assert not await service.steer("look", "make it blue")
        await service.leave("look")
        await service.aclose()

    asyncio.run(main())
