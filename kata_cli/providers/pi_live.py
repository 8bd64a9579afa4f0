"""Pi in a live session: one process for each conversation, kept between its requests.

A request brings all messages of its conversation. Where the process has been told exactly what comes before
the newest ones, only those are sent and Pi's own session goes on. Else a new Pi session is begun, with what
came before as material in front: for the first request, after a restart, a fork or a compaction, when the
process has ended or given way to another, when provider or directory have changed, when a request comes
again.

Text is streamed as it comes, and so provisionally: text before a `ToolStarted` was a step on the way, and a
message that Pi tries again comes twice. The text of the last event, `ReplyFinished`, is the answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.events import Event
from kata_cli.core.messages import Message, Reply, Request
from kata_cli.core.ports import Timeouts
from kata_cli.pi.agent import Agent
from kata_cli.pi.options import LiveOptions, PiOptions, Purpose
from kata_cli.pi.pool import Pool
from kata_cli.pi.prompt import further_text, opening_text, plain
from kata_cli.pi.rpc import Rejected
from kata_cli.pi.turn import Turn
from kata_cli.providers.pi import PiProvider
from kata_cli.providers.pi_run import Run


class LivePiProvider(PiProvider):
    """A `LiveProvider` of Pi processes. One request of a conversation at a time."""

    def __init__(self, options: PiOptions, timeouts: Timeouts, live: LiveOptions) -> None:
        super().__init__(msgspec.structs.replace(options, max_instances=live.max_instances), timeouts)
        self._live = live
        self._conversations: dict[str, _Conversation] = {}

    def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """What the run shows as it comes, then its end. Closing it breaks off the run, not the process."""
        if request.task not in self._conversations:
            self._conversations[request.task] = _Conversation(self._pool, self._live)
        return Run(self._conversations[request.task], request, self._timeouts).events()

    async def steer(self, task: str, text: str) -> bool:
        """Give a message to the run of a conversation, to be read before the model is next asked.

        False where none is under way. When True, the next request has the message behind those of the request
        under way and before its answer. Raises `KataError`.
        """
        conversation = self._conversations.get(task)
        return conversation is not None and await conversation.steer(text)

    async def leave(self, task: str) -> None:
        """Stop the process of a conversation, which fails the run that is under way in it."""
        conversation = self._conversations.pop(task, None)
        if conversation is not None:
            conversation.is_left = True
        await self._pool.end(task)


class _Conversation:
    """Which agent has been told what of a conversation; also the `Lease` of its runs."""

    def __init__(self, pool: Pool, live: LiveOptions) -> None:
        self.is_left = False
        self._pool = pool
        self._live = live
        self._is_busy = False
        # An agent of which it is known what its session holds, None where there is none.
        self._agent: Agent | None = None
        self._system = ""
        self._told: tuple[Message, ...] = ()
        self._under_way: tuple[Agent, Turn] | None = None
        self._steered: list[Message] = []

    async def acquire(self, request: Request) -> Agent:
        if self._is_busy:
            raise KataError("invalid_request", "an answer is under way in this conversation")
        self._is_busy = True
        try:
            purpose = Purpose(request.model.provider, request.task, self._live.directory_of(request.task))
            if self._agent is not None and self._agent.purpose != purpose:
                await self._pool.end(request.task)
            return await self._lend(purpose)
        except BaseException:
            self._is_busy = False
            raise

    async def begin(self, agent: Agent, request: Request) -> tuple[Turn, str]:
        if self.is_left:
            raise KataError("agent_unavailable", "the conversation was ended")
        if new := self._untold(agent, request):
            thinking = await agent.adjust(request.model, request.thinking)
            text = further_text(request, new)
        else:
            self._agent = None
            if agent.has_session:
                agent.renew()
            thinking = await agent.prepare(request.model, request.thinking)
            text = opening_text(request)
        # What the session holds is only known again when the run has shown that it took the prompt.
        self._agent = None
        self._steered = []
        turn = await agent.prompt(text, request.task, is_live=True)
        self._under_way = agent, turn
        return turn, thinking

    async def steer(self, text: str) -> bool:
        if self._under_way is None or not self._under_way[1].is_running:
            return False
        agent, turn = self._under_way
        message = Message("user", text)
        self._steered.append(message)
        try:
            await agent.steer(plain(text))
        except Rejected:
            self._steered.remove(message)
            return False
        return turn.is_running or self._has_heard_all(turn)

    async def release(self, agent: Agent, request: Request, turn: Turn | None, reply: Reply | None) -> None:
        self._under_way = None
        if turn is not None and self._has_heard_all(turn):
            answer = [Message("assistant", reply.text)] if reply else []
            self._agent, self._system = agent, request.system
            self._told = (*request.messages, *self._steered, *answer)
        is_kept = False
        try:
            is_kept = self._agent is agent and not self.is_left and await _is_idle(agent, turn)
        finally:
            self._agent = agent if is_kept else None
            self._is_busy = False
            await self._pool.release(agent, is_reusable=is_kept)

    async def _lend(self, purpose: Purpose) -> Agent:
        """The agent that was at rest, or a new one where that has ended or no longer answers."""
        agent = await self._pool.acquire(purpose)
        if agent is not self._agent:
            return agent
        has_answered = False
        try:
            has_answered = await agent.answers()
        finally:
            if not has_answered:
                await self._pool.release(agent, is_reusable=False)
        return agent if has_answered else await self._pool.acquire(purpose)

    def _has_heard_all(self, turn: Turn) -> bool:
        """Whether the prompt, and what was said meanwhile, has reached the session."""
        return turn.users_heard == 1 + len(self._steered)

    def _untold(self, agent: Agent, request: Request) -> tuple[Message, ...]:
        """The newest messages, if the agent's session holds all that comes before them; else none.

        They begin with what had come of the last answer, where that was broken off: Pi does not show such
        answers to the model.
        """
        known = len(self._told)
        is_known = (request.system, request.messages[:known]) == (self._system, self._told)
        return request.messages[known:] if agent is self._agent and is_known else ()


async def _is_idle(agent: Agent, turn: Turn | None) -> bool:
    """Whether an agent can take another prompt, after its run was broken off if need be."""
    is_over = turn is not None and turn.is_over
    return agent.is_alive and (is_over or await agent.abort())
