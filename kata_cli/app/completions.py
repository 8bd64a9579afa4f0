"""What a shell may offer for an unfinished word: names from local files alone, the newest first."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from heapq import nlargest
from itertools import islice
from pathlib import Path
from typing import Any

from kata_cli.app.options import Common
from kata_cli.app.place import working_directory
from kata_cli.app.state import State, open_state
from kata_cli.config.resolve import Resolved, resolve
from kata_cli.core.errors import KataError

MAX_NAMES = 50
# A shell puts the word into the command line as it is: no blank, quote, glob or sign of its own.
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]*")


class _Asked:
    """What a shell asked for; `given` are the parameters typed so far. Settings are read when needed.

    For names of past work that is never: a broken setting hides none of it.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given

    @property
    def state(self) -> State:
        return open_state(Common(flags={"home": self.given.get("home")}))

    @property
    def resolved(self) -> Resolved:
        return resolve({"home": self.given.get("home")}, os.environ, working_directory())


def offered(kind: str, begun: str, given: Mapping[str, Any]) -> list[str]:
    """At most `MAX_NAMES` names that go on from what was begun; `given` are the parameters typed so far.

    Raises `KataError` when settings or the store cannot be read.
    """
    names = SOURCES[kind](_Asked(given))
    fitting = (name for name in names if name.startswith(begun) and _SAFE.fullmatch(name))
    return list(islice(dict.fromkeys(fitting), MAX_NAMES))


def _runs(asked: _Asked) -> Iterable[str]:
    from kata_cli.store.names import RUN_ID

    return ["last", *_newest(asked.state.directory / "runs", RUN_ID)]


def _sessions(asked: _Asked) -> Iterable[str]:
    """Names of this project's sessions, then ids of all: of those that were begun last."""
    from kata_cli.store.session_names import SESSION_ID
    from kata_cli.store.sessions import SessionStore

    state = asked.state
    store = SessionStore(state.directory)
    ids = _newest(store.directory, SESSION_ID)
    yield "last"
    for session_id in ids:
        with suppress(KataError):
            session = store.read(session_id)
            if session.header.project == state.project:
                yield session.name
    yield from ids


def _newest(folder: Path, form: re.Pattern[str]) -> list[str]:
    """The names of this form in a folder, without suffixes; they begin with a time.

    No index is asked: one that is not there yet would keep the shell waiting for minutes.
    """
    try:
        found = (name.partition(".")[0] for name in os.listdir(folder))
        return nlargest(MAX_NAMES, filter(form.fullmatch, found))
    except OSError:
        return []


def _history(asked: _Asked) -> Iterable[str]:
    """Where a run or a session is taken."""
    yield from _sessions(asked)
    yield from _runs(asked)


def _models(asked: _Asked) -> Iterable[str]:
    """What providers reported when they were last asked; with --provider the ids of that one."""
    from kata_cli.providers.catalog import kept_models

    provider = asked.given.get("provider")
    models = kept_models(asked.resolved.paths.cache / "models")
    if provider:
        return sorted(model.id for model in models if model.provider == provider)
    return sorted(f"{model.provider}/{model.id}" for model in models)


def _workflows(asked: _Asked) -> Iterable[str]:
    from kata_cli.workflows.catalog import names

    return names(asked.resolved.paths.config / "workflows")


def _providers(asked: _Asked) -> Iterable[str]:
    return asked.resolved.endpoints


def _schemas(asked: _Asked) -> Iterable[str]:
    from kata_cli.app.schemas import DOCUMENTS

    return DOCUMENTS


def _states(asked: _Asked) -> Iterable[str]:
    from kata_cli.core.records import RUN_EDGES

    return RUN_EDGES


SOURCES: dict[str, Callable[[_Asked], Iterable[str]]] = {
    "runs": _runs,
    "sessions": _sessions,
    "history": _history,
    "models": _models,
    "workflows": _workflows,
    "providers": _providers,
    "schemas": _schemas,
    "states": _states,
}
