"""The events page says where each thing happened, without personal numbers."""

import re

from registry.actors import SYSTEM
from registry.stations import devices
from store.events import Event, EventKind, Severity, record

TOLD = (EventKind.QUARANTINE, Severity.WARNING)


def tell(county, subject_kind: str, subject_id: str, message: str = "消息不能用") -> None:
    with county.database.transaction() as session:
        record(session, Event(county.clock[0], *TOLD, subject_kind, subject_id, message))


def subjects(browser) -> list[str]:
    page = browser.get("/events?kind=quarantine").text
    return re.findall(r'<td class="wide-only">(.*?)</td>', page)


def test_a_topic_of_a_device_is_named_and_leads_to_its_station(county, browse):
    with county.database.reading() as session:
        device = next(one for one in devices(session, SYSTEM) if one.topic)
    station = next(one for one in county.stations if one.id == device.station_id)
    tell(county, "topic", device.topic)
    words = f"主题 {device.topic}（{station.name}）"
    assert f'<a href="/stations/{station.id}">{words}</a>' in subjects(browse("county"))


def test_every_other_subject_is_named_too(county, browse):
    county.clock[0] = county.clock[0].replace(second=30)
    for kind, name in (
        ("topic", "foreign/place"),
        ("file", "村 13912345678 110105194912310022.csv"),
        ("connection", "10.0.0.9:502"),
        ("device", "unknown_7"),
        ("strange", "x-1"),
        ("collector", "spool"),
    ):
        tell(county, kind, name)
    shown = subjects(browse("county"))
    assert {
        "主题 foreign/place",
        "文件 村 *** ***.csv",
        "连接 10.0.0.9:502",
        "设备 unknown_7",
        "其他 x-1",
        "采集队列",
    } <= set(shown)
    assert not {"主题", "文件", "连接", "其他"} & set(shown)


def test_a_connection_of_a_device_leads_to_its_station(county, browse):
    with county.database.reading() as session:
        polled = [one for one in devices(session, SYSTEM) if one.host]
    addresses = [f"{one.host}:{one.port}" for one in polled]
    own = next(one for one in polled if addresses.count(f"{one.host}:{one.port}") == 1)
    tell(county, "connection", f"{own.host}:{own.port}")
    assert any(f'href="/stations/{own.station_id}"' in one for one in subjects(browse("county")))


def test_a_message_with_a_telephone_number_is_shown_without_it(county, browse):
    tell(county, "file", "a.csv", "联系人 13912345678 的表")
    page = browse("county").get("/events?kind=quarantine").text
    assert "13912345678" not in page
    assert "联系人 *** 的表" in page
