"""P-3: what a streamed answer costs on its way to stdout, against a bare httpx2 script.

    python benchmarks/stream.py [--rounds 3] [--tokens 20000]

The CPU time of a whole process from its first byte on stdout to its end. Sent at once, many tokens come in
one read; sent at a model's pace, each comes in a read of its own. The least of some rounds, taken in turns:
what else the machine does only ever adds. How soon the first byte comes is in `oneshot.py`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

from loopback import PATHS, vendor
from oneshot import kata
from table import Row, Sample, fresh_env, interleaved, process, show

PACED_TOKENS = 1_000
PAUSE_S = 0.001
APIS = ("messages", "chat")

HTTPX = """
import asyncio, httpx2, json, sys
def text_of(event):
    if "choices" in event:
        return event["choices"] and event["choices"][0]["delta"].get("content")
    return event["delta"].get("text") if event["type"] == "content_block_delta" else None
async def main():
    async with httpx2.AsyncClient(timeout=60) as client, client.stream("POST", {url!r}, json={{}}) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: ") and line != "data: [DONE]":
                if text := text_of(json.loads(line[6:])):
                    sys.stdout.write(text)
                    sys.stdout.flush()
asyncio.run(main())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=20_000)
    options = parser.parse_args()
    rows = []
    with vendor(tokens=options.tokens) as at_once, vendor(tokens=PACED_TOKENS, pause_s=PAUSE_S) as paced:
        for api in APIS:
            taken = measure(api, {"at once": at_once, "paced": paced}, options.rounds)
            rows.append(cost(f"{api}, {options.tokens} tokens at once", "at once", taken, options.tokens))
            rows.append(cost(f"{api}, {PACED_TOKENS} reads of a token", "paced", taken, PACED_TOKENS))
    show(rows)


def measure(api: str, vendors: dict[str, str], rounds: int) -> dict[str, Sample]:
    """Both programs against both vendors."""
    with tempfile.TemporaryDirectory() as folder:
        actions = {}
        for name, base_url in vendors.items():
            home = Path(folder, name)
            home.mkdir()
            argvs = {"kata": kata(api, base_url, home), "httpx2": httpx(base_url + PATHS[api])}
            for who, argv in argvs.items():
                actions[f"{name}, {who}"] = partial(process, argv, fresh_env(home), home)
        return interleaved(actions, rounds, pick=min)


def httpx(url: str) -> list[str]:
    return [sys.executable, "-c", HTTPX.format(url=url)]


def cost(what: str, name: str, taken: dict[str, Sample], tokens: int) -> Row:
    floor, figure = (taken[f"{name}, {who}"].rest_cpu_s * 1e6 / tokens for who in ("httpx2", "kata"))
    return Row(f"{what} / httpx2, CPU ms per 1,000", floor, figure, 1.5)


if __name__ == "__main__":
    main()
