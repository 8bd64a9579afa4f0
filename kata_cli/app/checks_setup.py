"""Checks of what the user has set up: its files, the store, the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kata_cli.app.check import Check, Site, Status
from kata_cli.output.figures import plural
from kata_cli.store.atomic import strays, temporary
from kata_cli.store.runs import RunStore

MIN_FREE_BYTES = 50 * 1024 * 1024
LOW_FREE_BYTES = 500 * 1024 * 1024


def check_config(site: Site) -> Iterator[Check]:
    """The settings could be read; each warning of doing so is a row."""
    path = site.resolved.paths.config_file
    trouble = "" if path.exists() else "not there; the defaults hold"
    detail = "left out, as --isolated wants it" if site.is_isolated else trouble
    yield Check(status="ready", is_available=not detail, path=str(path), detail=detail)
    for warning in site.resolved.warnings:
        yield Check(status="warning", detail=warning, remedy="kata config show")


def check_project(site: Site) -> Iterator[Check]:
    """Whether this project has a `kata.toml`, and how much it may set."""
    path = site.resolved.project_file
    if path is None:
        detail = "no kata.toml from here to the repository root"
        yield Check(status="ready", is_available=False, detail=detail)
    elif site.resolved.is_trusted:
        yield Check(status="ready", path=str(path), detail="trusted: it may set everything")
    else:
        detail = "not trusted: it cannot name providers, keys or commands"
        yield Check(status="ready", path=str(path), detail=detail)


def check_permissions(site: Site) -> Iterator[Check]:
    """Keys and runs are for their owner alone; a row for each place where they are not."""
    paths = site.resolved.paths
    exposed = [
        *_exposed(paths.credentials_file, 0o600, "error"),
        *_exposed(paths.state / "runs", 0o700, "warning"),
    ]
    yield from exposed or [Check(status="ready", detail="keys and runs are readable by you alone")]


def check_store(site: Site) -> Iterator[Check]:
    """The runs lie in a directory that can be written."""
    directory = site.resolved.paths.state
    is_there = directory.is_dir()
    runs = RunStore(directory)
    trouble = _write_trouble(directory)
    detail = trouble or plural(len(runs.ids()), "run")
    yield Check(
        status="error" if trouble else "ready",
        is_available=is_there,
        path=str(directory),
        detail=detail if is_there or trouble else "not there yet; the first run makes it",
        remedy="check its permissions, or name another with KATA_HOME" if trouble else "",
    )
    left = len(strays(runs.directory)) if runs.directory.is_dir() else 0
    if left:
        detail = f"{plural(left, 'temporary file')} of processes that died"
        yield Check(status="warning", about="leftovers", detail=detail, remedy="the next run removes them")


def check_disk(site: Site) -> Iterator[Check]:
    """There is room for runs."""
    place = _nearest(site.resolved.paths.state)
    figures = os.statvfs(place)
    yield disk_row(place, figures.f_bavail * figures.f_frsize)


def disk_row(place: Path, free_bytes: int) -> Check:
    """What so much room means."""
    status: Status = "ready"
    if free_bytes < LOW_FREE_BYTES:
        status = "warning" if free_bytes >= MIN_FREE_BYTES else "error"
    remedy = "" if status == "ready" else "free some space, or name another place with KATA_HOME"
    detail = f"{free_bytes / 1024**2:,.0f} MiB free"
    return Check(status=status, path=str(place), detail=detail, remedy=remedy)


def _exposed(path: Path, mode: int, status: Status) -> Iterator[Check]:
    with suppress(OSError):
        actual = stat.S_IMODE(path.stat().st_mode)
        if actual & 0o077:
            detail = f"others can use it: its mode is {actual:04o}"
            yield Check(
                status=status, about=path.name, path=str(path), detail=detail, remedy=f"chmod {mode:o} {path}"
            )


def _nearest(path: Path) -> Path:
    """The path itself, or the nearest one above it that exists."""
    return next(place for place in (path, *path.parents) if os.path.lexists(place))


def _write_trouble(directory: Path) -> str:
    """Why no run could be written there, or nothing."""
    place = _nearest(directory)
    if not place.is_dir():
        return f"{place} is no directory"
    if place != directory:
        return "" if os.access(place, os.W_OK | os.X_OK) else f"cannot be made in {place}"
    probe = temporary(place)
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        probe.unlink()
    except OSError as error:
        return f"cannot be written: {error.strerror}"
    return ""
