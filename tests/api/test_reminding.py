"""Whoever an approval waits for too long is told once a day, with since when."""

from datetime import timedelta

from sqlalchemy import select

from api.reminding import remind_once
from distribution.approval.voting.overdue import overdue
from monitoring.notifications.subscriptions import Channel, Wish, subscribe
from monitoring.notifications.tables import MessageRow
from registry.actors import SYSTEM, Actor, Role
from registry.users import UserRow
from tests.api.test_tasks import services

__all__ = ["services"]
LATER = timedelta(days=9)


def test_a_run_that_waits_is_told_once_a_day_to_who_may_act_and_to_nobody_else(services):
    now = services.clock() + LATER
    with services.database.transaction() as session:
        waiting = overdue(session, SYSTEM, now)
        assert waiting
        assert all(one.days >= 3 for one in waiting)
        able = {user for one in waiting for user in one.people}
        rows = session.scalars(select(UserRow).where(UserRow.disabled.is_(False))).all()
        told = next(row for row in rows if row.id in able)
        other = next(row for row in rows if row.id not in able)
        for row in (told, other):
            actor = Actor(row.id, row.name, Role(row.role), row.area)
            wish = Wish(Channel.EMAIL, "a@example.org", row.area)
            subscribe(session, actor, row.id, wish, now)
    assert remind_once(services, now).endswith("1 条提醒")
    assert remind_once(services, now).endswith("0 条提醒")
    assert remind_once(services, now + timedelta(days=1)).endswith("1 条提醒")
    with services.database.reading() as session:
        messages = session.scalars(select(MessageRow).where(MessageRow.id.startswith("reminder-"))).all()
    assert len(messages) == 2
    assert "批分配等您办理" in messages[0].subject
    assert "天" in messages[0].text
    assert "等您" in messages[0].text
