"""What validation says: a check per rule, a verdict per table, and the errors that stop a flow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Check:
    """One rule, judged: what was expected, what came, how many rows failed.

    `error` is the text of a check that crashed: then nothing is known of the data, and `passed` is False.
    """

    rule: str
    sentence: str
    level: str
    severity: str
    expected: str
    observed: str
    failed_rows: int
    passed: bool
    advice: str = ""
    error: str = ""


@dataclass(frozen=True)
class Verdict:
    """What was found of one table. `passed` means that its good rows may go on; `rows_held` rows may not."""

    table: str
    rows: int
    passed: bool
    checks: tuple[Check, ...]
    rows_held: int
    checked_at: datetime | None = None

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        """The checks that did not pass, warnings and held rows included."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def refusing_checks(self) -> tuple[Check, ...]:
        """The checks for which the table is refused: critical ones that failed, and every one that crashed."""
        return tuple(check for check in self.failed_checks if check.severity == "critical" or check.error)


class TableStopped(Exception):
    """A table may not go on; `verdict` holds all that was found, so that it can be published before the flow stops."""

    def __init__(self, message: str, verdict: Verdict | None = None) -> None:
        super().__init__(message, verdict)
        self.verdict = verdict

    def __str__(self) -> str:
        return str(self.args[0])


class DataRejected(TableStopped):
    """A table broke a rule that stops the flow; the message names table, rule, expected, came and what to do."""


class CheckCrashed(TableStopped):
    """A check itself failed to run, so nothing is known of the data; a fault of the check, not of the shop."""


def raise_if_refused(verdict: Verdict) -> None:
    """Stop here unless the table may go on. Raises DataRejected, or CheckCrashed when a check could not run."""
    crashed = [check for check in verdict.checks if check.error]
    if crashed:
        raise CheckCrashed(_message(verdict, crashed, "could not be checked"), verdict)
    if not verdict.passed:
        raise DataRejected(_message(verdict, verdict.refusing_checks, "was refused"), verdict)


def _message(verdict: Verdict, checks: Sequence[Check], what: str) -> str:
    lines = [f"Table {verdict.table} {what} ({verdict.rows:,} rows looked at); nothing of it was written."]
    for check in checks:
        lines.append(f"  Rule {check.rule}: {check.sentence}")
        if check.error:
            lines.append(f"    The check crashed: {check.error}")
            lines.append("    What to do: this is a fault of the check, not of the data; mend it and run again.")
            continue
        lines.append(f"    Expected {check.expected}; came {check.observed}.")
        lines.append(f"    What to do: {check.advice or 'mend the export or its mapping and run again.'}")
    return "\n".join(lines)
