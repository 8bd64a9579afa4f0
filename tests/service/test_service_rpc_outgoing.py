"""What waits to be sent: in order, bounded, and of no use once nobody takes it; and the race of its tasks."""

from __future__ import annotations

import asyncio

import pytest

from kata_cli.service.race import race
from kata_cli.service.rpc_outgoing import Outgoing


def test_messages_keep_the_order_in_which_they_came() -> None:
    """Also those that had to wait for room: nobody who comes later overtakes them."""

    async def main() -> list[bytes | None]:
        outgoing = Outgoing(max_messages=2, max_bytes=1000)
        writers = [asyncio.create_task(outgoing.put(b"%d" % n)) for n in range(6)]
        taken = [await outgoing.take() for _ in range(3)]
        writers.append(asyncio.create_task(outgoing.put(None)))
        taken += [await outgoing.take() for _ in range(4)]
        await asyncio.gather(*writers)
        return taken

    assert asyncio.run(main()) == [b"0", b"1", b"2", b"3", b"4", b"5", None]


def test_whoever_waits_for_room_is_not_overtaken() -> None:
    """Room that is made goes to the one who waits for it, also if another asks before that one has woken."""

    async def main() -> list[bytes | None]:
        outgoing = Outgoing(max_messages=2, max_bytes=1000)
        await outgoing.put(b"0")
        await outgoing.put(b"1")
        waiting = asyncio.create_task(outgoing.put(b"2"))
        await asyncio.sleep(0)
        taken = [await outgoing.take(), await outgoing.take()]
        await outgoing.put(b"3")
        await waiting
        return [*taken, await outgoing.take(), await outgoing.take()]

    assert asyncio.run(main()) == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize(("messages", "max_bytes"), [(3, 1000), (100, 25)])
def test_whoever_puts_in_waits_while_it_is_full(messages: int, max_bytes: int) -> None:
    """Three of ten bytes are too many by number here, too large there."""

    async def main() -> None:
        outgoing = Outgoing(messages, max_bytes)
        for _ in range(3):
            await outgoing.put(b"0123456789")
        waiting = asyncio.create_task(outgoing.put(b"x"))
        await asyncio.sleep(0)
        assert not waiting.done()
        await outgoing.take()
        await waiting

    asyncio.run(main())


def test_a_message_larger_than_all_may_be_still_gets_through() -> None:
    """It goes alone."""

    async def main() -> None:
        outgoing = Outgoing(4, max_bytes=5)
        await outgoing.put(b"x" * 100)
        assert await outgoing.take() == b"x" * 100

    asyncio.run(main())


def test_nobody_waits_for_room_after_the_end() -> None:
    """What is put in after `close`, or waits then, is dropped."""

    async def main() -> None:
        outgoing = Outgoing(1, 1000)
        waiting = [asyncio.create_task(outgoing.put(b"x")) for _ in range(5)]
        await asyncio.sleep(0)
        outgoing.close()
        await asyncio.gather(*waiting, outgoing.put(b"y"))

    asyncio.run(main())


def test_the_first_to_end_decides_a_race() -> None:
    """Its result is that of the race; the others are cancelled, and have ended when it is told."""
    ended = []

    async def slow() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("slow")
        return "slow"

    async def quick() -> str:
        return "quick"

    async def main() -> str:
        told = await race(slow(), quick(), slow())
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return told

    assert asyncio.run(main()) == "quick"
    assert ended == ["slow", "slow"]


def test_an_exception_is_an_end_too() -> None:
    """What the first part raises is raised, as it was."""

    async def waits() -> None:
        await asyncio.Event().wait()

    async def fails() -> None:
        raise KeyError("why")

    with pytest.raises(KeyError, match="why"):
        asyncio.run(race(waits(), fails()))


def test_a_race_that_is_cancelled_leaves_nothing() -> None:
    """All parts end before it does."""

    async def waits() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        racing = asyncio.create_task(race(waits(), waits()))
        await asyncio.sleep(0)
        racing.cancel()
        await asyncio.wait([racing])
        assert racing.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
