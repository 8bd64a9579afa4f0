"""An answer while it arrives, whichever vendor sends it."""

from __future__ import annotations

from kata_cli.core.errors import Failure
from kata_cli.core.events import ContentDelta, Event, ReplyFailed, ReplyFinished
from kata_cli.core.messages import Reply, Request, StopCause, ToolCall, Usage
from kata_cli.providers import failures
from kata_cli.providers.failures import Source
from kata_cli.providers.tool_calls import ToolCalls, earlier_ids

MAX_TOKENS_REPORTED = 10**9


class Answer:
    """What has arrived of the answer to one request; a vendor's reader fills it in."""

    def __init__(self, source: Source, request: Request, thinking: str = "") -> None:
        self.source = source
        self.model = request.model.id
        self.thinking = thinking
        self.calls = ToolCalls(earlier_ids(request.messages))
        self._has_tools = bool(request.tools)
        self.request_id: str | None = None
        self.stop: StopCause = "stop"
        self.usage: Usage | None = None
        self.failure: Failure | None = None
        self.is_complete = False
        self._texts: list[str] = []
        self._new_texts: list[str] = []
        self._new_thoughts: list[str] = []

    @property
    def is_over(self) -> bool:
        return self.is_complete or self.failure is not None

    @property
    def has_text(self) -> bool:
        return bool(self._texts or self._new_texts)

    def add_text(self, text: str) -> None:
        self._new_texts.append(text)

    def add_thought(self, text: str) -> None:
        self._new_thoughts.append(text)

    def fail(self, code: str, message: str) -> None:
        self.failure = self._failure(code, message)

    def fail_with(self, error: object) -> None:
        """Take over an error that came inside the stream."""
        self.failure = failures.of_event(self.source, error, self.request_id)

    def deltas(self, task: str) -> list[Event]:
        """What is new since the last call, thinking before text."""
        thought, text = "".join(self._new_thoughts), "".join(self._new_texts)
        self._new_thoughts.clear()
        self._new_texts.clear()
        found: list[Event] = []
        if thought:
            found.append(ContentDelta(task=task, text=thought, kind="thinking"))
        if text:
            self._texts.append(text)
            found.append(ContentDelta(task=task, text=text))
        return found

    def ending(self) -> Event:
        """The last event: the reply if the answer is whole and says or calls something, else why not."""
        text, calls = "".join(self._texts), self._finished_calls()
        failure = self.failure or self._shortcoming(text, calls)
        if failure is not None:
            return ReplyFailed(failure=failure, seen=text, usage=self.usage)
        usage = self.usage or Usage()
        return ReplyFinished(
            reply=Reply(
                text=text,
                model=self.model,
                thinking=self.thinking,
                stop="tool_use" if calls else self.stop,
                calls=calls,
                usage=usage,
                request_id=self.request_id,
            )
        )

    def _finished_calls(self) -> tuple[ToolCall, ...]:
        """What the caller is to call: nothing if it has no tools, or if the answer was cut at its bound."""
        return self.calls.finished() if self._has_tools and self.stop != "length" else ()

    def _shortcoming(self, text: str, calls: tuple[ToolCall, ...]) -> Failure | None:
        provider = self.source.provider
        if self.stop == "refusal":
            return self._failure("content_policy", f"{provider} declined to answer")
        if any(not call.name.strip() for call in calls):
            return self._failure("invalid_output", f"{provider} sent a tool call that names no tool")
        if text.strip() or calls:
            return None
        if self.stop == "length":
            return self._failure("invalid_output", f"{provider} reached max_tokens before any text came")
        return self._failure("invalid_output", f"{provider} sent an answer without text")

    def _failure(self, code: str, message: str) -> Failure:
        return Failure(
            code=code,
            message=message,
            provider=self.source.provider,
            model=self.source.model,
            request_id=self.request_id,
        )


def count(value: object) -> int:
    """A number of tokens as reported, or 0 for what cannot be one."""
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value <= MAX_TOKENS_REPORTED else 0  # type: ignore[operator,return-value]
