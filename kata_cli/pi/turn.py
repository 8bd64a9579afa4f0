"""One prompt's run, folded from Pi's events: what to show, what was used, and when it is really over.

From 0.80.4 on `agent_settled` is the end. Before, `agent_end` may be followed by a retry or by a compaction
that repeats the request: then the run only `may_be_over`, until a look at Pi's state has shown that it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from kata_cli.core.errors import Failure
from kata_cli.core.events import ContentDelta, Event, ToolFinished, ToolStarted
from kata_cli.core.messages import Usage
from kata_cli.core.text import one_line
from kata_cli.pi import wire
from kata_cli.pi.wire import Frame, Message, Said

MAX_INPUT_CHARS = 2_000
MAX_OUTPUT_CHARS = 2_000
MAX_PARTIAL_CHARS = 2**20
MAX_WAITING_CHARS = 2**20


class Turn:
    """What has come of one run. `message` is the last answer of the model, text of steps before it is not.

    Text is given out only when it is known to belong to the answer, that is, at the end of its message; what
    the model says between two tool calls is thinking aloud. In a live run (`is_live`) text is given out as it
    comes, though it may yet turn out to be a step or a failed try, and tools tell what they gave back.
    `answered` holds what the model had answered before the user spoke again, `users_heard` counts the
    messages of the user.
    """

    def __init__(self, task: str, *, has_settled: bool, is_live: bool = False) -> None:
        self.message: Message | None = None
        self.answered: list[str] = []
        self.users_heard = 0
        self.usage: Usage | None = None
        self.failure: Failure | None = None
        self.overflow = ""
        self.was_retried = False
        self.is_over = False
        self.is_live = is_live
        self.changed = asyncio.Event()
        self._task = task
        self._has_settled = has_settled
        self._has_started = False
        self._has_ended = False
        self._is_repeating = False
        self._new: list[Event] = []
        self._said: list[str] = []
        self._said_kind: Literal["text", "thinking"] = "thinking"
        self._waiting_chars = 0
        self._partial: list[str] = []
        self._partial_chars = 0
        self._readers: dict[str, Callable[[Frame], None]] = {
            "agent_start": self._start,
            "agent_end": self._end,
            "agent_settled": self._settle,
            "message_start": self._begin_message,
            "message_update": self._update_message,
            "message_end": self._end_message,
            "tool_execution_start": self._start_tool,
            "tool_execution_end": self._finish_tool,
            "auto_retry_start": self._start_retry,
            "auto_retry_end": self._end_retry,
            "compaction_start": self._start_compaction,
            "compaction_end": self._end_compaction,
        }

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be taken that Pi should pause."""
        return self._waiting_chars > MAX_WAITING_CHARS

    @property
    def partial(self) -> str:
        """The text of a message that has begun and not ended."""
        return "".join(self._partial)

    @property
    def is_running(self) -> bool:
        """Whether Pi is at work on it right now, and would take a further message."""
        return self._has_started and not self._has_ended and not self.is_over

    @property
    def may_be_over(self) -> bool:
        """Whether an old version ended the run and has not announced that it goes on."""
        return not self._has_settled and self._has_ended and not self._is_repeating

    @property
    def has_erred(self) -> bool:
        return self.message is not None and self.message.stop_reason == "error"

    def feed(self, frame: Frame) -> None:
        """Take one event; types that are not known only show that Pi lives."""
        if reader := self._readers.get(frame.type):
            reader(frame)
        self.changed.set()

    def fail(self, failure: Failure) -> None:
        """End the run from outside."""
        if not self.is_over:
            self.failure = failure
            self.finish()

    def finish(self) -> None:
        self.is_over = True
        self.changed.set()

    def take(self) -> list[Event]:
        """What is new to show since the last call."""
        self._flush()
        taken, self._new = self._new, []
        self._waiting_chars = 0
        return taken

    def _start(self, frame: Frame) -> None:
        self._has_started = True
        self._has_ended = self._is_repeating = False

    def _end(self, frame: Frame) -> None:
        self._has_ended = self._has_started

    def _settle(self, frame: Frame) -> None:
        if self._has_started:
            self.finish()

    def _start_retry(self, frame: Frame) -> None:
        self.was_retried = self._is_repeating = True

    def _end_retry(self, frame: Frame) -> None:
        self._is_repeating = False

    def _start_compaction(self, frame: Frame) -> None:
        self._is_repeating = True

    def _end_compaction(self, frame: Frame) -> None:
        self._is_repeating = frame.will_retry is True
        if isinstance(frame.error_message, str):
            self.overflow = frame.error_message

    def _begin_message(self, frame: Frame) -> None:
        self._partial.clear()
        self._partial_chars = 0

    def _update_message(self, frame: Frame) -> None:
        update = frame.assistant_message_event
        if update is None:
            return
        if update.type == "thinking_delta":
            self._say("thinking", update.delta)
        elif update.type == "text_delta":
            self._write(update.delta)

    def _write(self, text: str) -> None:
        if self._partial_chars < MAX_PARTIAL_CHARS:
            self._partial.append(text)
            self._partial_chars += len(text)
        if self.is_live:
            self._say("text", text)

    def _end_message(self, frame: Frame) -> None:
        message = wire.decode(frame.message, Message)
        if message is None:
            return
        if message.role == "user":
            self._hear_user()
        elif message.role == "assistant":
            self._end_answer(message)

    def _hear_user(self) -> None:
        """A message of the user: the first of the run, or one that came in while it was under way."""
        self.users_heard += 1
        if self.message is not None and self.message.stop_reason in ("stop", "length"):
            self.answered.append(self.message.text)

    def _end_answer(self, message: Message) -> None:
        self._partial.clear()
        self.message = message
        self.usage = (self.usage or Usage()) + wire.usage(message.usage)
        if message.stop_reason == "toolUse" and not self.is_live:
            self._say("thinking", message.text)

    def _start_tool(self, frame: Frame) -> None:
        shown = one_line(bytes(frame.args).decode("utf-8", "replace"), MAX_INPUT_CHARS)
        name, number = str(frame.tool_name), str(frame.tool_call_id)
        self._add(ToolStarted(task=self._task, tool=name, call_id=number, input=shown), len(shown))

    def _finish_tool(self, frame: Frame) -> None:
        name, number = str(frame.tool_name), str(frame.tool_call_id)
        is_error = frame.is_error is True
        given = _output(frame) if self.is_live else ""
        event = ToolFinished(task=self._task, tool=name, call_id=number, is_error=is_error, output=given)
        self._add(event, len(name) + len(given))

    def _say(self, kind: Literal["text", "thinking"], text: str) -> None:
        if kind != self._said_kind:
            self._flush()
            self._said_kind = kind
        if text:
            self._said.append(text)
            self._waiting_chars += len(text)

    def _add(self, event: Event, chars: int) -> None:
        self._flush()
        self._new.append(event)
        self._waiting_chars += chars

    def _flush(self) -> None:
        if self._said:
            self._new.append(ContentDelta(task=self._task, text="".join(self._said), kind=self._said_kind))
            self._said.clear()


def _output(frame: Frame) -> str:
    """The beginning of what a tool gave back, as text."""
    result = wire.decode(frame.result, Said)
    return result.text[:MAX_OUTPUT_CHARS] if result else ""
