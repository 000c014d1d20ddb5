"""A work order goes its way, and nobody goes around it."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from monitoring.work_orders.orders import Entry, Part, Photo, WorkOrderError, act
from monitoring.work_orders.reads import (
    OrderFilter,
    log_of,
    photo_type,
    punctuality,
    work_order,
    work_orders,
)
from monitoring.work_orders.states import Action, OrderState
from registry.actors import NotPermittedError
from tests.monitoring.work_orders.conftest import (
    CADRE,
    CLERK,
    LEADER,
    NOW,
    OFFICER,
    STRANGER,
    WORKER,
    Orders,
    register,
)

HOUR = timedelta(hours=1)
PICTURE = Photo("a" * 64, "image/jpeg")


def do(orders, order_id, by, action, note="已到场处理", **fields):
    now = fields.pop("now", NOW + HOUR)
    with orders.database.transaction() as session:
        return act(session, by, order_id, Entry(action, note, **fields), now)


def read(orders, order_id, by=OFFICER):
    with orders.database.reading() as session:
        return work_order(session, by, order_id)


def test_an_order_goes_from_the_county_to_the_company_and_back(orders):
    order_id = orders.open(alarm_id="alarm-1", device_id="s1i1")
    do(orders, order_id, WORKER, Action.ACCEPT, "")
    done = {"photos": (PICTURE,), "parts": (Part("散热风扇", 2, "FS-204"),)}
    do(orders, order_id, WORKER, Action.FINISH, "更换风扇，已并网", now=NOW + 5 * HOUR, **done)
    do(orders, order_id, OFFICER, Action.CLOSE, "", now=NOW + 6 * HOUR)
    found = read(orders, order_id)
    assert (found.state, found.done_at, found.closed_at) == (
        OrderState.CLOSED,
        NOW + 5 * HOUR,
        NOW + 6 * HOUR,
    )
    assert found.number == "20261125-001"
    with orders.database.reading() as session:
        log = log_of(session, OFFICER, order_id)
        assert [one.action for one in log] == ["dispatch", "accept", "finish", "close"]
        assert log[2].photos == (PICTURE.sha256,)
        assert log[2].parts == (Part("散热风扇", 2, "FS-204"),)
        assert photo_type(session, WORKER, order_id, PICTURE.sha256) == "image/jpeg"
        assert photo_type(session, STRANGER, order_id, PICTURE.sha256) is None


def test_work_that_is_sent_back_is_not_done(orders):
    order_id = orders.open()
    do(orders, order_id, WORKER, Action.FINISH)
    do(orders, order_id, OFFICER, Action.SEND_BACK, "照片看不清")
    assert read(orders, order_id).done_at is None
    do(orders, order_id, WORKER, Action.FINISH, "重新拍照", now=NOW + 80 * HOUR)
    with orders.database.reading() as session:
        result = punctuality(work_orders(session, OFFICER), NOW + 81 * HOUR)
    assert (result.due, result.in_time, result.share) == (1, 0, 0.0)


def test_who_reported_the_work_done_cannot_close_it(orders):
    order_id = orders.open()
    do(orders, order_id, OFFICER, Action.FINISH, "县里自己去修的")
    with pytest.raises(WorkOrderError, match="不能自己验收"):
        do(orders, order_id, OFFICER, Action.CLOSE, "")
    assert do(orders, order_id, LEADER, Action.CLOSE, "") is OrderState.CLOSED


def test_a_person_of_a_company_sees_and_handles_only_its_stations(orders):
    mine, others = orders.open("s1"), orders.open("s2")
    with orders.database.reading() as session:
        assert [one.id for one in work_orders(session, WORKER)] == [mine]
        assert [one.id for one in work_orders(session, STRANGER)] == [others]
        assert {one.id for one in work_orders(session, CADRE)} == {mine, others}
        assert work_order(session, WORKER, others) is None
    with pytest.raises(LookupError):
        do(orders, others, WORKER, Action.ACCEPT)


@pytest.mark.parametrize(
    ("actor", "action"),
    [
        (WORKER, Action.CLOSE),
        (WORKER, Action.EXTEND),
        (CLERK, Action.CLOSE),
        (CLERK, Action.ACCEPT),
        (CADRE, Action.ACCEPT),
        (CADRE, Action.CANCEL),
    ],
)
def test_nobody_does_what_is_not_theirs(orders, actor, action):
    order_id = orders.open()
    with pytest.raises(NotPermittedError):
        do(orders, order_id, actor, action)


def test_a_village_or_a_company_sends_no_order(orders):
    for actor in (CADRE, WORKER):
        with pytest.raises(NotPermittedError):
            orders.open(by=actor)
    assert orders.open(by=CLERK)


def test_one_alarm_has_one_order_at_a_time(orders):
    first = orders.open(alarm_id="alarm-1")
    with pytest.raises(WorkOrderError, match="20261125-001"):
        orders.open(alarm_id="alarm-1")
    do(orders, first, OFFICER, Action.CANCEL, "误派")
    assert orders.open(alarm_id="alarm-1")


def test_whoever_looks_at_an_old_page_is_told_what_happened_meanwhile(orders):
    order_id = orders.open()
    do(orders, order_id, WORKER, Action.ACCEPT, seen_seq=1)
    with pytest.raises(WorkOrderError, match="吴军 已在 13:00 接单"):
        do(orders, order_id, WORKER, Action.ACCEPT, seen_seq=1)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"title": " "}, "没有写要做什么"),
        ({"title": "长" * 121}, "写得太长"),
        ({"due_at": NOW}, "期限已经过去"),
    ],
)
def test_an_order_that_says_too_little_or_comes_too_late_is_refused(orders, fields, told):
    with pytest.raises(WorkOrderError, match=told):
        orders.open(**fields)


def test_an_order_needs_a_device_of_its_station(orders):
    with pytest.raises(LookupError):
        orders.open("s1", device_id="s2i1")


@pytest.mark.parametrize(
    ("action", "fields", "told"),
    [
        (Action.FINISH, {"note": " "}, "写明情况"),
        (Action.FINISH, {"parts": (Part("风扇", 0),)}, "数量至少是 1"),
        (Action.FINISH, {"photos": tuple(Photo(f"{n:064x}", "image/png") for n in range(13))}, "最多 12 张"),
        (Action.SEND_BACK, {}, "不能退回重办"),
        (Action.CLOSE, {}, "不能验收办结"),
        (Action.EXTEND, {"due_at": NOW + HOUR}, "晚于原来的期限"),
    ],
)
def test_an_entry_that_does_not_fit_is_refused(orders, action, fields, told):
    order_id = orders.open()
    with pytest.raises(WorkOrderError, match=told):
        do(orders, order_id, OFFICER, action, **fields)


def test_punctuality_counts_what_was_due_by_the_deadline_in_force(orders):
    early, late, extended, missed, cancelled = (orders.open(title=f"工单{n}") for n in range(5))
    orders.open(title="还早", due_at=NOW + 300 * HOUR)
    do(orders, early, WORKER, Action.FINISH, now=NOW + 72 * HOUR)
    do(orders, late, WORKER, Action.FINISH, now=NOW + 73 * HOUR)
    do(orders, extended, OFFICER, Action.EXTEND, "等备件", due_at=NOW + 100 * HOUR)
    do(orders, extended, WORKER, Action.FINISH, now=NOW + 99 * HOUR)
    do(orders, cancelled, OFFICER, Action.CANCEL)
    with orders.database.reading() as session:
        found = work_orders(session, OFFICER)
        result = punctuality(found, NOW + 100 * HOUR)
        assert read(orders, extended).extended
        assert (result.due, result.in_time) == (4, 2)
        assert [one.id for one in found if one.overdue(NOW + 100 * HOUR)] == [missed]
        due = (NOW + 90 * HOUR, NOW + 110 * HOUR)
        assert [one.id for one in work_orders(session, OFFICER, OrderFilter(due=due))] == [extended]
    assert punctuality((), NOW).share is None


REFUSED = (
    "UPDATE work_order SET state = 'closed', closed_at = done_at",
    "UPDATE work_order SET title = 'x'",
    "UPDATE work_order SET log_seq = log_seq + 1",
    "DELETE FROM work_order",
    "UPDATE work_order_log SET note = 'x'",
    "DELETE FROM work_order_log",
    (
        "INSERT INTO work_order_log (order_id, seq, at, by_id, by_name, action, state, note) "
        "SELECT order_id, 9, at, by_id, by_name, action, state, note FROM work_order_log WHERE seq = 1"
    ),
    (
        "INSERT INTO work_order_log (order_id, seq, at, by_id, by_name, action, state, note) "
        "SELECT order_id, 3, at, by_id, by_name, 'close', 'closed', '' FROM work_order_log WHERE seq = 2"
    ),
)


def refuses(orders) -> list[str]:
    order_id = orders.open()
    do(orders, order_id, WORKER, Action.FINISH)
    passed = []
    for statement in REFUSED:
        try:
            with orders.database.transaction() as session:
                session.execute(text(statement))
        except DBAPIError:
            continue
        passed.append(statement)
    return passed


def test_the_database_refuses_what_the_code_would_not_do(orders):
    assert refuses(orders) == []


def test_postgresql_refuses_it_too(postgres):
    register(postgres)
    orders = Orders(postgres)
    assert refuses(orders) == []
    second = orders.open()
    do(orders, second, WORKER, Action.FINISH)
    assert do(orders, second, LEADER, Action.CLOSE, "") is OrderState.CLOSED
