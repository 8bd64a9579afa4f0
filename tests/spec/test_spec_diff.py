"""What differs between two drafts, by id; layout is no difference."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.spec.diff import Change, EntryChange, SectionDiff, diff
from kata_cli.spec.document import Criterion, Document, Question, Requirement, Step, Task, clean
from kata_cli.spec.parse import parse
from kata_cli.spec.render import render

OLD = Document(
    id="shelf",
    title="Shelf",
    goal="Keep records.",
    risks=["It may be slow.", "It may be full."],
    requirements=[
        Requirement(id="REQ-001", title="Save", text="The shelf SHALL save."),
        Requirement(id="REQ-002", title="Load", text="The shelf SHALL load."),
    ],
    criteria=[Criterion(id="AC-001", requirements=["REQ-001"], text="GIVEN a WHEN b THEN c")],
    tasks=[Task(id="T-001", requirements=["REQ-001"], text="Build it", path="shelf.py")],
    verification=[Step(criterion="AC-001", command="pytest -q")],
)

WORDS = st.sampled_from(["", "a", "b", "c", "d"])
SOME = st.lists(WORDS, max_size=4)


def ids(prefix: str) -> st.SearchStrategy[str]:
    return st.integers(1, 4).map(lambda number: f"{prefix}-{number:03d}")


def some(kind: type, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[list[object]]:
    return st.lists(st.builds(kind, **fields), max_size=4)


DOCUMENTS = st.builds(
    Document,
    id=WORDS,
    title=WORDS,
    goal=WORDS,
    revision=st.integers(1, 3),
    risks=SOME,
    decisions=SOME,
    rollback=SOME,
    requirements=some(Requirement, id=ids("REQ"), title=WORDS, text=WORDS),
    criteria=some(Criterion, id=ids("AC"), requirements=st.lists(ids("REQ"), max_size=2), text=WORDS),
    tasks=some(Task, id=ids("T"), is_done=st.booleans(), text=WORDS, after=st.lists(ids("T"), max_size=2)),
    verification=some(Step, criterion=ids("AC"), command=WORDS, note=WORDS),
    open_questions=some(Question, id=ids("Q"), text=WORDS),
).map(clean)


def changed(**changes: object) -> list[SectionDiff]:
    """How OLD with these changes differs from OLD."""
    return diff(OLD, msgspec.structs.replace(OLD, **changes))


def test_layout_is_no_difference() -> None:
    """A file with other blanks, line ends and list marks says the same."""
    text = render(OLD)
    loose = text.replace("\n- ", "\r\n*   ").replace("\n\n", "\n\n\n")
    assert loose != text
    assert diff(parse(text), parse(loose)) == []


def test_front_matter_goal_and_order() -> None:
    """Keys of the front matter, prose, and lists that are only in another order are told as such."""
    found = changed(revision=2, status="accepted", goal="Keep them.", risks=OLD.risks[::-1])
    assert found == [
        SectionDiff(
            section="Front matter",
            changes=[
                Change(field="status", old="draft", new="accepted"),
                Change(field="revision", old="1", new="2"),
            ],
        ),
        SectionDiff(section="Goal", changes=[Change(field="goal", old="Keep records.", new="Keep them.")]),
        SectionDiff(section="Risks", is_reordered=True),
    ]


def test_added_removed_and_changed_entries() -> None:
    """An entry is known by its id: one goes, one comes, one has other texts."""
    save = msgspec.structs.replace(OLD.requirements[0], text="The shelf SHALL save at once.")
    sort = Requirement(id="REQ-003", title="Sort", text="The shelf SHALL sort.")
    [found] = changed(requirements=[save, sort])
    assert [(entry.kind, entry.id) for entry in found.entries] == [
        ("removed", "REQ-002"),
        ("changed", "REQ-001"),
        ("added", "REQ-003"),
    ]
    assert found.entries[1].changes == [
        Change(field="text", old="The shelf SHALL save.", new="The shelf SHALL save at once.")
    ]
    assert Change(field="title", old="", new="Sort") in found.entries[2].changes


def test_an_entry_under_another_id_has_moved() -> None:
    """The same text under another id is one move, not a loss and a gain; a swap is two."""
    load = msgspec.structs.replace(OLD.requirements[1], id="REQ-007")
    [found] = changed(requirements=[OLD.requirements[0], load])
    assert found.entries == [EntryChange(kind="moved", id="REQ-007", old_id="REQ-002", changes=[])]
    first, second = OLD.requirements
    swapped = [msgspec.structs.replace(first, id="REQ-002"), msgspec.structs.replace(second, id="REQ-001")]
    [found] = changed(requirements=swapped)
    assert {(entry.kind, entry.old_id, entry.id) for entry in found.entries} == {
        ("moved", "REQ-001", "REQ-002"),
        ("moved", "REQ-002", "REQ-001"),
    }


def test_links_ticks_and_commands_are_texts_too() -> None:
    """What an entry cites, whether a task is done, and how a criterion is checked are told old and new."""
    found = changed(
        criteria=[msgspec.structs.replace(OLD.criteria[0], requirements=["REQ-001", "REQ-002"])],
        tasks=[msgspec.structs.replace(OLD.tasks[0], is_done=True)],
        verification=[Step(criterion="AC-001", command="pytest -x")],
    )
    assert [change for part in found for entry in part.entries for change in entry.changes] == [
        Change(field="requirements", old="REQ-001", new="REQ-001, REQ-002"),
        Change(field="is_done", old="open", new="done"),
        Change(field="command", old="pytest -q", new="pytest -x"),
    ]


def test_a_renamed_section() -> None:
    """Items that stand below another heading, all of them, are one renamed section."""
    assert changed(risks=[], decisions=OLD.risks) == [SectionDiff(section="Decisions", renamed_from="Risks")]
    assert len(changed(risks=[], decisions=OLD.risks[:1])) == 2


def mirrored(parts: Iterable[SectionDiff]) -> list[SectionDiff]:
    """A difference read the other way round."""
    renamed = {part.renamed_from: part.section for part in parts if part.renamed_from}
    return [
        *(SectionDiff(section=old, renamed_from=new) for old, new in renamed.items()),
        *(
            msgspec.structs.replace(
                part,
                changes=[_turned(change) for change in part.changes],
                entries=[_other_way(entry) for entry in part.entries],
                added=part.removed,
                removed=part.added,
            )
            for part in parts
            if not part.renamed_from
        ),
    ]


def _turned(change: Change) -> Change:
    return Change(field=change.field, old=change.new, new=change.old)


def _other_way(entry: EntryChange) -> EntryChange:
    kind = {"added": "removed", "removed": "added"}.get(entry.kind, entry.kind)
    changes = [_turned(change) for change in entry.changes]
    ids = (entry.old_id, entry.id) if entry.kind == "moved" else (entry.id, "")
    return EntryChange(kind=kind, id=ids[0], old_id=ids[1], changes=changes)  # type: ignore[arg-type]


def unordered(parts: Iterable[SectionDiff]) -> list[str]:
    """Differences in a form that does not depend on the order in which they are told."""
    return sorted(
        repr(msgspec.structs.replace(part, entries=sorted(part.entries, key=repr))) for part in parts
    )


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, DOCUMENTS)
def test_laws_of_a_difference(one: Document, other: Document) -> None:
    """No difference exactly when the documents are equal; the other way round it is the mirror image."""
    assert (diff(one, other) == []) == (one == other)
    assert diff(one, one) == []
    assert unordered(diff(other, one)) == unordered(mirrored(diff(one, other)))


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS, DOCUMENTS)
def test_every_entry_is_accounted_for(one: Document, other: Document) -> None:
    """What came minus what went is what the new document has more."""
    found = {part.section: part.entries for part in diff(one, other)}
    kinds = [entry.kind for entry in found.get("Requirements", [])]
    assert kinds.count("added") - kinds.count("removed") == len(other.requirements) - len(one.requirements)
