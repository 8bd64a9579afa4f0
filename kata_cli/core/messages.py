"""What is sent to a model and what comes back, whatever the vendor."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from kata_cli.core.errors import KataError

# Per level the tokens of thinking to allow for; vendors count them towards the bound of an answer.
THINKING_TOKENS = {
    "off": 0,
    "minimal": 2_000,
    "low": 4_000,
    "medium": 8_000,
    "high": 16_000,
    "xhigh": 24_000,
    "max": 32_000,
}
THINKING_LEVELS = tuple(THINKING_TOKENS)

StopCause = Literal["stop", "length", "refusal", "tool_use"]


class ModelRef(msgspec.Struct, frozen=True):
    """A model of a provider, written `provider/id`; the id may contain slashes itself."""

    provider: str
    id: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.id}"

    @classmethod
    def parse(cls, text: str) -> ModelRef:
        """Split at the first slash. Raises `KataError` usage when a side is empty."""
        provider, _, model = text.partition("/")
        if not provider.strip() or not model.strip():
            raise KataError("usage", f"not a model reference: {text!r}", "write it as provider/model")
        return cls(provider, model)


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of one or more answers, in counts; cost in US dollars, None where the price is unknown.

    `output` includes `reasoning`; `input` excludes `cache_read` and `cache_write`.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    cost_usd: float | None = None

    @property
    def total(self) -> int:
        return self.input + self.output + self.cache_read + self.cache_write

    def __add__(self, other: Usage) -> Usage:
        known = [cost for cost in (self.cost_usd, other.cost_usd) if cost is not None]
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.reasoning + other.reasoning,
            sum(known) if known else None,
        )


class Tool(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A function that the model may ask its caller to call.

    `parameters` is the JSON Schema of its arguments; empty means an object of any kind.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A model's wish that a tool be called; `arguments` is JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn of a conversation, as plain text.

    An assistant may end its turn with tool `calls`; each is answered by a message of role `tool` that names
    it in `call_id`.
    """

    role: Literal["user", "assistant", "tool"]
    text: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    is_error: bool = False

    @property
    def parts(self) -> list[str]:
        """What the message says and calls, as texts."""
        return [self.text, *(f"{call.name} {call.arguments}" for call in self.calls)]


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call of a model on behalf of a task.

    `task`, `role` and `goal` say what it is for and are not sent. `schema` is the JSON Schema that the
    answer must follow, `schema_name` its short name. `max_tokens` bounds the answer alone. `tools` are those
    of the caller; the answer may then be calls of them.
    """

    task: str
    role: str = ""
    goal: str = ""
    model: ModelRef
    system: str = ""
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    thinking: str | None = None
    schema: dict[str, Any] | None = None
    schema_name: str = ""
    tools: tuple[Tool, ...] = ()
    timeout_s: float | None = None

    @property
    def prompt(self) -> str:
        """All that is sent, as one text, for estimates and for the mock provider."""
        tools = [msgspec.json.encode(tool).decode() for tool in self.tools]
        said = [part for message in self.messages for part in message.parts]
        return "\n\n".join([self.system, *tools, *said]).strip()


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A complete answer. `model` is the id that the provider itself reported.

    `thinking` is the level that was in force, empty where nobody knows. With `calls`, `stop` is `tool_use`,
    and the text may be empty. `host` names the instance that answered, where there are several.
    """

    text: str
    model: str
    thinking: str = ""
    host: str = ""
    stop: StopCause = "stop"
    calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    request_id: str | None = None


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A model as its provider reports it; what the provider does not say is None."""

    provider: str
    id: str
    name: str = ""
    created: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    thinking: list[str] | None = None


def estimate_tokens(text: str) -> int:
    """A rough count: four UTF-8 bytes a token, which is what English prose and code come to."""
    return tokens_of_bytes(len(text.encode("utf-8", "replace")))


def tokens_of_bytes(count: int) -> int:
    """The same for a text of `count` UTF-8 bytes."""
    return (count + 3) // 4
