"""Bad data as a value.

Owns the one record in which every reader, importer, decoder and checker reports what is wrong.
It does not decide what happens next: the caller collects problems and shows them.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with given data, in words for the person who can mend it.

    `where` is a place that a person can find (file, sheet and cell; plan line; device and register),
    `what` says what is wrong there, `how_to_fix` says what to do about it.
    """

    where: str
    what: str
    how_to_fix: str

    def __str__(self) -> str:
        return f"{self.where}：{self.what}。{self.how_to_fix}"


class ProblemsError(ValueError):
    """Given data cannot be used at all; carries every problem found, never only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
