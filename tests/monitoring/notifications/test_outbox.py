"""Each person hears of the own area once, in one message, never twice and never not at all."""

from datetime import timedelta

import pytest

from monitoring.alarms.kinds import AlarmKind, AlarmSeverity
from monitoring.notifications.outbox import failed, put_off, sent, standing, try_again
from monitoring.notifications.policy import LEASE, WAITS
from monitoring.notifications.subscriptions import Channel, Wish, subscribe, subscriptions, unsubscribe
from registry.actors import NotPermittedError
from registry.users import disable_user
from store.events import EventFilter, EventKind, recent
from store.problem import ProblemsError
from tests.monitoring.conftest import CLERK, COUNTY
from tests.monitoring.notifications.conftest import Office, device, station


def test_an_alarm_is_told_to_those_who_look_after_its_place_only(office: Office) -> None:
    for login in ("xian", "zhen", "cun"):
        office.subscribe(login)
    office.open(station("s2"))
    assert office.compose() == 2
    told = office.claim()
    assert {message.target for message in told} == {"xian@example.cn", "zhen@example.cn"}
    assert "大湾村 全站 停机" in told[0].text
    assert told[0].subject == "【测试账本】城关镇 告警：新发生 1 条"


def test_the_cost_is_told_to_who_may_see_money(office: Office) -> None:
    office.subscribe("xian")
    office.open(device("s1i2"))
    office.later(days=3, hours=4)
    office.compose(lambda _session, _actor, listed, _now: {one.id: 18_600 for one in listed})
    (message,) = office.claim()
    assert "石坝 2号逆变器 停机 3 天 4 小时，约少收 186 元" in message.text.replace("石坝村", "石坝")


def test_a_thousand_alarms_at_once_are_one_message(office: Office) -> None:
    office.subscribe("xian")
    many = [device("s1i1") for _ in range(1)] + [
        type(station("s1"))(station("s1").kind, f"s1-{n}", "529901101201", "s1", power_w=1)
        for n in range(999)
    ]
    assert len(office.open(*many)) == 1000
    assert office.compose() == 1
    (message,) = office.claim()
    assert message.alarms == 1000
    assert "另有 970 条：城关镇 970 条" in message.text
    assert len(message.text.splitlines()) < 40
    assert office.compose() == 0


def test_news_that_trickles_in_is_told_in_few_messages(office: Office) -> None:
    office.subscribe("xian")
    messages = 0
    for number in range(60):
        subject = type(station("s1"))(station("s1").kind, f"t-{number}", "529901101201", "s1", power_w=1)
        office.open(subject)
        messages += office.compose()
        office.later(minutes=1)
    office.later(minutes=10)
    messages += office.compose()
    assert messages <= 13
    with office.county.database.reading() as session:
        assert standing(session).news == 0


def test_quiet_hours_hold_back_all_but_what_is_urgent(office: Office) -> None:
    office.subscribe("xian", quiet=(22 * 60, 7 * 60), severity=AlarmSeverity.MINOR)
    office.later(hours=11)
    office.open(device("s1i1"), severity=AlarmSeverity.MAJOR)
    assert office.compose() == 0
    office.open(device("s2i1", "s2"))
    assert office.compose() == 1
    (urgent,) = office.claim()
    assert urgent.alarms == 1
    office.later(hours=8)
    assert office.compose() == 1


def test_what_is_over_before_it_was_told_is_not_told(office: Office) -> None:
    office.subscribe("xian", digest_minutes=60, closings=False)
    office.open(device("s1i1"))
    office.later(minutes=5)
    office.close(device("s1i1"))
    office.later(hours=1)
    assert office.compose() == 0
    with office.county.database.reading() as session:
        assert standing(session).news == 0


def test_the_end_is_told_to_who_heard_of_the_beginning(office: Office) -> None:
    office.subscribe("xian")
    office.open(device("s1i1"))
    office.compose()
    office.subscribe("zhen")
    office.later(hours=2)
    office.close(device("s1i1"))
    assert office.compose() == 1
    ended = [message for message in office.claim() if "已恢复" in message.text]
    assert [message.target for message in ended] == ["xian@example.cn"]
    assert "停机 2 小时（已恢复）" in ended[0].text


def test_who_wants_only_what_was_escalated_hears_of_nothing_else(office: Office) -> None:
    office.subscribe("xian", level=1)
    office.open(device("s1i1"))
    office.later(minutes=10)
    assert office.compose() == 0
    office.later(hours=30)
    office.open()
    assert office.compose() == 1
    (message,) = office.claim()
    assert "已报县" in message.text
    assert "【城关镇】升级" in message.text


def test_less_grave_alarms_are_left_out(office: Office) -> None:
    office.subscribe("xian", severity=AlarmSeverity.CRITICAL)
    office.open(device("s1i1"), severity=AlarmSeverity.MINOR, kind=AlarmKind.CLOCK)
    assert office.compose() == 0


def test_a_disabled_login_hears_nothing_more(office: Office) -> None:
    office.subscribe("zhen")
    office.open(device("s1i1"))
    with office.county.database.transaction() as session:
        disable_user(session, CLERK, office.people["zhen"].user_id, office.now)
    assert office.compose() == 0
    with office.county.database.reading() as session:
        assert standing(session).news == 0


def test_a_message_that_nobody_settled_is_sent_again_under_its_id(office: Office) -> None:
    office.subscribe("xian")
    office.open(device("s1i1"))
    office.compose()
    (first,) = office.claim()
    assert office.claim() == []
    office.now += LEASE
    (second,) = office.claim()
    assert (second.id, second.attempts) == (first.id, 2)
    with office.county.database.transaction() as session:
        sent(session, second, office.now)
    office.now += LEASE
    assert office.claim() == []


def test_a_failure_waits_longer_each_time_and_is_given_up_with_an_event(office: Office) -> None:
    office.subscribe("xian")
    office.open(device("s1i1"))
    office.compose()
    for wait in WAITS:
        (message,) = office.claim()
        with office.county.database.transaction() as session:
            failed(session, message, "接收方回答 500", office.now)
        office.now += wait - timedelta(seconds=1)
        assert office.claim() == []
        office.now += timedelta(seconds=1)
    (message,) = office.claim()
    with office.county.database.transaction() as session:
        failed(session, message, "接收方回答 500", office.now)
        (event,) = recent(session, only=EventFilter(kinds=[EventKind.SERVICE]))
        assert standing(session).given_up == 1
    assert "送不出去，已放弃：接收方回答 500" in event.message
    assert "example.cn" not in event.message
    with office.county.database.transaction() as session:
        assert try_again(session, office.now) == 1
    assert office.claim()[0].id == message.id


def test_what_was_put_off_has_not_been_tried(office: Office) -> None:
    office.subscribe("xian")
    office.open(device("s1i1"))
    office.compose()
    (message,) = office.claim()
    with office.county.database.transaction() as session:
        put_off(session, message, office.now + timedelta(minutes=1))
    office.later(minutes=1)
    assert office.claim()[0].attempts == 1


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        ({"target": "不是邮箱"}, "邮箱"),
        ({"target": "a@b.cn\nBcc: x@y.cn"}, "邮箱"),
        ({"channel": Channel.WEBHOOK, "target": "https://evil.example"}, "机器人"),
        ({"area": "529902000000"}, "范围"),
        ({"digest_minutes": 7}, "汇总"),
        ({"level": 9}, "升级"),
        ({"quiet": (0, 5000)}, "免打扰"),
    ],
)
def test_a_wish_that_is_not_possible_is_refused(office: Office, wish, word) -> None:
    with pytest.raises(ProblemsError) as refused:
        office.subscribe("zhen", **wish)
    assert refused.value.problems[0].where == word


def test_another_persons_subscriptions_are_the_administrators_alone(office: Office) -> None:
    mine = office.subscribe("zhen")
    zhen, cun = office.people["zhen"], office.people["cun"]
    with office.county.database.transaction() as session:
        with pytest.raises(NotPermittedError):
            subscriptions(session, cun, zhen.user_id)
        with pytest.raises(NotPermittedError):
            unsubscribe(session, cun, mine, office.now)
        with pytest.raises(NotPermittedError):
            subscribe(session, cun, zhen.user_id, Wish(Channel.EMAIL, "a@b.cn"), office.now)
        county = CLERK
        assert [one.id for one in subscriptions(session, county, zhen.user_id)] == [mine]
        unsubscribe(session, county, mine, office.now)
        assert subscriptions(session, zhen, zhen.user_id) == ()
        with pytest.raises(LookupError):
            unsubscribe(session, zhen, mine, office.now)


def test_the_area_of_a_subscription_narrows_what_is_told(office: Office) -> None:
    office.subscribe("xian", area="529901102000")
    office.open(device("s1i1"), station("s3"))
    office.compose()
    (message,) = office.claim()
    assert message.alarms == 1
    assert "水口村 全站" in message.text
    assert COUNTY not in message.text
