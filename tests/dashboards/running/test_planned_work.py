"""Planned work on its page: announced before it begins, cancelled with a reason, by those who may."""

import re

import pytest

WORK = {"start": "2026-11-26T09:00", "end": "2026-11-26T13:00", "description": "更换防雷器"}


def announce(browser, county, station=0, **fields):
    place = county.stations[station]
    given = {"subject": place.id, **WORK, **fields}
    return browser.post("/planned-work", page=f"/planned-work?station={place.id}", **given)


def test_work_is_announced_and_cancelled(browse, county):
    browser = browse("maintenance")
    assert announce(browser, county, description="检测绝缘甲").status_code == 303
    page = browser.get("/planned-work").text
    assert "检测绝缘甲" in page
    row = next(part for part in page.split("<tr>") if "检测绝缘甲" in part)
    path = re.search(r'action="(/planned-work/\w+/cancel)"', row)[1]
    assert browser.post(path, page="/planned-work", reason=" ").status_code == 409
    assert browser.post(path, page="/planned-work", reason="下雨改期").status_code == 303
    row = next(part for part in browser.get("/planned-work").text.split("<tr>") if "检测绝缘甲" in part)
    assert "已取消" in row
    assert "下雨改期" in row
    assert browser.post(path, page="/planned-work", reason="再来").status_code == 409


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"start": "2026-11-25T08:00"}, "不算计划检修"),
        ({"end": "2026-11-26T08:00"}, "结束要晚于开始"),
        ({"description": " "}, "没有写检修内容"),
        ({"start": "明天"}, "不是日期和时间"),
    ],
)
def test_work_that_does_not_count_is_refused_with_the_reason(browse, county, fields, told):
    answer = announce(browse("county"), county, **fields)
    assert answer.status_code == 409
    assert told in answer.text


def test_a_village_reads_and_does_not_announce(browse, county):
    browser = browse("village")
    assert "登记计划检修" not in browser.get("/planned-work").text
    answer = browser.post("/planned-work", page="/account", subject=county.stations[0].id, **WORK)
    assert answer.status_code == 403


def test_an_order_of_dispatch_needs_its_document_and_can_be_ended(browse, county):
    browser = browse("county")
    place = county.stations[0]
    page = f"/planned-work?station={place.id}"
    given = {"subject": place.id, "kind": "stop", "start": "2026-11-25T08:00"}
    refused = browser.post("/dispatch-records", page=page, description=" ", **given)
    assert refused.status_code == 409
    assert "没有调度令编号" in refused.text
    assert browser.post("/dispatch-records", page=page, description="停机令 7 号", **given).status_code == 303
    shown = browser.get("/planned-work").text
    row = next(part for part in shown.split("<tr>") if "停机令 7 号" in part)
    assert place.name in row
    path = re.search(r'action="(/dispatch-records/\w+/end)"', row)[1]
    assert browser.post(path, page="/planned-work").status_code == 303
    row = next(part for part in browser.get("/planned-work").text.split("<tr>") if "停机令 7 号" in part)
    assert "现在结束" not in row
