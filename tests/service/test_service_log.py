"""The log of events: whoever reconnects at any id gets the rest, once; whoever is too late is told."""

from __future__ import annotations

from contextlib import aclosing

from hypothesis import given
from hypothesis import strategies as st

from kata_cli.core import loop
from kata_cli.service.live_events import Delta
from kata_cli.service.log import Log, Logged


def _log(count: int, **limits: int) -> Log:
    log = Log("e", **limits)
    for number in range(count):
        log.append(Delta(text=str(number)))
    return log


async def _rest(log: Log, after: str) -> list[Logged]:
    log.close()
    found = []
    async with aclosing(log.follow(after)) as batches:
        async for batch in batches:
            found += batch
    return found


@given(st.integers(0, 30), st.data())
def test_h6_reconnecting_at_each_id_gives_the_rest_once(count: int, data: st.DataObject) -> None:
    """F94: what was seen and what follows are all events, in order, without a gap or a repeat."""
    seen = data.draw(st.integers(0, count))

    async def scene() -> list[Logged]:
        return await _rest(_log(count), f"e.{seen}")

    assert [logged.id for logged in loop.run(scene())] == [f"e.{n}" for n in range(seen + 1, count + 1)]


@given(st.integers(1, 40), st.integers(1, 12), st.data())
def test_who_fell_out_of_the_log_is_told_to_read_the_history(
    count: int, kept: int, data: st.DataObject
) -> None:
    """An id whose next event is no longer kept gives a reset, and never a part of what came."""
    seen = data.draw(st.integers(0, count))

    async def scene() -> list[Logged]:
        return await _rest(_log(count, max_events=kept), f"e.{seen}")

    found = loop.run(scene())
    if seen < count - kept:
        assert [logged.type for logged in found] == ["reset"]
        assert found[0].id == f"e.{count}"
    else:
        assert [logged.id for logged in found] == [f"e.{n}" for n in range(seen + 1, count + 1)]


@given(st.text(max_size=30) | st.from_regex(r"[ef]\.[0-9]{1,20}", fullmatch=True))
def test_no_id_breaks_the_log(text: str) -> None:
    """Any text is an id of this log or gives a reset."""

    async def scene() -> list[Logged]:
        return await _rest(_log(3), text)

    known = {f"e.{number}": 3 - number for number in range(4)}
    found = loop.run(scene())
    number = text.removeprefix("e.")
    is_known = text.startswith("e.") and number.isascii() and number.isdigit() and int(number) <= 3
    expected = known[f"e.{int(number)}"] if is_known else 1
    assert len(found) == expected
    assert is_known or found[0].type == "reset"


def test_bytes_bound_the_log_too() -> None:
    """H5: large events push older ones out; the newest always stays."""

    async def scene() -> list[Logged]:
        log = Log("e", max_bytes=1_000)
        for _ in range(5):
            log.append(Delta(text="x" * 400))
        log.append(Delta(text="y" * 5_000))
        return await _rest(log, "e.5")

    assert [logged.id for logged in loop.run(scene())] == ["e.6"]


def test_a_follower_that_is_up_to_date_waits_for_news() -> None:
    """Events that come later arrive, several in one batch when nobody took them."""

    async def scene() -> list[int]:
        log = _log(1)
        sizes = []
        async with aclosing(log.follow(log.last_id)) as batches:
            log.append(Delta(text="a"))
            log.append(Delta(text="b"))
            async for batch in batches:
                sizes.append(len(batch))
                if len(sizes) == 1:
                    log.append(Delta(text="c"))
                    log.close()
        return sizes

    assert loop.run(scene()) == [2, 1]
