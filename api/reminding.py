"""Reminders of approvals that wait: one message a day to everybody who may act and subscribed to be told.

Owns the join of the approval room with the outbox of notifications, and the words. Who waits for what is
`distribution.approval.voting.overdue`'s.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from dashboards.web import Services
from distribution.approval.voting.overdue import Overdue, overdue
from monitoring.notifications.own import queue_note
from registry.actors import SYSTEM
from registry.divisions import division_names
from store.periods import Period, local_date

SHOWN = 20


def remind_once(services: Services, now: datetime) -> str:
    """Queue today's reminders, each subscription once a day; returns what was done in words."""
    with services.database.transaction() as session:
        waiting = overdue(session, SYSTEM, now)
        queued = sum(
            _remind(session, services, user_id, [one for one in waiting if user_id in one.people], now)
            for user_id in sorted({user_id for one in waiting for user_id in one.people})
        )
    return f"{len(waiting)} 批超过期限，{queued} 条提醒"


def _remind(
    session: Session, services: Services, user_id: str, mine: Sequence[Overdue], now: datetime
) -> int:
    names = division_names(session)
    lines = [
        f"{names.get(one.run.book, one.run.book)}{Period.parse(one.run.period).label}："
        f"等您{one.gate_word}，自 {local_date(one.since)} 起已 {one.days} 天"
        for one in mine[:SHOWN]
    ]
    if len(mine) > SHOWN:
        lines.append(f"还有 {len(mine) - SHOWN} 批，见“本月工作”。")
    subject = f"【{services.organizer or '阳光账本'}】{len(mine)} 批分配等您办理"
    return queue_note(session, user_id, (f"reminder-{local_date(now)}", subject, "\n".join(lines)), now)
