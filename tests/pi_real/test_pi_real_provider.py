"""The same real Pi, through `PiProvider`: what a run gets, and what is left of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from kata_cli.core.events import ContentDelta, ToolFinished, ToolStarted
from kata_cli.pi import home
from kata_cli.pi.binary import version_of
from pi_real.asking import (
    answered,
    are_gone,
    ask,
    asking_process,
    children,
    command_of,
    environment_of,
    failed,
    pids,
    provided,
    request,
    until,
)
from pi_real.installed import (
    KEY,
    OLD,
    TIMEOUT_S,
    Generation,
    Open,
    binary,
    read_notes_then_answer,
    tool_call,
)
from servers import wire
from servers.adapters import listen, text_of
from servers.vendor import Behaviour, Raw, Reply, Seen, Status, read_request

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SLEEP_S = "61.25"


def test_the_version_is_read_from_whichever_stream_it_is_on(generation: Generation) -> None:
    """The one fact that tells the generations apart."""
    found = asyncio.run(version_of(binary(generation.version), {"PATH": os.environ["PATH"]}, TIMEOUT_S))
    assert str(found) == generation.version


def test_an_answer(opened: Open) -> None:
    """Text, usage and cost of one answer, as the vendor said them and models.json prices them."""
    events = ask(opened([Reply(text="Forty-two it is.")]))
    reply = answered(events).reply
    assert (reply.text, text_of(events), reply.stop) == ("Forty-two it is.", "Forty-two it is.", "stop")
    assert (reply.usage.output, reply.usage.cache_read) == (5, 2)
    assert reply.usage.cost_usd is not None
    assert reply.usage.cost_usd > 0


def test_a_tool_call(opened: Open) -> None:
    """The agent reads a file by itself; its calls are events and the answer is the text after them."""
    events = ask(opened(read_notes_then_answer))
    started = [event for event in events if isinstance(event, ToolStarted)]
    finished = [event for event in events if isinstance(event, ToolFinished)]
    assert [(event.task, event.tool) for event in started] == [("look", "read")]
    assert "notes.txt" in started[0].input
    assert [(event.call_id, event.is_error) for event in finished] == [(started[0].call_id, False)]
    assert answered(events).reply.text.strip() == "the answer is 42"


def test_tools_only_read_unless_asked(opened: Open) -> None:
    """Neither a shell nor writing is offered to the model by default; more is what the options name."""
    place = opened([Reply()])
    ask(place)
    ask(place, tools=("read", "bash"))
    offered = [
        {tool["function"]["name"] for tool in seen.body.get("tools", [])} for seen in place.server.requests
    ]
    assert offered == [{"read", "grep", "find", "ls"}, {"read", "bash"}]


def test_usage_is_that_of_all_messages(opened: Open) -> None:
    """A run of several answers costs what all of them cost."""

    counts = {"prompt_tokens": 11, "completion_tokens": 13}
    counted = wire.event({"object": "chat.completion.chunk", "choices": [], "usage": counts}).decode()

    def counting(seen: Seen) -> Behaviour:
        answer = read_notes_then_answer(seen)
        if isinstance(answer, Raw):
            answer.data = answer.data.replace("data: [DONE]", f"{counted}data: [DONE]")
        return answer

    usage = answered(ask(opened(counting))).reply.usage
    assert usage.output == 13 + 5
    assert usage.input + usage.cache_read + usage.cache_write == 11 + 10


@pytest.mark.parametrize(
    ("status", "code"), [(401, "invalid_auth"), (404, "model_not_found"), (413, "context_too_long")]
)
def test_f29_f33_refusals(opened: Open, status: int, code: str) -> None:
    """A refusal of the vendor keeps its meaning on the way through Pi, and is asked once."""
    place = opened([Status(status=status, error_type="neutral", message="Sorry")])
    failure = failed(ask(place)).failure
    assert (failure.code, failure.provider, failure.model) == (code, "vendor", "vendor/served-1")
    assert len(place.server.requests) == 1


def test_f37_an_overloaded_vendor_comes_back(opened: Open) -> None:
    """Pi's own retry is part of the run; no text of the failed attempt is left."""
    place = opened([Status(status=529, message="Overloaded"), Reply(text="now")])
    events = ask(place)
    assert (answered(events).reply.text, text_of(events)) == ("now", "now")
    assert len(place.server.requests) == 2


@pytest.mark.slow
def test_f37_an_overloaded_vendor_stays_so(opened: Open) -> None:
    """After Pi's retries the failure stands, and is not tried again by kata on top."""
    failure = failed(ask(opened([Status(status=529, message="Overloaded")]))).failure
    assert (failure.code, failure.should_retry) == ("provider_unavailable", False)


def test_f46_an_answer_cut_by_its_bound(opened: Open) -> None:
    """Truncation is not silent."""
    reply = answered(ask(opened([Reply(text="half a", stop="length")]))).reply
    assert (reply.text, reply.stop) == ("half a", "length")


def test_f45_a_run_without_text(opened: Open) -> None:
    """A run that ends well and says nothing is no answer."""
    assert failed(ask(opened([Reply(text="")]))).failure.code == "invalid_output"


def test_a_model_that_pi_does_not_know(opened: Open) -> None:
    """The nearest of Pi's own models is named, and nothing is asked of the vendor."""
    place = opened([Reply()])
    failure = failed(ask(place, request(model="served-2"))).failure
    assert failure.code == "model_not_found"
    assert "vendor/served-1" in failure.hint
    assert place.server.requests == []


def test_a_level_that_the_model_does_not_have(opened: Open) -> None:
    """Pi would accept it in silence; kata reads the level back and refuses before the prompt."""
    place = opened([Reply()])
    assert failed(ask(place, request(thinking="high"))).failure.code == "invalid_request"
    assert place.server.requests == []


def test_the_models_are_those_that_pi_reports(opened: Open) -> None:
    """Id, name, window and the real thinking levels, from Pi alone."""

    async def main() -> list[tuple[str, str, int | None, list[str] | None]]:
        async with provided(opened([])) as provider:
            found = await provider.models()
        return [(model.id, model.name, model.context_window, model.thinking) for model in found]

    assert asyncio.run(main()) == [
        ("served-1", "Served One", 64_000, ["off"]),
        ("thinker-1", "thinker-1", 64_000, ["off", "low", "medium", "high"]),
    ]


def test_two_requests_one_after_the_other_share_no_memory(opened: Open) -> None:
    """An agent that is used again begins a new session, and neither is written into the project."""
    place = opened([Reply()])

    async def main() -> None:
        async with provided(place) as provider:
            answered(await listen(provider, request("first question")))
            answered(await listen(provider, request("second question")))

    asyncio.run(main())
    assert "first question" not in str(place.server.requests[1].body)
    assert [path.name for path in place.project.iterdir()] == ["notes.txt"]


def test_eight_agents_answer_at_once(opened: Open) -> None:
    """The vendor answers nobody before all eight have asked; each gets the answer to its own question."""
    place = opened([])
    barrier = asyncio.Barrier(8)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = await read_request(reader)
        await barrier.wait()
        question = str(seen.body["messages"][-1]["content"])
        number = next(part for part in ("12345678") if f"question {part}" in question)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        writer.write(head + b"".join(wire.events("chat", wire.Content(text=f"answer {number}"))))
        writer.close()

    async def main() -> list[str]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        place.serve(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        async with provided(place, max_instances=8) as provider:
            asked = [listen(provider, request(f"question {number}")) for number in range(1, 9)]
            replies = [answered(events).reply.text for events in await asyncio.gather(*asked)]
        server.close()
        return replies

    assert asyncio.run(main()) == [f"answer {number}" for number in range(1, 9)]
    assert children(os.getpid()) == []


@LINUX
def test_the_child_sees_an_allow_list_of_variables(opened: Open) -> None:
    """No secret of the parent is in the environment of Pi, nor is a key of another provider (P9)."""
    seen: list[dict[str, str]] = []

    def look(_: Seen) -> Behaviour:
        seen.extend(environment_of(pid) for pid in children(os.getpid()))
        return Reply()

    place = opened(look)
    keys = {"anthropic": {"ANTHROPIC_API_KEY": KEY}, "vendor": {"VENDOR_API_KEY": KEY}}
    answered(ask(place, keys=keys, environ={**place.env, "GITHUB_TOKEN": "x", "OPENAI_API_KEY": "y"}))
    # PWD is added by the shell that the installed program is wrapped in.
    assert [sorted(variables.keys() - {"PWD"}) for variables in seen] == [
        ["HOME", "LANG", "PATH", "PI_CODING_AGENT_DIR", "PI_OFFLINE", "VENDOR_API_KEY"]
    ]


def test_the_users_own_pi_settings_stay_as_they_are(opened: Open) -> None:
    """Pi remembers a model or level that is set; not in the directory that was lent to it."""
    place = opened([Reply()])
    before = {path.name: path.read_bytes() for path in place.agent_dir.iterdir() if path.is_file()}
    answered(ask(place, request(model="thinker-1", thinking="high")))
    after = {path.name: path.read_bytes() for path in place.agent_dir.iterdir() if path.is_file()}
    assert after == before
    assert list(place.home.iterdir()) == []


def test_a_listener_that_leaves_leaves_no_child(opened: Open) -> None:
    """Cancelling a request in the middle of its answer ends the agent behind it."""

    async def main() -> None:
        loop, has_asked = asyncio.get_running_loop(), asyncio.Event()

        def stall(_: Seen) -> Behaviour:
            loop.call_soon_threadsafe(has_asked.set)
            return Reply(text="A long answer.", cut_at=300, is_stalled=True)

        place = opened(stall)
        async with provided(place) as provider:
            listening = asyncio.create_task(listen(provider, request()))
            await has_asked.wait()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        assert children(os.getpid()) == []
        assert place.server.is_left_alone()

    asyncio.run(main())


@LINUX
def test_f80_nothing_outlives_a_parent_that_is_killed(opened: Open) -> None:
    """SIGKILL of the parent in the middle of an answer: no Pi is left after 500 ms."""
    has_asked = threading.Event()

    def stall(_: Seen) -> Behaviour:
        has_asked.set()
        return Reply(cut_at=300, is_stalled=True)

    with subprocess.Popen(**asking_process(opened(stall))) as parent:
        assert has_asked.wait(TIMEOUT_S)
        pidfds = [os.pidfd_open(pid) for pid in children(parent.pid)]
        parent.send_signal(signal.SIGKILL)
    assert len(pidfds) == 1
    assert are_gone(pidfds)


def sleep_then_answer(seen: Seen) -> Behaviour:
    """A model that has a shell sleep for a minute, known by its number of seconds."""
    return tool_call("bash", {"command": f"sleep {SLEEP_S}"})


def sleepers() -> list[int]:
    """The processes that sleep for that long, wherever they are."""
    return [pid for pid in pids() if command_of(pid) == ["sleep", SLEEP_S]]


@LINUX
@pytest.mark.parametrize("is_stuck", [False, True], ids=["polite", "stuck"])
def test_a_tool_that_runs_ends_with_its_agent(opened: Open, is_stuck: bool) -> None:
    """No shell that a tool has started outlives a cancelled run, also where Pi itself no longer answers."""

    async def main() -> None:
        async with provided(opened(sleep_then_answer), tools=("read", "bash")) as provider:
            listening = asyncio.create_task(listen(provider, request()))
            await until(sleepers)
            if is_stuck:
                os.kill(children(os.getpid())[0], signal.SIGSTOP)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        assert (children(os.getpid()), sleepers()) == ([], [])

    asyncio.run(main())


@LINUX
def test_f80_a_tool_does_not_outlive_a_parent_that_is_killed(opened: Open) -> None:
    """SIGKILL of the parent while a tool runs: Pi is told by TERM, and ends the tool before itself.

    The old one may see the end of its input first and forget the tool, until kata starts an agent again.
    """
    place = opened(sleep_then_answer)
    with subprocess.Popen(**asking_process(place, "read,bash")) as parent:
        asyncio.run(until(sleepers))
        pidfds = [os.pidfd_open(pid) for pid in [*children(parent.pid), *sleepers()]]
        parent.send_signal(signal.SIGKILL)
    assert len(pidfds) == 2
    if place.generation is OLD:
        home.remove(home.make(None))
    assert are_gone(pidfds)


def test_nothing_of_the_project_is_obeyed(opened: Open) -> None:
    """Neither its AGENTS.md and CLAUDE.md nor its own system prompts reach the model, unless asked for."""
    place = opened([Reply()])
    (place.project / ".pi").mkdir()
    names = ["AGENTS.md", "CLAUDE.md", ".pi/SYSTEM.md", ".pi/APPEND_SYSTEM.md"]
    for name in names:
        (place.project / name).write_text(f"obey {name}")
    ask(place)
    ask(place, has_extensions=True)
    confined, open_to_all = (str(seen.body["messages"]) for seen in place.server.requests)
    assert "obey" not in confined
    assert "coding" in confined
    assert [name for name in names if f"obey {name}" in open_to_all] == [
        name for name in names if name != "CLAUDE.md"
    ]


def test_ex_26_the_level_in_force_is_reported(opened: Open) -> None:
    """What was set and read back, and what Pi chose where nobody asked."""
    place = opened([Reply()])
    asked = [request(model="thinker-1", thinking="high"), request()]
    levels = [answered(ask(place, each)).reply.thinking for each in asked]
    assert levels == ["high", "off"]


def test_thinking_is_not_text(opened: Open) -> None:
    """Thinking comes as deltas of its own kind and never in the answer."""
    events = ask(opened([Reply(text="So be it.", thinking="Hm, let me see.")]), request(model="thinker-1"))
    assert answered(events).reply.text == "So be it."
    assert "let me see" in text_of(events, "thinking")
    assert all(event.task == "look" for event in events if isinstance(event, ContentDelta))
