"""A month is taken from the village's vote to the ledger by clicking through the pages."""

import re
from datetime import timedelta

from dashboards.filters import money
from distribution.approval.runs import run as find_run
from distribution.approval.states import RunState
from distribution.statement.village import village_statement
from registry.actors import SYSTEM
from store.events import EventFilter, EventKind, Severity, recent

PHOTO = ("board.png", b"\x89PNG\r\n\x1a\n" + bytes(64), "image/png")
OPEN = "2026-10"


def state_of(county, run_id: str) -> RunState:
    with county.database.reading() as session:
        return find_run(session, SYSTEM, run_id).state


def decide(browser, run, action: str, files=None, **fields: str):
    page = f"/runs/{run.id}"
    return browser.post(f"{page}/{action}", page=page, files=files, content_hash=run.content_hash, **fields)


def test_an_objection_is_recorded_and_shown(county, browse):
    run = county.run(county.villages[2], OPEN)
    browser = browse("second")
    answer = browser.post(
        f"/runs/{run.id}/objections", page=f"/runs/{run.id}", claimant="张老汉", reason="少算了一天", line="1"
    )
    assert answer.status_code == 303
    page = browser.get(f"/runs/{run.id}").text
    assert "少算了一天" in page
    assert "第 1 行" in page
    form = re.search(r'action="(/runs/[^"]+/objections/[^"]+)"', page)[1]
    judged = browse("county").post(form, page=f"/runs/{run.id}", outcome="rejected", reason="工时记录无误")
    assert judged.status_code == 303
    assert "不成立：工时记录无误" in browser.get(f"/runs/{run.id}").text
    foreign = form.replace(run.id, county.run(county.villages[3], OPEN).id)
    assert browser.post(foreign, page="/account", outcome="upheld", reason="x").status_code == 404


def test_a_month_goes_from_the_vote_to_the_ledger(county, browse):
    run = county.run(county.villages[0], OPEN)
    assert run.state is RunState.VILLAGE_SUBMITTED
    village, township, office = browse("village"), browse("township"), browse("county")

    page = village.get(f"/runs/{run.id}").text
    with county.database.reading() as session:
        lines = village_statement(session, SYSTEM, run.book, OPEN).lines
    to_households = sum(line.amount_fen for line in lines if line.household_id)
    assert 0 < to_households < run.amount_fen
    whole, part = money(run.amount_fen), money(to_households)
    assert f"同意本版：共 {whole} 元，其中到户 {run.household_count} 户 {part} 元" in page
    assert decide(village, run, "vote", decision="approve").status_code == 303
    assert state_of(county, run.id) is RunState.VILLAGE_AGREED

    no_photo = decide(village, run, "notice", files={"photo": ("a.txt", b"text", "text/plain")})
    assert no_photo.status_code == 409
    assert "不是图片" in no_photo.text
    assert decide(village, run, "notice", files={"photo": PHOTO}).status_code == 303
    assert state_of(county, run.id) is RunState.NOTICE_OPEN

    early = decide(township, run, "vote", decision="approve")
    assert early.status_code == 409
    assert state_of(county, run.id) is RunState.NOTICE_OPEN

    county.clock[0] += timedelta(days=8)
    assert office.post(f"/work/{OPEN}/close", page="/work").status_code == 303
    assert state_of(county, run.id) is RunState.NOTICE_CLOSED
    assert decide(township, run, "vote", decision="approve").status_code == 303
    assert decide(office, run, "vote", decision="approve").status_code == 303
    assert state_of(county, run.id) is RunState.POSTED
    with county.database.reading() as session:
        statement = village_statement(session, SYSTEM, run.book, OPEN)
    assert statement.is_booked
    assert statement.difference_fen == 0
    timeline = office.get(f"/runs/{run.id}").text.partition("办理过程")[2]
    steps = ["村民代表会议表决：同意", "公示期满", "乡镇审核：同意", "县级审批：同意", "已记账"]
    assert sorted(steps, key=timeline.index) == steps


def test_finance_sends_the_money_and_takes_the_answer(county, browse):
    run = county.run(county.villages[0], OPEN)
    office, finance = browse("county"), browse("finance")
    assert "由县财务生成代发文件" in office.get(f"/payouts?month={OPEN}").text
    page = finance.get(f"/payouts?month={OPEN}").text
    assert f"生成代发文件 {run.household_count} 户" in page
    answer = finance.post("/payouts", month=OPEN)
    if answer.status_code == 200:
        assert "拨" in answer.text
        with county.database.transaction() as session:
            remit(session, county, run)
        answer = finance.post("/payouts", month=OPEN)
    assert answer.status_code == 303
    assert state_of(county, run.id) is RunState.BATCHED
    page = finance.get(answer.headers["location"]).text
    batch = re.search(r'href="/payouts/([^"]+)/file"', page)[1]
    file = finance.get(f"/payouts/{batch}/file")
    assert file.status_code == 200
    assert office.get(f"/payouts/{batch}/file").status_code == 403
    wrong = finance.post(
        f"/payouts/{batch}/return",
        page=f"/payouts?month={OPEN}",
        files={"file": ("a.csv", b"x,y\n1,2", "text/csv")},
    )
    assert "问题" in wrong.text
    assert state_of(county, run.id) is RunState.BATCHED


def remit(session, county, run) -> None:
    from distribution.closing.facts import book_facts
    from distribution.settlement.receivables.remittances import RemittanceFact, record_remittance

    today = county.clock[0].date()
    fact = RemittanceFact(run.book, run.amount_fen, today, f"拨付-{run.book}-{OPEN}")
    record_remittance(session, SYSTEM, fact, county.clock[0])
    book_facts(session, SYSTEM, run.book, county.clock[0])


def test_a_repeated_click_decides_nothing_twice(county, browse):
    run = county.run(county.villages[0], OPEN)
    before = state_of(county, run.id)
    assert decide(browse("village"), run, "submit").status_code == 409
    assert state_of(county, run.id) is before


def test_a_decision_about_another_content_is_refused(county, browse):
    run = county.run(county.villages[3], OPEN)
    browser = browse("second")
    page = f"/runs/{run.id}"
    answer = browser.post(f"{page}/vote", page=page, content_hash="0" * 64, decision="approve")
    assert answer.status_code == 409
    assert "刷新页面" in answer.text
    assert state_of(county, run.id) is run.state


def test_returning_a_run_needs_a_reason_and_sends_it_back(county, browse):
    run = county.run(county.villages[3], OPEN)
    browser = browse("second")
    without = decide(browser, run, "vote", decision="return")
    assert without.status_code == 409
    assert "原因" in without.text
    assert decide(browser, run, "vote", decision="return", reason="岗位天数有误").status_code == 303
    assert state_of(county, run.id) is RunState.REVISION_REQUESTED
    assert "岗位天数有误" in browser.get(f"/runs/{run.id}").text


def test_who_may_not_is_offered_nothing_and_refused(county, browse):
    run = county.run(county.villages[1], OPEN)
    office = browse("county")
    assert "否决" not in office.get(f"/runs/{run.id}").text
    refused = office.client.post(
        f"/runs/{run.id}/vote",
        data={
            "csrf_token": office.token_of(f"/runs/{run.id}"),
            "content_hash": run.content_hash,
            "decision": "approve",
        },
    )
    assert refused.status_code in {403, 409}
    assert state_of(county, run.id) is RunState.VILLAGE_AGREED


def statement_file(county, *rows: str) -> tuple[str, bytes, str]:
    text = "户号,结算月份,上网电量,上网电价,上网电费\n" + "\n".join(rows)
    return "十一月.csv", text.encode("utf-8-sig"), "text/csv"


def test_a_statement_is_checked_before_it_is_imported(county, browse):
    browser = browse("county")
    account = county.stations[0].account_number
    file = statement_file(county, f"{account},2026-11,1000,0.3844,384.40", "999,2026-11,1,0.3844,0.38")
    checked = browser.post("/settlements/import", files={"file": file})
    assert checked.status_code == 200
    assert "不在台账内" in checked.text
    assert "入库 1 站的结算单" in checked.text
    assert "384.40" in checked.text
    assert "1,000.0" not in browser.get("/settlements?month=2026-11").text

    kept = re.search(r'name="attachment" value="([0-9a-f]{64})"', checked.text)
    fields = {"attachment": kept[1], "file_name": "十一月.csv"}
    done = browser.post("/settlements/import/confirm", page="/settlements/import", **fields)
    assert done.headers["location"] == "/settlements?month=2026-11&done=1"
    assert "1,000.0" in browser.get("/settlements?month=2026-11").text
    again = browser.post("/settlements/import", files={"file": file})
    assert "没有需要入库的内容" in again.text


def imports_told(county):
    with county.database.reading() as session:
        return recent(session, 100, EventFilter(kinds=(EventKind.IMPORT,)))


def test_the_preview_lists_what_will_enter_and_says_why_the_rest_does_not(county, browse):
    first, second = (one.account_number for one in county.stations[1:3])
    file = statement_file(
        county,
        f"{first},2026-11,1000,0.3844,384.40",
        f"{second},2026-11,2000,0.3844,768.80",
        f"{second},2026-11,abc,0.3844,1.00",
    )
    checked = browse("county").post("/settlements/import", files={"file": file}).text
    assert "将入库的前 1 行，共 1 行" in checked
    entering, _, left_out = checked.partition("这些行读得懂，但不会入库")
    assert "384.40" in entering
    assert "768.80" not in entering
    assert "768.80" in left_out
    assert "同站同月有错行，整站未入" in left_out


def test_a_commit_with_bad_rows_leaves_an_event_that_lists_them(county, browse):
    browser = browse("county")
    first, second = (one.account_number for one in county.stations[1:3])
    county.clock[0] += timedelta(minutes=1)
    bad = [f"{second},2026-11,abc,0.3844,1.00"] * 25
    file = statement_file(county, f"{first},2026-11,1000,0.3844,384.40", *bad)
    before = len(imports_told(county))
    checked = browser.post("/settlements/import", files={"file": file}).text
    assert len(imports_told(county)) == before
    kept = re.search(r'name="attachment" value="([0-9a-f]{64})"', checked)[1]
    fields = {"attachment": kept, "file_name": "十一月.csv"}
    assert (
        browser.post("/settlements/import/confirm", page="/settlements/import", **fields).status_code == 303
    )
    told = imports_told(county)
    assert len(told) == before + 1
    assert told[0].severity is Severity.WARNING
    problems = told[0].detail["problems"].splitlines()
    assert len(problems) == 20
    assert all(second in one for one in problems)
    assert "C3" in problems[0]
    page = browser.get("/events?kind=import").text
    assert "前 20 处问题" in page
    assert f"C22（户号 {second}）" in page


def test_a_file_with_only_bad_rows_or_refused_leaves_one_warning(county, browse):
    browser = browse("finance")
    county.clock[0] += timedelta(minutes=1)
    before = len(imports_told(county))
    file = statement_file(county, "999,2026-11,1,0.3844,0.38", "998,2026-11,x,0.3844,0.38")
    browser.post("/settlements/import", files={"file": file})
    told = imports_told(county)
    assert len(told) == before + 1
    assert (told[0].severity, told[0].subject_kind) == (Severity.WARNING, "file")
    assert "没有入库" in told[0].message
    assert "C3（户号 998）" in told[0].detail["problems"]
    assert "“999”" in told[0].detail["problems"]
    county.clock[0] += timedelta(minutes=1)
    name = "张三13912345678.csv"
    browser.post("/settlements/import", files={"file": (name, b"%PDF-1.7", "text/csv")})
    told = imports_told(county)
    assert len(told) == before + 2
    assert "13912345678" not in told[0].subject_id + told[0].message + str(told[0].detail)
    page = browse("county").get("/events?kind=import").text
    assert "文件 张三***.csv" in page
    assert "不是表格文件" in page


def test_a_hostile_or_wrong_file_is_refused_with_its_reason(county, browse):
    browser = browse("county")
    for content, words in ((b"%PDF-1.7", "不是表格文件"), ("甲,乙\n1,2".encode(), "没有找到结算单的表头")):
        answer = browser.post("/settlements/import", files={"file": ("a.csv", content, "text/csv")})
        assert words in answer.text
    name = browser.post("/settlements/import", files={"file": ("../../<b>x.csv", b"\x00\x01", "text/csv")})
    assert "<b>x.csv" not in name.text


def test_an_unknown_attachment_is_no_way_in(county, browse):
    browser = browse("county")
    answer = browser.post(
        "/settlements/import/confirm", page="/settlements/import", attachment="0" * 64, file_name="x.csv"
    )
    assert "文件不在了" in answer.text


def test_the_telephones_of_the_offices_are_on_page_and_paper(county, browse):
    officer, village = browse("county"), county.villages[0]
    assert "还没有登记" not in officer.get("/contacts").text
    fields = {"division_code": village, "office": "村务监督委员会", "phone": "0855-8000009"}
    assert officer.post("/contacts", **fields, since="2026-11-25").status_code == 303
    shown = officer.get("/contacts")
    assert "0855-8000009" in shown.text
    wrong = officer.post("/contacts", **{**fields, "phone": "电话"}, since="2026-11-25")
    assert "不像电话号码" in wrong.text
    run = next(one for one in county.runs if one.book == village and one.period == "2026-10")
    assert "村务监督委员会　0855-8000009" in officer.get(f"/runs/{run.id}/notice").text
    assert browse("village").get("/contacts").status_code == 200
    assert browse("maintenance").get("/contacts").status_code == 403
