"""The life of a plan version as pure functions: draft, tested, approved, published, retired.

Owns which state may follow which. Keeping the states is for `tables`.
"""

from dataclasses import dataclass
from enum import StrEnum

from store.problem import Problem, ProblemsError


class PlanState(StrEnum):
    """How far a version of a plan has come; it never goes back, a change makes a new version."""

    DRAFT = "draft"
    TESTED = "tested"
    APPROVED = "approved"
    PUBLISHED = "published"
    RETIRED = "retired"

    @property
    def label(self) -> str:
        """The state in Chinese."""
        return _LABELS[self]

    @property
    def rank(self) -> int:
        """The place of the state in the life of a version, from 0."""
        return list(PlanState).index(self)

    @property
    def immutable(self) -> bool:
        """Tell whether the version can no longer be replaced by another text."""
        return self.rank >= PlanState.PUBLISHED.rank


_LABELS = {
    PlanState.DRAFT: "草稿",
    PlanState.TESTED: "已测试",
    PlanState.APPROVED: "已批准",
    PlanState.PUBLISHED: "已发布",
    PlanState.RETIRED: "已停用",
}


@dataclass(frozen=True, slots=True)
class StateChange:
    """A wish to move a version to a state, with the reason that is kept."""

    state: PlanState
    reason: str


def next_state(current: PlanState, wanted: PlanState) -> PlanState:
    """Return the wanted state if it is the next one; raises ProblemsError otherwise."""
    if wanted.rank != current.rank + 1:
        raise ProblemsError(
            [
                Problem(
                    "方案状态",
                    f"“{current.label}”之后不能直接到“{wanted.label}”",
                    "按 草稿、已测试、已批准、已发布、已停用 的顺序；要改内容就出新版本",
                )
            ]
        )
    return wanted
