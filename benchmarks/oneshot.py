"""P-2, and the first byte of P-3: one question, one answer, against a bare script on the same async SDK.

    python benchmarks/oneshot.py [--rounds 5]

Medians of whole processes, taken in turns, against a vendor on loopback that answers at once. The last rows
compare with curl, the fastest way to ask; the moonshot there is what the fastest agent in the field adds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from shutil import which

from loopback import PATHS, vendor
from table import Row, Sample, fresh_env, installed_kata, interleaved, process, show

MOONSHOT_MS = 195
FIRST_BYTE_MS = 20

ANTHROPIC = """
import anthropic, asyncio, sys
async def main():
    async with anthropic.AsyncAnthropic(base_url={base!r}, api_key="k", max_retries=0) as client:
        asked = [{{"role": "user", "content": "hi"}}]
        async with client.messages.stream(model="m", max_tokens=64, messages=asked) as stream:
            async for text in stream.text_stream:
                sys.stdout.write(text)
                sys.stdout.flush()
asyncio.run(main())
"""
CHAT = """
import asyncio, openai, sys
async def main():
    async with openai.AsyncOpenAI(base_url={base!r} + "/v1", api_key="k", max_retries=0) as client:
        asked = [{{"role": "user", "content": "hi"}}]
        chunks = await client.chat.completions.create(model="m", messages=asked, stream=True)
        async for chunk in chunks:
            if chunk.choices and chunk.choices[0].delta.content:
                sys.stdout.write(chunk.choices[0].delta.content)
                sys.stdout.flush()
asyncio.run(main())
"""
RESPONSES = """
import asyncio, openai, sys
async def main():
    async with openai.AsyncOpenAI(base_url={base!r} + "/v1", api_key="k", max_retries=0) as client:
        events = await client.responses.create(model="m", input="hi", stream=True)
        async for event in events:
            if event.type == "response.output_text.delta":
                sys.stdout.write(event.delta)
                sys.stdout.flush()
asyncio.run(main())
"""
BARE = {"messages": ANTHROPIC, "chat": CHAT, "responses": RESPONSES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, vendor() as base_url:
        home = Path(folder)
        argvs = {f"bare {api}": bare(api, base_url) for api in PATHS}
        argvs |= {f"kata {api}": kata(api, base_url, home) for api in PATHS}
        if which("curl"):
            url = base_url + PATHS["chat"]
            argvs["curl"] = ["curl", "--silent", "--no-buffer", "--data", "{}", url]
        env = fresh_env(home)
        actions = {name: partial(process, argv, env, home) for name, argv in argvs.items()}
        show(rows(interleaved(actions, options.rounds)))


def bare(api: str, base_url: str) -> list[str]:
    """The script that makes this call and nothing else."""
    return [sys.executable, "-c", BARE[api].format(base=base_url)]


def kata(api: str, base_url: str, home: Path) -> list[str]:
    """The one-call workflow against a provider of one's own."""
    settings = home / ".config" / "kata" / "config.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("".join(provider(api, base_url) for api in PATHS))
    return [*installed_kata(), "run", "-w", "ask", "--no-context", "-q", "-m", f"{api}/m", "hi"]


def provider(api: str, base_url: str) -> str:
    kind = "anthropic" if api == "messages" else "openai"
    address = base_url if api == "messages" else f"{base_url}/v1"
    spoken = "" if api == "messages" else f'api = "{api}"\n'
    return f'[providers.{api}]\nkind = "{kind}"\nbase_url = "{address}"\nrequires_key = false\n{spoken}'


def rows(taken: dict[str, Sample]) -> list[Row]:
    found = []
    for api in PATHS:
        floor, figure = taken[f"bare {api}"], taken[f"kata {api}"]
        found.append(Row(f"{api} / bare SDK, wall ms", floor.wall_s * 1e3, figure.wall_s * 1e3, 1.15))
        found.append(Row(f"{api} / bare SDK, CPU ms", floor.cpu_s * 1e3, figure.cpu_s * 1e3))
        first = floor.first_byte_s * 1e3, figure.first_byte_s * 1e3
        found.append(Row(f"{api} - bare SDK, first byte, ms", *first, FIRST_BYTE_MS, is_difference=True))
    if curl := taken.get("curl"):
        for api in PATHS:
            ends = curl.wall_s * 1e3, taken[f"kata {api}"].wall_s * 1e3
            found.append(Row(f"{api} - curl, wall ms (moonshot)", *ends, MOONSHOT_MS, is_difference=True))
    return found


if __name__ == "__main__":
    main()
