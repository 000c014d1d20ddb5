"""Planned work counts when it was announced in time, and only as long as it holds."""

from datetime import timedelta

import pytest

from monitoring.calendar.planned import (
    AnnouncedTooLateError,
    PlannedWorkError,
    announce,
    announced_between,
    cancel,
    planned_between,
    planned_work,
)
from registry.actors import NotPermittedError
from tests.monitoring.work_orders.conftest import CADRE, NOW, OFFICER, STRANGER, WORKER, register

HOUR = timedelta(hours=1)


@pytest.fixture
def ready(database):
    register(database)
    return database


def plan(  # noqa: PLR0913, each may be left out
    ready, subject="s1", by=WORKER, *, begins=2, lasts=4, words="更换汇流箱"
):
    start = NOW + begins * HOUR
    with ready.transaction() as session:
        return announce(session, by, subject, (start, start + lasts * HOUR, words), NOW)


def read(ready, hours):
    with ready.reading() as session:
        return planned_work(session, NOW + hours * HOUR)


def test_announced_work_covers_its_hours(ready):
    plan(ready)
    assert [bool(read(ready, hours)) for hours in (1, 2, 5.9, 6)] == [False, True, True, False]


def test_work_that_has_begun_is_no_planned_work(ready):
    with pytest.raises(AnnouncedTooLateError, match="不算计划检修"):
        plan(ready, begins=-1)


@pytest.mark.parametrize(
    ("fields", "told"),
    [({"lasts": 0}, "晚于开始"), ({"lasts": 2000}, "最多 60 天"), ({"words": " "}, "没有写检修内容")],
)
def test_work_without_sense_is_refused(ready, fields, told):
    with pytest.raises(PlannedWorkError, match=told):
        plan(ready, **fields)


def test_cancelled_work_ends_when_it_is_cancelled(ready):
    work = plan(ready)
    with ready.transaction() as session:
        cancel(session, OFFICER, work, "提前修好", NOW + 3 * HOUR)
    assert [bool(read(ready, hours)) for hours in (2.5, 3.5)] == [True, False]
    with ready.reading() as session:
        assert planned_between(session, NOW, NOW + 9 * HOUR) == [
            ("s1", NOW + 2 * HOUR, NOW + 3 * HOUR, "更换汇流箱")
        ]
        shown = announced_between(session, OFFICER, NOW, NOW + 9 * HOUR)
    assert [(one.end, one.reason) for one in shown] == [(NOW + 3 * HOUR, "提前修好")]


def test_work_that_is_cancelled_before_it_begins_never_was(ready):
    work = plan(ready)
    with ready.transaction() as session:
        cancel(session, WORKER, work, "改期", NOW + HOUR)
    with ready.reading() as session:
        assert planned_between(session, NOW, NOW + 9 * HOUR) == []
    with ready.transaction() as session, pytest.raises(PlannedWorkError, match="已经结束或取消"):
        cancel(session, WORKER, work, "再取消", NOW + HOUR)


def test_it_is_announced_and_cancelled_only_where_one_may(ready):
    with pytest.raises(NotPermittedError):
        plan(ready, by=CADRE)
    with pytest.raises(LookupError):
        plan(ready, subject="s2", by=WORKER)
    work = plan(ready, subject="s1i1")
    with ready.transaction() as session, pytest.raises(LookupError):
        cancel(session, STRANGER, work, "别家的", NOW)
    with ready.reading() as session:
        assert [one.subject for one in announced_between(session, CADRE, NOW, NOW + 9 * HOUR)] == [
            "石坝村1号电站 1号逆变器"
        ]
        assert announced_between(session, STRANGER, NOW, NOW + 9 * HOUR) == ()
