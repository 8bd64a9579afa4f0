"""A batch comes into being: its input is checked as far as that can be done, its means are opened once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import msgspec

from kata_cli.app.batch_line import Work, prepared_line
from kata_cli.app.batch_source import Entry, Source, await_source, entries, open_source
from kata_cli.app.opening import Shared
from kata_cli.app.options import BatchOptions
from kata_cli.app.prepare import check_agents, fixed_epoch_s, scenario_of
from kata_cli.app.providers import open_service
from kata_cli.config.resolve import Resolved
from kata_cli.core.clock import FixedClock, SystemClock
from kata_cli.core.errors import KataError
from kata_cli.core.ports import Clock
from kata_cli.core.redact import Redactor
from kata_cli.output.figures import plural
from kata_cli.output.lines import key_phrase
from kata_cli.providers.service import ProviderService
from kata_cli.store.runs import RunStore
from kata_cli.store.session_index import open_sessions

MAX_THREADS = 8  # more of them would only contend for the interpreter
TOLD_LINES = 5

Say = Callable[[str], None]


class Input(msgspec.Struct, frozen=True):
    """The lines of a batch as they are read, and how many there are, where that is known before."""

    entries: Iterator[list[Entry]]
    total: int | None


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What the runs share, the time that they go by, and in a few words who answers them."""

    shared: Shared
    clock: Clock
    is_fixed: bool
    headline: str


def open_input(file: str, work: Work, say: Say) -> Input:
    """The lines of FILE. A file that can be read twice is checked whole before anything is asked.

    Raises `KataError`: io, usage for lines that cannot be run; those of a stream fail in their turn.
    """
    source = open_source(file)
    if source.start is not None:
        return Input(entries(source), _checked(source, work, say))
    await_source(source, wait_s=work.resolved.settings.stdin_wait, say=say)
    return Input(entries(source), None)


def open_means(options: BatchOptions, work: Work, redactor: Redactor) -> Means:
    """The one service of all lines, and their store. Raises `KataError` when nobody can be asked."""
    resolved = work.resolved
    check_agents(resolved, work.env)
    mode = resolved.settings.runtime_mode
    epoch_s = fixed_epoch_s(work.env) if mode == "mock" else None
    clock: Clock = SystemClock() if epoch_s is None else FixedClock(epoch_s)
    service = open_service(
        resolved,
        work.env,
        clock=clock,
        redactor=redactor,
        api_key_file=options.run.api_key_file,
        scenario=scenario_of(options.run.scenario, mode),
        most_requests=resolved.settings.jobs,
    )
    state = resolved.paths.state
    shared = Shared(
        service=service,
        runs=RunStore(state),
        sessions=open_sessions(state),
        pool=ThreadPoolExecutor(min(MAX_THREADS, resolved.settings.jobs + 2)),
    )
    headline = _headline(resolved, service)
    return Means(shared=shared, clock=clock, is_fixed=epoch_s is not None, headline=headline)


def _checked(source: Source, work: Work, say: Say) -> int:
    """How many lines there are. Raises `KataError` usage when some of them cannot be run."""
    total = 0
    bad: list[KataError] = []
    for entry in chain.from_iterable(entries(source)):
        total += 1
        try:
            prepared_line(entry, work)
        except KataError as error:
            bad.append(error)
            if len(bad) <= TOLD_LINES:
                say(f"line {entry.number}: {error.failure.message}")
                say(f"line {entry.number}: hint: {error.failure.hint}")
    if bad:
        told = f"{plural(len(bad), 'line')} of {source.name} cannot be run; nothing was asked"
        raise KataError(
            bad[0].failure.code, told, "mend what is listed above, or pipe the file: kata batch -"
        )
    return total


def _headline(resolved: Resolved, service: ProviderService) -> str:
    """Mode, model, key and host. Raises `KataError` where no key can be used."""
    settings = resolved.settings
    if settings.runtime_mode == "pi" and settings.model is None:
        return f"pi · {settings.jobs} at a time"  # what Pi lists is asked when the first line needs it
    choice = service.choose(settings.provider, settings.model)
    service.check_priced(choice.model)
    named = f"{settings.runtime_mode} {choice.model}"
    parts = [named, key_phrase(choice.key_source), choice.host, f"{settings.jobs} at a time"]
    return " · ".join(part for part in parts if part)
