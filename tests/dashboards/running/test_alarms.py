"""Alarms on pages: found by filters, told in sentences with money, acknowledged once."""

import re
from html import unescape

import pytest

from monitoring.alarms.reads import AlarmFilter, alarms
from registry.actors import SYSTEM


@pytest.fixture
def told(county):
    with county.database.reading() as session:
        return alarms(session, SYSTEM, AlarmFilter())


def unseen(told):
    return next(one for one in told if one.open and not one.acknowledged)


def test_open_alarms_are_told_in_sentences_with_what_they_cost(browse, told):
    page = browse("county").get("/alarms").text
    stopped = next(one for one in told if one.open and one.kind == "outage" and not one.device_id)
    place = stopped.station_name.removesuffix("光伏电站")
    assert re.search(rf"{place}[^<]* 全站 停机 \d+ 天( \d+ 小时)?</a>，约少收 [\d,]+ 元", page)
    assert all(f"/alarms/{one.id}" in page for one in told if one.open)
    assert not any(f'href="/alarms/{one.id}"' in page for one in told if not one.open)


def test_who_may_not_see_money_is_told_the_energy(browse):
    page = browse("maintenance").get("/alarms").text
    assert "约少发" in page
    assert "元" not in page.split("<main", 1)[1]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("?show=all", lambda _one: True),
        ("?show=new", lambda one: one.open and not one.acknowledged),
        ("?show=all&kind=communication", lambda one: one.kind == "communication"),
        ("?severity=critical", lambda one: one.open and one.severity == "critical"),
        ("?show=all&kind=nonsense&severity=nonsense&area=x", lambda _one: True),
    ],
)
def test_filters_find_what_they_name(browse, told, query, wanted):
    page = browse("county").get(f"/alarms{query}").text
    shown = set(re.findall(r'<th scope="row"><a href="/alarms/(\w+)"', page))
    assert shown == {one.id for one in told if wanted(one)}


def test_an_alarm_is_acknowledged_with_a_note_by_name_and_a_second_click_is_no_mistake(browse, told):
    path = f"/alarms/{unseen(told).id}"
    officer, worker = browse("county"), browse("maintenance")
    assert officer.post(f"{path}/acknowledge", page=path, note="已打电话").status_code == 303
    assert officer.post(f"{path}/acknowledge", page="/account", note="已打电话").status_code == 303
    page = worker.get(path).text
    assert all(words in page for words in ("李强", "已打电话"))
    assert "确认，我来跟进" not in page
    answer = worker.post(f"{path}/acknowledge", page="/account", note="我也看到了")
    assert answer.status_code == 409
    assert "已由 李强 于" in answer.text
    assert "我也看到了" not in worker.get(path).text


@pytest.mark.parametrize(("role", "may"), [("village", False), ("finance", False), ("township", True)])
def test_each_role_may_acknowledge_or_not(browse, county, told, role, may):
    area = county.villages[0][:9]
    mine = [one for one in told if one.division_code.startswith(area)]
    for one in mine:
        answer = browse(role).post(f"/alarms/{one.id}/acknowledge", page="/account", note="")
        assert answer.status_code in ({303, 409} if may else {403, 404})


def test_an_alarm_outside_the_area_is_not_found(browse, county, told):
    own = county.villages[0]
    foreign = next(one for one in told if one.station_id and one.division_code[:9] != own[:9])
    assert browse("village").get(f"/alarms/{foreign.id}").status_code == 404
    assert browse("public").get("/alarms").status_code == 303


def test_an_alarm_leads_to_its_work_order_and_to_a_new_one(browse, told):
    browser = browse("county")
    stopped = next(one for one in told if one.open and one.kind == "outage")
    assert re.search(r'href="/work-orders/order_\w+"', browser.get(f"/alarms/{stopped.id}").text)
    bare = next(one for one in told if one.open and one.kind == "communication")
    page = browser.get(f"/alarms/{bare.id}").text
    form = re.search(r'href="(/work-orders/new\?[^"]+)"', page)[1].replace("&amp;", "&")
    assert bare.station_name in browser.get(form).text
    given = {"station": bare.station_id, "alarm": bare.id, "title": "检查流量卡", "due": "2026-11-27T18:00"}
    sent = browser.post("/work-orders/new", page=form, **given)
    assert sent.status_code == 303
    again = browser.post("/work-orders/new", page=form, **given)
    assert again.status_code == 409
    assert "已经派了工单" in again.text


def test_the_link_beside_an_alarm_opens_a_form_that_says_what_to_do(browse, county):
    browser = browse("county")
    link = re.search(r'href="(/work-orders/new\?[^"]+)"', browser.get("/alarms").text)
    assert link, "no alarm waits for an order"
    form = browser.get(unescape(link[1])).text
    assert re.search(r'name="title"[^>]*value="[^"]+，到场检查"', form)
