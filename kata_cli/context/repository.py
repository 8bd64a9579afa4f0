"""Which files a project has: git's own view of it, or a bounded walk where there is no git."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from kata_cli.core.children import tied

LIST_TIMEOUT_S = 30
MAX_WALKED_FILES = 50_000
_SKIPPED = """
.git .hg .svn node_modules .venv venv __pycache__ .mypy_cache .ruff_cache .pytest_cache .tox .nox .idea
target dist build vendor .next .cache .gradle .terraform coverage
"""
SKIPPED_FOLDERS = frozenset(_SKIPPED.split())
# A cloned repository's configuration is untrusted: `ls-files` runs a program only for fsmonitor.
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.untrackedCache=false")
_LIST = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")


class Listing(msgspec.Struct, kw_only=True):
    """Relative paths as bytes, sorted, and what went wrong while they were collected."""

    paths: list[bytes] = []
    diagnostics: list[str] = []


def find_root(cwd: Path) -> Path | None:
    """The repository around a directory, or None. Worktrees and submodules have a `.git` file."""
    here = cwd.resolve()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), None)


def list_files(root: Path) -> Listing:
    """The files below a directory, ignored ones excluded where git can tell."""
    if find_root(root) is None:
        return _walk(root)
    try:
        return Listing(paths=_ask_git(root))
    except FileNotFoundError:
        reason = "git was not found"
    except subprocess.TimeoutExpired:
        reason = f"git took more than {LIST_TIMEOUT_S} s"
    except subprocess.CalledProcessError as error:
        reason = "git: " + (error.stderr.decode("utf-8", "replace").strip().splitlines() or ["failed"])[0]
    except OSError as error:
        reason = f"git: {error.strerror}"
    walked = _walk(root)
    walked.diagnostics.insert(0, f"{reason}; walked the directory instead, without .gitignore")
    return walked


def _ask_git(root: Path) -> list[bytes]:
    # GIT_DIR and its like are set inside hooks and would point git at another tree.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    git = shutil.which("git")
    if git is None:
        raise FileNotFoundError
    # In a large tree git would search on for seconds after a killed kata.
    done = subprocess.run(
        tied([git, "--no-pager", "-C", str(root), *_SAFE, *_LIST], signal.SIGKILL),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIST_TIMEOUT_S,
        check=True,
    )
    # An unmerged path is listed once for each of its stages. In git's own order there is little to sort.
    return sorted(dict.fromkeys(filter(None, done.stdout.split(b"\0"))))


def _walk(root: Path) -> Listing:
    listing = Listing()
    for path in _walk_folder(os.fsencode(root), b"", listing.diagnostics):
        if len(listing.paths) == MAX_WALKED_FILES:
            listing.diagnostics.append(f"stopped after {MAX_WALKED_FILES:,} files of the directory")
            break
        listing.paths.append(path)
    listing.paths.sort()
    return listing


def _walk_folder(folder: bytes, prefix: bytes, diagnostics: list[str]) -> Iterator[bytes]:
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        shown = prefix.decode("utf-8", "backslashreplace").rstrip("/") or "."
        diagnostics.append(f"{shown}: {error.strerror}")
        return
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            if entry.name != b".git":  # a worktree's, with no repository behind it
                yield prefix + entry.name
        elif os.fsdecode(entry.name) not in SKIPPED_FOLDERS:
            yield from _walk_folder(entry.path, prefix + entry.name + b"/", diagnostics)
