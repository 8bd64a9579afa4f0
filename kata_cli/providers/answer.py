"""An answer while it arrives, whichever vendor sends it."""

from __future__ import annotations

from kata_cli.core.errors import Failure
from kata_cli.core.events import ContentDelta, Event, ReplyFailed, ReplyFinished
from kata_cli.core.messages import Reply, StopCause, Usage
from kata_cli.providers import failures
from kata_cli.providers.failures import Source

MAX_TOKENS_REPORTED = 10**9


class Answer:
    """What has arrived of one answer; a vendor's reader fills it in."""

    def __init__(self, source: Source, requested_model: str, thinking: str = "") -> None:
        self.source = source
        self.model = requested_model
        self.thinking = thinking
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
        """The last event: the reply if the answer is whole and has text, else why not."""
        text = "".join(self._texts)
        failure = self.failure or self._shortcoming(text)
        if failure is not None:
            return ReplyFailed(failure=failure, seen=text, usage=self.usage)
        usage = self.usage or Usage()
        return ReplyFinished(
            reply=Reply(
                text=text,
                model=self.model,
                thinking=self.thinking,
                stop=self.stop,
                usage=usage,
                request_id=self.request_id,
            )
        )

    def _shortcoming(self, text: str) -> Failure | None:
        provider = self.source.provider
        if self.stop == "refusal":
            return self._failure("content_policy", f"{provider} declined to answer")
        if text.strip():
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
