"""As a program: one request to a fake Pi that floods. Prints how this process grew in KiB, and the end."""

from __future__ import annotations

import asyncio
import resource
import sys
from contextlib import aclosing
from pathlib import Path

from fake_pi.fakes import REQUEST, FakePi
from kata_cli.core.events import Event


async def ask(fake: FakePi) -> Event:
    """The last event of one request; the others are let go at once."""
    provider = fake.provider()
    try:
        async with aclosing(provider.stream(REQUEST)) as events:
            async for event in events:
                last = event
        return last
    finally:
        await provider.aclose()


def peak_kib() -> int:
    """The most memory that this process has had so far; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(place: str, fault: str, mega_bytes: str) -> None:
    asyncio.run(ask(FakePi(Path(place))))
    before_kib = peak_kib()
    last = asyncio.run(ask(FakePi(Path(place), fault=fault, mega_bytes=int(mega_bytes))))
    print(peak_kib() - before_kib, type(last).__name__)


if __name__ == "__main__":
    main(*sys.argv[1:])
