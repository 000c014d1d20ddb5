"""The trail at the foot of a household's card: who did what to it, or looked at a whole number, and when.

Owns the words. The audit itself is `registry.audit`'s; whoever sees the household sees its trail.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.actors import Actor, Permission
from registry.audit import AuditEventRow
from registry.households import HouseholdMemberRow, household
from registry.users import UserRow

_WORDS = {
    ("unmask", "household_member"): "查看了完整身份证号",
    ("exit", "household"): "登记退出",
    ("return", "household"): "登记重新纳入",
    ("split", "household"): "登记分户",
    ("merge", "household"): "登记并户",
    ("death", "household"): "登记死亡",
    ("head", "household"): "变更户主",
    ("update", "household"): "修改户信息",
    ("request", "payee_account_change"): "申请变更收款账户",
    ("confirmed", "payee_account_change"): "复核了收款账户变更",
    ("rejected", "payee_account_change"): "退回了收款账户变更",
}
_LIMIT = 50


@dataclass(frozen=True, slots=True)
class TrailStep:
    """One step: when, who, what, and the written reason or document."""

    at: datetime
    who: str
    what: str
    reason: str


def household_trail(
    session: Session, actor: Actor, household_id: str, also: Collection[str] = ()
) -> tuple[TrailStep, ...]:
    """Return what was done to a household of the actor's area, the latest first.

    `also` are ids of things that belong to it, such as its account changes; its members' are found here.
    """
    actor.require(Permission.VIEW_HOUSEHOLDS)
    if household(session, actor, household_id) is None:
        return ()
    members = session.scalars(
        select(HouseholdMemberRow.id).where(HouseholdMemberRow.household_id == household_id)
    )
    objects = [household_id, *members, *also]
    statement = (
        select(AuditEventRow, UserRow.name)
        .outerjoin(UserRow, UserRow.id == AuditEventRow.actor_id)
        .where(AuditEventRow.object_id.in_(objects))
        .order_by(AuditEventRow.seq.desc())
        .limit(_LIMIT)
    )
    return tuple(
        TrailStep(row.at, name or "系统", _WORDS[row.action, row.object_kind], row.reason)
        for row, name in session.execute(statement)
        if (row.action, row.object_kind) in _WORDS
    )
