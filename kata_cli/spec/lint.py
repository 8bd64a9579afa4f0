"""Deterministic checks of a document: one table of rules, each a small function in `rules_*`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from kata_cli.core.events import FindingReported
from kata_cli.spec import rules_form, rules_links, rules_text
from kata_cli.spec.document import Document, clean
from kata_cli.spec.inline import prose
from kata_cli.spec.language import is_english
from kata_cli.spec.parse import Draft, parse_with_lines
from kata_cli.spec.render import render
from kata_cli.spec.subject import Problem, Severity, Subject


class Rule(msgspec.Struct, frozen=True):
    """A check with a stable id. Strict-only rules run under `--strict` alone."""

    id: str
    severity: Severity
    check: Callable[[Subject], Iterator[Problem]]
    fix: str
    is_strict_only: bool = False


RULES = (
    Rule("KS001", "error", rules_form.front_matter, "begin the file as `kata run` does"),
    Rule("KS002", "error", rules_form.wrong_sections, "have each section once, under exactly its name"),
    Rule("KS002", "warning", rules_form.misplaced_sections, "kata spec fmt puts it in its place"),
    Rule("KS003", "error", rules_text.placeholders, "write what is meant, or ask it under Open Questions"),
    Rule("KS004", "error", rules_links.duplicate_ids, "give the newer one the next free id"),
    Rule("KS005", "warning", rules_links.unpadded_ids, "write ids with three digits, as in REQ-001"),
    Rule("KS006", "error", rules_links.unknown_references, "refer to an id that exists, or add it"),
    Rule("KS007", "error", rules_text.requirement_without_shall, "say what the system SHALL do"),
    Rule(
        "KS007",
        "warning",
        rules_text.requirement_without_shall_elsewhere,
        "write the binding word as SHALL, or ignore this with a reason",
    ),
    Rule("KS008", "warning", rules_text.two_requirements_in_one, "split it into one for each behaviour"),
    Rule(
        "KS009",
        "warning",
        rules_text.requirement_without_pattern,
        "begin it with The, WHEN …, WHILE …, IF … THEN or WHERE …",
        is_strict_only=True,
    ),
    Rule("KS010", "error", rules_links.requirement_without_criterion, "add a criterion that cites it"),
    Rule("KS011", "error", rules_links.criterion_without_requirement, "cite it as in (REQ-001)"),
    Rule("KS012", "warning", rules_text.criterion_without_when_then, "write it as GIVEN … WHEN … THEN …"),
    Rule(
        "KS013",
        "warning",
        rules_text.vague_words,
        "say how much, how long or how many",
        is_strict_only=True,
    ),
    Rule("KS014", "warning", rules_text.restated_requirements, "give a concrete situation and its outcome"),
    Rule("KS015", "error", rules_links.requirement_without_task, "add a task that cites it"),
    Rule("KS016", "warning", rules_links.task_without_requirement, "cite it as in (REQ-001)"),
    Rule("KS017", "error", rules_links.broken_order, "let `after` name only earlier work that exists"),
    Rule("KS018", "warning", rules_links.shared_paths, "order them with `after`, or split the path"),
    Rule("KS019", "warning", rules_text.vague_tasks, "write it as T-001 [role] … in `path`"),
    Rule("KS020", "error", rules_links.criterion_without_step, "add a step that checks it"),
    Rule("KS021", "warning", rules_text.steps_without_command, "give the command in backticks"),
    Rule("KS022", "warning", rules_text.many_questions, "decide some, and note how under Decisions"),
    Rule("KS023", "error", rules_text.unanswered_questions, "answer them, or set the status back to draft"),
    Rule("KS025", "warning", rules_text.long_texts, "shorten it, or split it"),
    Rule("KS027", "error", rules_text.secrets, "take it out, and revoke it if it was real"),
    Rule("KS030", "info", rules_links.incomplete_coverage, "close the gaps that the errors name"),
    Rule("KS031", "error", rules_form.unread_blocks, "write it as a draft can hold it, or take it out"),
)


def lint(
    document: Document, *, lines: Mapping[str, int] | None = None, is_strict: bool = False
) -> list[FindingReported]:
    """All findings, by line and then by rule.

    `lines` comes from `parse_with_lines` on the user's file; without it, lines are those of the rendered
    draft.
    """
    document = clean(document)
    return apply(
        RULES,
        Draft(document, dict(parse_with_lines(render(document))[1] if lines is None else lines)),
        is_strict=is_strict,
    )


def apply(rules: Iterable[Rule], draft: Draft, *, is_strict: bool) -> list[FindingReported]:
    """What these rules find in a draft as far as it could be read, by line and then by rule."""
    subject = _subject(draft)
    findings = [
        FindingReported(
            rule=rule.id,
            severity=rule.severity,
            message=problem.message,
            line=subject.line(problem.place),
            fix=rule.fix,
        )
        for rule in rules
        if is_strict or not rule.is_strict_only
        for problem in rule.check(subject)
    ]
    return sorted(findings, key=lambda finding: (finding.line, finding.rule))


def _subject(draft: Draft) -> Subject:
    known = (draft.document, draft.lines, draft.faults, draft.unread, draft.unread_sections)
    subject = Subject(*known, bare=draft.bare)
    texts = (prose(text.text) for text in subject.texts())
    return msgspec.structs.replace(subject, is_english=is_english(texts))
