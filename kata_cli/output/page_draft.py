"""A spec draft as HTML, from its parts and never from Markdown."""

from __future__ import annotations

import re

import msgspec

from kata_cli.output.page_markup import Markup, element, join, text

_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")


class DraftRow(msgspec.Struct, frozen=True, kw_only=True):
    """One paragraph or item of a draft; `refs` and `after` are ids of other rows."""

    id: str = ""
    title: str = ""
    text: str = ""
    code: str = ""
    refs: list[str] = []
    after: list[str] = []


class DraftSection(msgspec.Struct, frozen=True, kw_only=True):
    """A section of a draft under its name."""

    name: str
    rows: list[DraftRow]


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A draft ready to be shown."""

    title: str
    note: str
    sections: list[DraftSection]


def draft_html(draft: Draft) -> Markup:
    """The sections in order; every id is a target that its references link to."""
    known = {row.id for section in draft.sections for row in section.rows if row.id}
    return element(
        "article",
        element("h3", draft.title),
        element("p", draft.note, class_="quiet"),
        *(_section(section, known) for section in draft.sections),
        class_="draft",
    )


def _section(section: DraftSection, known: set[str]) -> Markup:
    return join([element("h4", section.name), _body(section.rows, known)])


def _body(rows: list[DraftRow], known: set[str]) -> Markup:
    if not rows:
        return element("p", "None.", class_="quiet")
    if rows == [DraftRow(text=rows[0].text)]:
        return element("p", _spans(rows[0].text))
    return element("ul", *(_row(row, known) for row in rows))


def _row(row: DraftRow, known: set[str]) -> Markup:
    parts = [
        element("b", row.id) if row.id else None,
        element("i", row.title) if row.title else None,
        _links(row.refs, known) if row.refs else None,
        _spans(row.text) if row.text else None,
        element("code", row.code) if row.code else None,
        join(["after ", _links(row.after, known)]) if row.after else None,
    ]
    return element("li", _spaced([part for part in parts if part is not None]), id=row.id or None)


def _links(refs: list[str], known: set[str]) -> Markup:
    return _spaced([element("a", ref, href=f"#{ref}") if ref in known else text(ref) for ref in refs])


def _spaced(parts: list[Markup]) -> Markup:
    return Markup(" ".join(parts))


def _spans(line: str) -> Markup:
    """A line in which what stands between backticks is code."""
    pieces: list[str] = []
    position = 0
    for found in _CODE.finditer(line):
        pieces += [text(line[position : found.start()]), element("code", found[2].strip())]
        position = found.end()
    return join([*pieces, text(line[position:])])
