"""A loss of the network all over the county: one alarm and one message to each person, however it arrives."""

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select

from monitoring.alarms.watch import Manner
from monitoring.notifications.outbox import compose, queue
from monitoring.notifications.tables import MessageRow, NewsRow
from tests.monitoring.alarms.conftest import ALL, Watcher
from tests.monitoring.notifications.conftest import LOGINS, Office

STEP = 5


@pytest.fixture
def storm(office: Office, running) -> tuple[Office, Watcher]:
    """Everybody wants to hear of everything at once, while the service watches and tells."""
    for login in LOGINS:
        office.subscribe(login, digest_minutes=0)
    return office, Watcher(running, manner=Manner(tell=queue))


def _watch(watcher, minutes, silent_from):
    """Go on step by step; each device is silent from its own minute of the storm on."""
    for minute in range(0, minutes, STEP):
        silent = [name for name, first in silent_from.items() if minute >= first]
        watcher.run(STEP, step=STEP, silent=silent)
        with watcher.county.database.transaction() as session:
            compose(session, lambda *_: {}, "测试账本", watcher.now)


def _messages(watcher):
    with watcher.county.database.reading() as session:
        return list(session.scalars(select(MessageRow).order_by(MessageRow.created_at, MessageRow.id)))


@pytest.mark.parametrize(
    "apart", [dict.fromkeys(ALL, 0), {name: 5 * (number // 2) for number, name in enumerate(ALL)}]
)
def test_a_network_that_is_lost_all_over_the_county_is_one_message_to_each(storm, apart) -> None:
    _office, watcher = storm
    _watch(watcher, 180, apart)
    messages = _messages(watcher)
    assert Counter(one.subscription_id for one in messages).most_common(1)[0][1] == 1
    assert len(messages) == len(LOGINS)
    assert {one.alarms for one in messages} == {1}
    assert all("某县" in one.text and "通信中断" in one.text for one in messages)
    (alarm,) = [one for one in watcher.alarms() if not one.parent_id]
    assert alarm.affected_power_w == 300_000
    _watch(watcher, 90, {})
    over = _messages(watcher)[len(messages) :]
    assert len(over) == len(LOGINS)
    assert all("恢复" in one.text and one.alarms == 1 for one in over)
    with watcher.county.database.reading() as session:
        waiting = session.scalars(
            select(NewsRow).where(NewsRow.message_id.is_(None), NewsRow.dropped == "")
        ).all()
    assert waiting == []
    assert watcher.now - alarm.opened_at < timedelta(hours=5)
