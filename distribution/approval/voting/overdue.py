"""Runs that wait too long: at which gate, since when, and for whom.

Owns finding them. How long is too long is the county's parameter; telling people is the composition root's.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from distribution.approval.runs import Run, own_row, runs
from distribution.approval.states import BOOKED, GATE_NAMES, GATE_PERMISSIONS, RunState
from distribution.approval.tables import RunEventRow, VoteRow
from distribution.approval.voting.delegations import delegates_of
from distribution.approval.voting.votes import makers_of, waiting_gate
from registry.actors import Actor, Permission
from registry.parameters import Place, value_on
from registry.users import holders
from store.periods import local_date

_SUBMIT, _NOTICE = "submit", "notice"
_RIGHTS = {**GATE_PERMISSIONS, _SUBMIT: Permission.VOTE_VILLAGE, _NOTICE: Permission.OPEN_NOTICE}
_WORDS = {**GATE_NAMES, _SUBMIT: "核对并提交", _NOTICE: "张贴公示", "objection": "处理异议"}
_STILL = frozenset(
    {RunState.NOTICE_OPEN, RunState.REJECTED, RunState.SUPERSEDED, RunState.REVISION_REQUESTED}
)


@dataclass(frozen=True, slots=True)
class Overdue:
    """A run that waits: at which gate (in Chinese too), since when, how many days, and who may act."""

    run: Run
    gate: str
    gate_word: str
    since: datetime
    days: int
    people: frozenset[str]


def overdue(session: Session, actor: Actor, now: datetime, *, period: str = "") -> tuple[Overdue, ...]:
    """Return the runs of the actor's area that have waited as long as their county allows, longest first."""
    found = []
    for one in runs(session, actor, period=period):
        if one.state in BOOKED or one.state in _STILL:
            continue
        gate = "objection" if one.state is RunState.OBJECTION_HOLD else waiting_gate(session, actor, one.id)
        if not gate:
            continue
        since = session.scalar(select(func.max(RunEventRow.changed_at)).where(RunEventRow.run_id == one.id))
        days = (local_date(now) - local_date(since or one.made_at)).days
        limit = value_on("approval_reminder_days", local_date(now), Place(one.book), session=session).value
        if days >= limit:
            people = _people(session, actor, (one, gate), now)
            found.append(Overdue(one, gate, _WORDS[gate], since or one.made_at, days, people))
    return tuple(sorted(found, key=lambda one: (-one.days, one.run.id)))


def _people(session: Session, actor: Actor, what: tuple[Run, str], now: datetime) -> frozenset[str]:
    """Return who may act at a gate: who holds the right and his delegates, less makers and earlier voters."""
    one, gate = what
    right = _RIGHTS.get(gate, Permission.DECIDE_OBJECTION)
    able = holders(session, right, one.book)
    if gate not in GATE_PERMISSIONS:
        return able
    voted = session.scalars(select(VoteRow.voter_id).where(VoteRow.run_id == one.id))
    barred = {*voted, *makers_of(session, own_row(session, actor, one.id))}
    acting = able | delegates_of(session, gate, able - barred, local_date(now))
    return frozenset(acting - barred)
