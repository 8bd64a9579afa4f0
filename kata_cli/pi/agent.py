"""One ready Pi: the steps from a fresh session to a finished run, in the order that Pi needs."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import msgspec

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.messages import ModelRef
from kata_cli.core.text import near
from kata_cli.pi import home as homes
from kata_cli.pi import orphans, wire
from kata_cli.pi.binary import Version
from kata_cli.pi.child import Child
from kata_cli.pi.options import PiOptions, Purpose
from kata_cli.pi.rpc import Rejected
from kata_cli.pi.turn import Turn
from kata_cli.pi.wire import Levels, Model, Models, State

# How long after the end of a failed run an old version may take to announce that it tries again.
RETRY_SIGN_S = 0.2
# How long a run may take to end once it is told to.
ABORT_S = 2.0
LIST = "kata models list --mode pi"


class Agent:
    """A live process that takes one prompt at a time. Made by `start`; to be made `ready` first."""

    def __init__(
        self, child: Child, version: asyncio.Task[Version], purpose: Purpose, home: Path, options: PiOptions
    ) -> None:
        self.purpose = purpose
        self._version = version
        self._child = child
        self._home = home
        self._options = options
        self._session_id = ""
        self._renewal: asyncio.Task[msgspec.Raw] | None = None

    @property
    def is_alive(self) -> bool:
        return self._child.is_alive

    @property
    def has_session(self) -> bool:
        """Whether a session was begun, which the next prompt goes on with unless it is renewed."""
        return bool(self._session_id)

    @property
    def failure(self) -> Failure | None:
        """How the process ended, if it has."""
        return self._child.rpc.failure

    @property
    def warnings(self) -> list[str]:
        """The odd lines that came, at most the first few."""
        return self._child.rpc.warnings

    async def ready(self) -> None:
        """Wait for the version and the first answer.

        Raises `KataError`: agent_unavailable, or provider_unavailable if the process ended by itself.
        """
        await asyncio.shield(self._version)
        limit_s = self._options.start_s
        try:
            await self._child.rpc.call("get_state", within_s=limit_s)
        except KataError as error:
            if error.failure.code != "timeout":
                raise
            told = f"Pi was not ready within {limit_s:g} s"
            raise KataError("agent_unavailable", told, "kata doctor") from None

    async def answers(self) -> bool:
        """Whether the process still lives and reacts."""
        with contextlib.suppress(KataError):
            await self._state(within_s=self._options.ping_s)
            return True
        return False

    def renew(self) -> None:
        """Begin a new session in the background: it takes longer than a prompt. `prepare` waits for it."""
        self._child.rpc.listener = None
        self._renewal = asyncio.create_task(self._child.rpc.call("new_session"))

    async def prepare(self, model: ModelRef, thinking: str | None) -> str:
        """A fresh session with this model and level, read back. Raises `KataError` before any prompt.

        Returns the level that is in force, also where none was asked for.
        """
        if self._renewal is not None:
            await self._renewal
        state = await self._state()
        if state.session_id == self._session_id or state.message_count:
            raise KataError("agent_unavailable", "Pi did not begin a new session", "kata doctor")
        self._session_id = state.session_id
        return await self._use(state, model, thinking)

    async def adjust(self, model: ModelRef, thinking: str | None) -> str:
        """`prepare`, but the session goes on; without a level the one in force stays, as far as it can."""
        return await self._use(await self._state(), model, thinking)

    async def prompt(self, text: str, task: str, *, is_live: bool = False) -> Turn:
        """Begin a run. Raises `KataError` when Pi does not accept the prompt."""
        turn = Turn(task, has_settled=self._version.result().has_settled, is_live=is_live)
        self._child.rpc.listener = turn
        await self._child.rpc.call("prompt", {"message": text})
        return turn

    async def advance(self, turn: Turn) -> None:
        """Wait until something new has come of a run; one that is silent for long must answer a ping."""
        self._child.resume()
        while not turn.is_over and not turn.changed.is_set():
            if not await _has_changed(turn, self._options.ping_after_s):
                await self._state(within_s=self._options.ping_s)
        turn.changed.clear()
        if turn.may_be_over:
            await self._check_end(turn)

    async def steer(self, text: str) -> None:
        """Give a message to the run, to be read before the model is next asked. Raises `KataError`."""
        self._child.resume()
        await self._child.rpc.call("steer", {"message": text})

    async def abort(self) -> bool:
        """Break off the run, if there is one; whether the process can go on."""
        self._child.rpc.listener = None
        self._child.resume()
        with contextlib.suppress(KataError):
            await self._child.rpc.call("abort", within_s=ABORT_S)
            return self.is_alive
        return False

    async def models(self) -> list[tuple[Model, list[str]]]:
        """The models that Pi can use, each with its thinking levels."""
        named = [model for model in await self._listed() if model.id.strip() and model.provider.strip()]
        by_ref = {str(_ref(model)): model for model in named}
        return [(model, await self._levels(model)) for model in by_ref.values()]

    async def stop(self) -> None:
        """End the process, and what its tools have started, and remove its directory."""
        try:
            await self._child.stop()
            if self._renewal is not None:
                await asyncio.gather(self._renewal, return_exceptions=True)
        finally:
            if self._options.may_run_programs:
                orphans.end_all(homes.mark(self._home))
            homes.remove(self._home)

    async def _state(self, within_s: float | None = None) -> State:
        return await self._child.rpc.ask("get_state", State, within_s=within_s)

    async def _listed(self) -> list[Model]:
        return (await self._child.rpc.ask("get_available_models", Models)).models

    async def _use(self, state: State, model: ModelRef, thinking: str | None) -> str:
        if _ref(state.model) != model:
            await self._set_model(model)
        if thinking is not None:
            await self._child.rpc.call("set_thinking_level", {"level": thinking})
        return await self._check(model, thinking)

    async def _set_model(self, model: ModelRef) -> None:
        try:
            await self._child.rpc.call("set_model", {"provider": model.provider, "modelId": model.id})
        except Rejected as error:
            known = [str(_ref(found)) for found in await self._listed()]
            if not known:
                told = f"Pi has no key for any model, so not for {model}"
                raise KataError("missing_auth", told, "kata auth status") from error
            told = f"Pi knows no model {model}"
            raise KataError("model_not_found", told, near(str(model), known) or LIST) from error

    async def _check(self, model: ModelRef, thinking: str | None) -> str:
        state = await self._state()
        if state.model is None or _ref(state.model) != model:
            told = f"Pi was told to use {model} and uses {_ref(state.model)}"
            raise KataError("agent_unavailable", told, LIST)
        if thinking is not None and state.thinking_level != thinking:
            levels = ", ".join(await self._levels(state.model, is_current=True))
            told = f"{model} has no thinking level {thinking}"
            raise KataError("invalid_request", told, f"choose one of {levels}")
        return state.thinking_level

    async def _levels(self, model: Model, *, is_current: bool = False) -> list[str]:
        if not self._version.result().has_thinking_levels:
            return wire.thinking_levels(model)
        if not is_current:
            await self._child.rpc.call("set_model", {"provider": model.provider, "modelId": model.id})
        return (await self._child.rpc.ask("get_available_thinking_levels", Levels)).levels

    async def _check_end(self, turn: Turn) -> None:
        """Finish a run of an old version, unless Pi goes on with it by itself."""
        state = await self._state()
        if turn.has_erred:
            await _goes_on(turn, RETRY_SIGN_S)
        if turn.may_be_over and not state.is_compacting:
            turn.finish()


def _ref(model: Model | None) -> ModelRef:
    return ModelRef(model.provider, model.id) if model else ModelRef("no", "model")


async def _has_changed(turn: Turn, within_s: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await turn.changed.wait()
    return turn.changed.is_set()


async def _goes_on(turn: Turn, within_s: float) -> None:
    """Wait for a sign that a run which may be over is not."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while turn.may_be_over and not turn.is_over:
                turn.changed.clear()
                await turn.changed.wait()
