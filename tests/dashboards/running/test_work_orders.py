"""Work orders on pages: sent by the county, handled on a phone, closed by somebody else."""

import re
from datetime import timedelta

import pytest

from tests.documents.test_pictures import PLACE, chunk, png

TITLE = "风扇异响，到场检查"


def send(browse, county, role="county", **fields):
    given = {"station": county.stations[0].id, "title": TITLE, "due": "2026-11-28T18:00", **fields}
    browser = browse(role)
    answer = browser.post("/work-orders/new", page=f"/work-orders/new?station={given['station']}", **given)
    return browser, answer


def opened(browse, county, **fields) -> str:
    _browser, answer = send(browse, county, **fields)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].split("?")[0]


def seen(page: str) -> str:
    return re.search(r'name="seen" value="(\d+)"', page)[1]


def act(browser, path, action, **fields):
    page = browser.get(path).text
    fields.setdefault("seen", seen(page))
    return browser.post(f"{path}/{action}", page=path, **fields)


def test_an_order_is_sent_handled_with_a_photo_and_closed_by_somebody_else(browse, county):
    path = opened(browse, county)
    worker, officer = browse("maintenance"), browse("county")
    assert TITLE in worker.get("/work-orders").text
    assert act(worker, path, "accept").status_code == 303
    photo = ("现场.png", png(chunk(b"tEXt", b"place\0" + PLACE)), "image/png")
    files = [("photos", photo)]
    done = {"note": "更换风扇，恢复发电", "parts": "散热风扇 2 FS-204\n螺丝"}
    assert act(worker, path, "finish", files=files, **done).status_code == 303
    page = officer.get(path).text
    assert all(
        words in page for words in ("待验收", "更换风扇，恢复发电", "散热风扇 × 2（FS-204）", "螺丝 × 1")
    )
    shown = officer.get(re.search(r'src="([^"]+/photos/[0-9a-f]{64})"', page)[1])
    assert (shown.headers["content-type"], shown.content) == ("image/png", png())
    assert act(officer, path, "close").status_code == 303
    assert "已办结" in officer.get(path).text
    assert "按期完工" in officer.get("/work-orders?state=closed").text


def test_a_double_click_is_no_mistake_and_an_old_page_is_told_what_happened(browse, county):
    path = opened(browse, county)
    worker, officer = browse("maintenance"), browse("county")
    old = seen(officer.get(path).text)
    assert act(worker, path, "accept", seen=old).status_code == 303
    assert act(worker, path, "accept", seen=old).status_code == 303
    answer = act(officer, path, "cancel", seen=old, note="误派")
    assert answer.status_code == 409
    assert "已在" in answer.text
    assert "接单，请看最新情况后再办" in answer.text


def test_who_reports_the_work_done_is_not_offered_to_close_it(browse, county):
    path = opened(browse, county)
    officer = browse("county")
    assert act(officer, path, "finish", note="县里自己去修好了").status_code == 303
    page = officer.get(path).text
    assert "等县里另一位同志验收" in page
    assert "验收办结" not in page


@pytest.mark.parametrize(
    ("files", "fields", "told"),
    [
        ([("photos", ("a.gif", b"GIF89a", "image/gif"))], {}, "不是 JPG 或 PNG"),
        ([("photos", (f"{n}.png", png(), "image/png")) for n in range(5)], {}, "一次最多 4 张"),
        (None, {"parts": "风扇 许多"}, "配件第 1 行"),
        (None, {"note": " "}, "要写明情况"),
    ],
)
def test_what_does_not_fit_is_said_on_the_page_and_changes_nothing(browse, county, files, fields, told):
    path = opened(browse, county)
    worker = browse("maintenance")
    answer = act(worker, path, "finish", files=files, **{"note": "修好了", **fields})
    assert answer.status_code == 409
    assert told in answer.text
    assert "待验收" not in worker.get(path).text


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("county", {"accept", "finish", "note", "extend", "cancel"}),
        ("maintenance", {"accept", "finish", "note"}),
        ("township", set()),
        ("village", set()),
        ("finance", set()),
    ],
)
def test_each_role_is_offered_what_it_may_do_and_refused_the_rest(browse, county, role, allowed):
    path = opened(browse, county)
    browser = browse(role)
    page = browser.get(path).text
    assert set(re.findall(rf'action="{path}/(\w+)"', page)) == allowed
    for action in {"accept", "finish", "note", "extend", "cancel"} - allowed:
        answer = browser.post(f"{path}/{action}", page="/account", seen="1", note="x", due="2026-12-01T08:00")
        assert answer.status_code == 403, action
    assert "已派单" in browse("county").get(path).text


@pytest.mark.parametrize(("role", "may"), [("county", True), ("township", True), ("village", False)])
def test_who_may_send_an_order_finds_the_form(browse, county, role, may):
    browser = browse(role)
    assert ("派工单" in browser.get("/work-orders").text) is may
    assert browser.get("/work-orders/new").status_code == (200 if may else 403)


def test_an_order_without_words_or_with_a_past_deadline_is_sent_back_to_the_form(browse, county):
    for fields, told in (({"title": " "}, "没有写要做什么"), ({"due": "2020-01-01T08:00"}, "期限已经过去")):
        _browser, answer = send(browse, county, **fields)
        assert answer.status_code == 409
        assert told in answer.text
        assert county.stations[0].name in answer.text


def test_an_order_outside_the_area_is_not_found(browse, county):
    other = next(one for one in county.stations if one.division_code != county.villages[0])
    path = opened(browse, county, station=other.id)
    assert browse("village").get(path).status_code == 404
    assert browse("public").get(path).status_code == 303


def test_a_late_order_says_so_and_is_found_by_its_choice(browse, county):
    opened(browse, county, title="逾期的活", due="2026-11-26T08:00")
    before = county.clock[0]
    county.clock[0] = before + timedelta(days=2)
    try:
        page = browse("county").get("/work-orders?state=late").text
    finally:
        county.clock[0] = before
    assert "逾期的活" in page
    assert "已超期 1 天 4 小时" in page
