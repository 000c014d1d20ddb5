"""What an operator's command gives back: one shape for people, for machines and for the exit code."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Self

from store.problem import Problem


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FOUND = 1
    REFUSED = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """A summary in words, rows with Chinese column labels, problems, and the exit code.

    `columns` maps a key of the rows to its label; rows hold plain JSON values with units in the key.
    `details` is what only machines read: plain JSON values beside the rows.
    """

    summary: str
    columns: Mapping[str, str]
    rows: tuple[Mapping[str, Any], ...] = ()
    problems: tuple[Problem, ...] = ()
    exit_code: Exit = Exit.DONE
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def refused(cls, problems: Iterable[Problem]) -> Self:
        """Return the outcome of a command that did nothing, with the reasons."""
        return cls("没有执行", {}, (), tuple(problems), Exit.REFUSED)

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as plain JSON values."""
        return {
            "summary": self.summary,
            "columns": dict(self.columns),
            "rows": [dict(row) for row in self.rows],
            "problems": [
                {"where": problem.where, "what": problem.what, "how_to_fix": problem.how_to_fix}
                for problem in self.problems
            ],
            "exit_code": int(self.exit_code),
            **({"details": dict(self.details)} if self.details else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read back what `as_json` wrote."""
        return cls(
            value["summary"],
            value["columns"],
            tuple(value["rows"]),
            tuple(Problem(**problem) for problem in value["problems"]),
            Exit(value["exit_code"]),
            value.get("details", {}),
        )
