"""A booked month is put right, late money is topped up and votes are delegated through the pages."""

from datetime import date

import pytest
from sqlalchemy import select

from distribution.approval.runs import live_run, runs
from distribution.approval.states import BOOKED
from registry.actors import SYSTEM, Actor, Role
from registry.enrolment import Enrolment, EnrolmentRow, enrol, withdraw_enrolment
from registry.users import UserRow

ADMIN = Actor("setup", "安装", Role.COUNTY, "")


@pytest.fixture(scope="module")
def booked(county):
    """A booked month in which one household's share turns out to be wrong."""
    found = next(one for one in county.runs if one.state in BOOKED and one.kind == "regular")
    with county.database.transaction() as session:
        row = session.scalars(
            select(EnrolmentRow).where(
                EnrolmentRow.village_code == found.book,
                EnrolmentRow.component == "households",
                EnrolmentRow.superseded_at.is_(None),
                EnrolmentRow.weight.is_not(None),
            )
        ).first()
        before = (row.household_id, row.component, row.valid_from, row.weight)
        withdraw_enrolment(session, ADMIN, row.id, county.clock[0])
        fact = Enrolment(
            before[0], found.book, before[1], before[2], weight=before[3] + 3, document="更正 1 号"
        )
        enrol(session, ADMIN, fact, county.clock[0])
    return found


def test_the_differences_are_shown_with_causes_and_become_a_run(county, browse, booked):
    office = browse("county")
    listed = office.get(f"/corrections?village={booked.book}&month={booked.period}").text
    assert f"/corrections/{booked.id}" in listed
    shown = office.get(f"/corrections/{booked.id}").text
    assert "名册、岗位、积分变化" in shown
    assert "逐户差额和原因" in shown
    answer = office.post(f"/corrections/{booked.id}", page=f"/corrections/{booked.id}", rules="current")
    assert answer.status_code == 303
    with county.database.reading() as session:
        made = live_run(session, booked.book, booked.period, "correction")
    assert answer.headers["location"].endswith(made.id)
    page = office.get(f"/runs/{made.id}").text
    assert "收益分配更正" in page
    assert "户（名册、岗位、积分变化" in page
    notice = office.get(f"/runs/{made.id}/notice").text
    assert "收益分配更正的公示" in notice
    assert office.get(f"/runs/{made.id}/notice/pdf").content.startswith(b"%PDF")
    listed = office.get(f"/corrections?village={booked.book}&month={booked.period}").text
    assert "第 1 次更正" in listed


def test_only_who_computes_may_start_and_only_in_his_area(county, browse, booked):
    page = f"/corrections/{booked.id}"
    auditor = browse("auditor")
    assert "起草更正" not in auditor.get(page).text
    assert auditor.post(page, page="/account", rules="current").status_code == 403
    other = next(one for one in county.villages if one[:9] != booked.book[:9])
    second = browse("second" if county.villages[-1] == other else "township")
    if not booked.book.startswith(other[:9]):
        assert second.get(page).status_code in {200, 404}
    assert browse("maintenance").get("/corrections").status_code == 403
    office = browse("county")
    assert office.get("/corrections/run:none").status_code == 404
    fields = {"village": booked.book, "month": booked.period}
    assert office.post("/top-ups", page="/account", **fields).status_code in {200, 303}
    assert office.post("/top-ups", page="/account", village="x", month=booked.period).status_code == 422


def test_a_vote_is_delegated_and_taken_back_on_a_page(county, browse):
    township, office = browse("township"), browse("county")
    with county.database.reading() as session:
        delegate_id = session.scalars(select(UserRow.id).where(UserRow.login == "page-finance")).one()
    fields = {
        "gate": "township",
        "delegate_id": delegate_id,
        "first": "2026-11-25",
        "document": "委托书 3 号",
    }
    assert township.post("/delegations", **fields, last="2026-12-05").status_code == 303
    assert "委托书 3 号" in browse("finance").get("/delegations").text
    wrong = township.post("/delegations", **fields, last="2026-11-01")
    assert "止日须晚于起日" in wrong.text
    assert (
        township.post("/delegations", **{**fields, "delegate_id": "nobody"}, last="2026-12-05").status_code
        == 200
    )
    waiting = [
        one for one in _now(county) if one.state == "notice_closed" and one.book[:9] == county.villages[0][:9]
    ]
    for one in waiting[:1]:
        assert "（代李强）" in browse("finance").get(f"/runs/{one.id}").text
    page = township.get("/delegations").text
    address = page.split('action="/delegations/')[1].split('"')[0]
    assert office.post("/delegations/none/end", page="/delegations").status_code == 404
    assert township.post(f"/delegations/{address}", page="/delegations").status_code == 303
    assert "已收回" in township.get("/delegations").text


def _now(county):
    with county.database.reading() as session:
        return runs(session, SYSTEM)


def test_the_announced_result_of_a_booked_run_is_recorded_with_its_photo(county, browse, booked):
    village = county.villages[0]
    mine = next((one for one in _now(county) if one.book == village and one.state in BOOKED), None)
    if mine is None:
        mine = booked
    cadre = browse("village")
    path = f"/runs/{mine.id}"
    if "登记结果公告" not in cadre.get(path).text:
        assert cadre.post(
            f"{path}/filings", page="/account", kind="result_notice", filed_on="2026-11-25"
        ).status_code in {403, 404, 409}
        return
    photo = ("board.png", b"\x89PNG\r\n\x1a\n" + bytes(64), "image/png")
    without = cadre.post(f"{path}/filings", page=path, kind="result_notice", filed_on="2026-11-25")
    assert without.status_code == 409
    done = cadre.post(
        f"{path}/filings",
        page=path,
        files={"photo": photo},
        kind="result_notice",
        filed_on=f"{date(2026, 11, 25)}",
    )
    assert done.status_code == 303
    assert "结果公告：" in cadre.get(path).text


def test_a_day_off_is_recorded_with_its_document(county, browse):
    office = browse("county")
    fields = {"division_code": county.villages[0], "day": "2027-02-10", "working": "no"}
    assert (
        office.post("/working-days", page="/contacts", **fields, document="县府办〔2027〕2 号").status_code
        == 303
    )
    assert "县府办〔2027〕2 号" in office.get("/contacts").text
    assert "没有登记" in office.post("/working-days", page="/contacts", **fields, document=" ").text
