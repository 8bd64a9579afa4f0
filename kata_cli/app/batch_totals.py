"""What a batch came to: counts, the exit status that stands for all lines, and its last line."""

from __future__ import annotations

from collections import Counter

import msgspec

from kata_cli.app.batch_line import ResultLine
from kata_cli.core.errors import ErrorDocument, Exit, Failure, document
from kata_cli.core.messages import Usage
from kata_cli.output.figures import plural

ABOVE_ALL = (Exit.TERM, Exit.INT, Exit.HUP, Exit.DEADLINE, Exit.LIMIT)
AGAIN = "kata batch with --resume-batch and this output goes on with what did not complete"


class BatchFinished(msgspec.Struct, kw_only=True):
    """The last line of `kata batch` (`kata.batch/v1`).

    `lines` have a result line; `passed_on` of them completed in an earlier batch. `not_begun` is null where
    the input was not read to its end. Usage and cost are those of this batch.
    """

    type: str = "batch.finished"
    schema: str = "kata.batch/v1"
    exit_code: int
    lines: int
    completed: int
    failed: int
    interrupted: int
    passed_on: int
    not_begun: int | None
    exit_codes: dict[str, int]
    usage: Usage
    cost_usd: float | None
    duration_s: float
    error: ErrorDocument | None


class Totals:
    """The sums of a batch; nothing is kept of a single line."""

    def __init__(self) -> None:
        self.states: Counter[str] = Counter()
        self.exits: Counter[int] = Counter()
        self.usage = Usage()
        self.passed_on = 0
        self._codes: Counter[tuple[int, str]] = Counter()

    @property
    def lines(self) -> int:
        return sum(self.states.values())

    @property
    def failed(self) -> int:
        """How many lines did not end with 0."""
        return self.lines - self.exits[Exit.OK]

    def add(self, line: ResultLine) -> None:
        """Count a line of this batch."""
        self._count(line)
        self.usage += line.usage

    def pass_on(self, line: ResultLine) -> None:
        """Count a line that an earlier batch had completed, and paid for."""
        self._count(line)
        self.passed_on += 1

    def _count(self, line: ResultLine) -> None:
        self.states[line.status] += 1
        self.exits[line.exit_code] += 1
        if line.error is not None:
            self._codes[line.exit_code, line.error.code] += 1

    def failure(self, stopped: Failure | None) -> Failure | None:
        """The one failure that stands for the batch: what stopped it, else the precedence of the exits."""
        if stopped is not None:
            told = f"{stopped.message}; {plural(self.lines, 'line')} had ended"
            return msgspec.structs.replace(stopped, message=told, remediation=stopped.remediation or AGAIN)
        exit = aggregate(self.exits)
        if exit == Exit.OK:
            return None
        causes = ", ".join(f"{code} {number}" for (_, code), number in self._codes.most_common())
        message = f"{self.failed} of {plural(self.lines, 'line')} failed: {causes}"
        return Failure(code=self._code_of(exit), message=message, remediation=AGAIN, exit_code=exit)

    def finished(self, failure: Failure | None, not_begun: int | None, duration_s: float) -> BatchFinished:
        """The last line."""
        return BatchFinished(
            exit_code=failure.exit if failure else Exit.OK,
            lines=self.lines,
            completed=self.states["completed"],
            failed=self.states["failed"],
            interrupted=self.states["interrupted"],
            passed_on=self.passed_on,
            not_begun=not_begun,
            exit_codes={str(int(code)): number for code, number in sorted(self.exits.items())},
            usage=self.usage,
            cost_usd=self.usage.cost_usd,
            duration_s=round(duration_s, 6),
            error=document(failure) if failure else None,
        )

    def _code_of(self, exit: int) -> str:
        """The commonest code with that exit status; different causes are `task_failed`."""
        for (status, code), _ in self._codes.most_common():
            if status == exit:
                return code
        return "task_failed"


def aggregate(exits: Counter[int]) -> int:
    """The exit status of all lines: signal, time-out, limit, the one cause that all share, else 8."""
    failed = {exit for exit, number in exits.items() if exit != Exit.OK and number}
    if not failed:
        return Exit.OK
    for exit in ABOVE_ALL:
        if exit in failed:
            return exit
    return failed.pop() if len(failed) == 1 else Exit.DELEGATION
