"""From a goal and a place to the context of a run: named files, stdin, landmarks, best pieces."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from kata_cli.context.bundle import Bundle
from kata_cli.context.index import Index, ReadPolicy, open_index
from kata_cli.context.overview import landmarks, overview
from kata_cli.context.query import ContextQuery, Limits
from kata_cli.context.rank import Hit, rank, terms
from kata_cli.context.repository import Listing, list_files
from kata_cli.context.shard import MAX_INDEXED_BYTES
from kata_cli.context.snippets import Piece, head, pieces
from kata_cli.context.sources import decode, select
from kata_cli.context.tree import Refused, Tree
from kata_cli.core.errors import KataError
from kata_cli.core.events import ContextGathered

_LANDMARK_BYTES = 2_000
_OVERVIEW_BYTES = 4_000
_BEST_SHARE = 4
_LANDMARK_SHARE = 8  # landmarks never take more than this part of the budget each


def gather(query: ContextQuery, redact: Callable[[str], str]) -> ContextGathered:
    """Collect the context of a run. Blocks: call it in a thread.

    What the user named is sent whole or raises `KataError` (see `sources.select`; `limit_reached` when it is
    over the budget). A tree that cannot be searched is a line in `diagnostics` and never fails the run.
    """
    bundle = Bundle(query.limits.max_tokens, redact)
    named = _add_named(query, bundle)
    if query.root is not None:
        try:
            _add_tree(query, query.root, named, bundle)
        except (OSError, sqlite3.Error) as error:
            bundle.diagnostics.append(f"the project could not be searched: {_reason(error)}")
    return bundle.event(query.root.name if query.root else "")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _add_named(query: ContextQuery, bundle: Bundle) -> set[Path]:
    selection = select(query.files, query.cwd, query.limits.max_named_bytes)
    for file in selection.files:
        bundle.add_named(file.name, file.data, file.text)
    if query.stdin_text:
        bundle.add_stdin(query.stdin_text)
    bundle.require_fit(query.limits.max_named_tokens)
    if selection.sensitive:
        bundle.left_out["sensitive"] += len(selection.sensitive)
    bundle.seen += len(selection.files) + len(selection.sensitive)
    return {file.path for file in selection.files}


class Choice(msgspec.Struct, frozen=True):
    """What the index says about the goal: the files to show, best first, and the landmarks."""

    landmarks: list[bytes]
    hits: list[Hit]
    wanted: list[str]


def _add_tree(query: ContextQuery, root: Path, named: set[Path], bundle: Bundle) -> None:
    with Tree(root) as tree:
        choice = _choose(query, tree, root, bundle)
        paths = set(choice.landmarks) | {hit.path for hit in choice.hits}
        skipped = {path for path in paths if named and Path(os.path.realpath(root / path.decode())) in named}
        add = partial(_add_file, query, tree, bundle)
        first = [path for path in choice.landmarks if path not in skipped]
        share = min(_LANDMARK_BYTES, 4 * bundle.max_tokens // _LANDMARK_SHARE)
        for path in first:
            add(path, partial(head, max_bytes=share), 0.0)
        room = query.limits.max_files - len(first)
        for hit in choice.hits:
            if room > 0 and hit.path not in skipped and hit.path not in first:
                cut = (
                    partial(pieces, terms=choice.wanted)
                    if hit.score
                    else partial(head, max_bytes=_OVERVIEW_BYTES)
                )
                room -= add(hit.path, cut, hit.score)


def _choose(query: ContextQuery, tree: Tree, root: Path, bundle: Bundle) -> Choice:
    with ThreadPoolExecutor(1) as pool:
        listing = pool.submit(list_files, root)
        open_now = partial(
            open_index, root, lambda: listing.result().paths, ReadPolicy.of(query.limits), query.cache_dir
        )
        with open_now() as index:
            try:
                choice = _ask(index, query, tree)
            except sqlite3.DatabaseError:  # damage that shows only when it is read
                with open_now(is_rebuilt=True) as rebuilt:
                    choice = _ask(rebuilt, query, tree)
            _account(bundle, listing.result(), index)
    return choice


def _ask(index: Index, query: ContextQuery, tree: Tree) -> Choice:
    wanted = terms(query.goal)
    # Twice the number: some will not be readable or not fit.
    hits = rank(index, wanted, 2 * query.limits.max_files, partial(_text, tree, query.limits))
    paths = list(index.sizes)
    # A landmark among the very best is shown by its best pieces; one further down might not be shown at all.
    best = {hit.path for hit in hits[: query.limits.max_files // _BEST_SHARE]}
    first = [path for path in landmarks(paths) if path not in best]
    if not hits:
        hits = [Hit(path, 0.0) for path in overview(paths)[: query.limits.max_files]]
    return Choice(first, hits, wanted)


def _text(tree: Tree, limits: Limits, path: bytes) -> bytes:
    """What the index has read of a file; nothing if it has gone since."""
    try:
        return tree.read(path, limits.max_file_bytes, MAX_INDEXED_BYTES).data
    except Refused:
        return b""


def _account(bundle: Bundle, listing: Listing, index: Index) -> None:
    bundle.seen += len(listing.paths)
    bundle.left_out.update(index.left_out())
    bundle.diagnostics += [*listing.diagnostics, *index.diagnostics]


def _add_file(
    query: ContextQuery,
    tree: Tree,
    bundle: Bundle,
    path: bytes,
    cut: Callable[[str], list[Piece]],
    score: float,
) -> bool:
    try:
        content = tree.read(path, query.limits.max_file_bytes)
        text = decode(content.data, path.decode())
    except Refused as refused:
        bundle.left_out[refused.reason] += 1
        return False
    except KataError:
        bundle.left_out["not_utf8"] += 1
        return False
    return bundle.add_pieces(path.decode(), content.data, text, cut, score)
