"""A small project in a prompt, and the draft that the mock provider writes for it."""

from __future__ import annotations

from kata_cli.core.fence import fence
from kata_cli.core.messages import Message, ModelRef, Request
from kata_cli.providers.mock.author import write_answer
from kata_cli.spec.answer import ANSWER_SCHEMA, ANSWER_SCHEMA_NAME, answer_to_document
from kata_cli.spec.document import Document

UPLOADER = """class Uploader:
    def send(self, data):
        if not data:
            raise ValueError("empty")
"""
FILES = [
    ("pyproject.toml", '[project]\nname = "box"\n', ""),
    ("README.md", "# box\n\nA small box that uploads what is put into it.\n", ""),
    ("box/uploader.py", UPLOADER, "class Uploader:1, def send:2"),
    (
        "box/cli.py",
        "from box.uploader import Uploader\n\ndef main():\n    Uploader().send(b'')\n",
        "def main:3",
    ),
    (
        "tests/test_uploader.py",
        "from box.uploader import Uploader\n\ndef test_send(): ...\n",
        "def test_send:3",
    ),
]


def prompt(files: list[tuple[str, str, str]] = FILES) -> str:
    """A prompt as the context room makes it."""
    return "\n\n".join(
        fence("file", text, {"path": path, "lines": f"1-{text.count(chr(10))}", "symbols": listed})
        for path, text, listed in files
    )


def request(goal: str = "Retry the upload", text: str | None = None, **fields: object) -> Request:
    """A goal and its context as one message."""
    values = {"task": "t", "role": "implement", "goal": goal, "model": ModelRef("mock", "mock-1"), **fields}
    message = Message("user", f"{goal}\n\n{prompt() if text is None else text}")
    return Request(messages=(message,), **values)  # type: ignore[arg-type]


def spec_of(goal: str, text: str | None = None, *, is_final: bool = False) -> Document:
    """The document that the mock writes for a goal, after the same checks as a model's answer."""
    asked = request(goal, text, schema=ANSWER_SCHEMA, schema_name=ANSWER_SCHEMA_NAME)
    document = answer_to_document(write_answer(asked), spec_id="x", runtime_mode="mock", is_final=is_final)
    assert isinstance(document, Document), document
    return document
