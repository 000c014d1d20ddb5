"""Receivables, bank lines, remittances, costs, spending, readings and papers as people meet them."""

import re

import pytest

from api.demo.photo import board_photo
from distribution.ledger.balances import balances
from distribution.settlement.bank.reads import bank_lines
from distribution.settlement.metering.readings import readings
from distribution.settlement.reads import costs
from distribution.settlement.receivables.advances import advances
from distribution.settlement.receivables.owed import owed_items
from distribution.settlement.spending.spendings import spendings
from distribution.spending import purses
from registry.actors import SYSTEM
from registry.stations import revenue_meters

PAGES = (
    "/receivables",
    "/receipts",
    "/receipts?month=2026-10",
    "/receipts/import",
    "/remittances",
    "/costs",
    "/costs?month=2026-10",
    "/spendings",
    "/meter-readings",
    "/settlement-papers",
    *(f"/settlement-papers/{kind}?month=2026-10" for kind in ("county", "subsidy", "ageing", "differences")),
    *(f"/settlement-papers/{kind}?month=2026-10" for kind in ("bank", "transit", "national")),
)
HEADING = "到账日期,到账金额,付款人,银行流水号,备注"
PHOTO = ("面板.png", board_photo(1, 2), "image/png")


@pytest.mark.parametrize("role", ["county", "finance", "township", "village", "auditor"])
def test_every_page_opens_for_everybody_who_sees_money(browse, role):
    browser = browse(role)
    for path in PAGES:
        if path == "/receipts/import" and role not in {"county", "finance"}:
            assert browser.get(path).status_code == 403
            continue
        answer = browser.get(path)
        assert answer.status_code == 200, (path, answer.text[:500])


@pytest.mark.parametrize("path", PAGES)
def test_the_public_sees_none_of_it(browse, path):
    assert browse("public").get(path).status_code == 303


def test_maintenance_reads_meters_and_sees_no_money(browse):
    browser = browse("maintenance")
    assert browser.get("/meter-readings").status_code == 200
    assert browser.get("/receivables").status_code == 403
    assert "到账核对" not in browser.get("/meter-readings").text


def bank_file(*rows):
    return ("流水.csv", "\n".join([HEADING, *rows]).encode("utf-8-sig"), "text/csv")


def yuan(fen):
    return f"{fen // 100}.{fen % 100:02d}"


def test_a_bank_statement_is_checked_kept_confirmed_by_rule_and_taken_back(county, browse):
    browser = browse("finance")
    with county.database.reading() as session:
        owed = [one for one in owed_items(session, SYSTEM) if one.outstanding_fen > 100][::-1]
    one = owed[0]
    rows = [
        f"2026-11-20,{yuan(one.outstanding_fen)},供电公司,T1,户号{one.account_number} {one.month} 国家补贴",
        f"2026-11-20,{yuan(owed[1].outstanding_fen - 1)},供电公司,T2,",
        "2026-11-20,8.88,某银行,T3,利息",
    ]
    checked = browser.post("/receipts/import", files={"file": bank_file(*rows)}, kind="bank")
    assert "登记 3 笔" in checked.text
    kept = re.search(r'name="attachment" value="([0-9a-f]{64})"', checked.text)[1]
    fields = {"attachment": kept, "file_name": "流水.csv", "kind": "bank"}
    done = browser.post("/receipts/import/confirm", page="/receipts/import", **fields)
    assert done.headers["location"] == "/receipts?done=import"
    page = browser.get("/receipts").text
    mine = next(item for item in page.split("<li>") if ">T1</a>" in item)
    key = re.search(r'name="key" value="([0-9a-f]{16})"', mine)[1]
    assert browser.post("/receipts/confirm", page="/receipts", key=key, month="").status_code == 303
    again = browser.post("/receipts/confirm", page="/receipts", key=key)
    assert again.status_code == 409
    assert "已变或已核对" in again.text
    with county.database.reading() as session:
        lines = {one.reference: one for one in bank_lines(session, SYSTEM)}
    assert lines["T1"].state == "matched"

    place = f"/receipts/lines/{lines['T2'].id}"
    other = owed[1]
    choice = f"{other.station_id}|{other.month}|{other.component.value}"
    too_much = {"owed": choice, "yuan": yuan(other.outstanding_fen + 5)}
    assert browser.post(f"{place}/match", page=place, **too_much).status_code == 409
    right = {"owed": choice, "yuan": yuan(other.outstanding_fen - 1), "book": "1"}
    matched = browser.post(f"{place}/match", page=place, **right)
    assert matched.status_code == 303
    shown = browser.get(place).text
    assert "尾差 -0.01 元" in shown
    undo = re.search(r'action="(/receipts/lines/[^"]+/undo/[^"]+)"', shown)[1]
    assert browser.post(undo, page=place, reason="认错").status_code == 303
    assert "已撤销：认错" in browser.get(place).text

    place = f"/receipts/lines/{lines['T3'].id}"
    without = browser.post(f"{place}/decide", page=place, decision="ignored", reason="")
    assert "原因" in without.text
    done = browser.post(f"{place}/decide", page=place, decision="ignored", reason="利息")
    assert done.status_code == 303
    assert "不予核对" in browser.get(place).text


def test_a_wrong_file_is_told_in_words(browse):
    browser = browse("finance")
    told = browser.post("/receipts/import", files={"file": ("x.csv", b"a,b\n1,2\n", "text/csv")}, kind="bank")
    assert told.status_code == 409
    assert "没有找到银行流水的表头" in told.text
    assert browser.get("/receipts/template/bank").content[:2] == b"PK"


def test_a_cost_is_recorded_with_its_photo_and_taken_back(county, browse):
    browser, village = browse("finance"), county.villages[1]
    fields = {"month": "2026-11", "kind": "repair", "yuan": "123.45", "on": "2026-11-12", "bearer": village}
    refused = browser.post("/costs", files={"picture": ("", b"", "image/png")}, **fields)
    assert refused.status_code == 409
    assert "凭证" in refused.text
    assert browser.post("/costs", files={"picture": PHOTO}, **fields).status_code == 303
    with county.database.reading() as session:
        made = next(one for one in costs(session, SYSTEM, month="2026-11") if one.amount_fen == 12_345)
    page = browser.get("/costs?month=2026-11").text
    picture = re.search(r'href="(/vouchers/[0-9a-f]{64})"', page)[1]
    assert browser.get(picture).content.startswith(b"\x89PNG")
    assert browse("second").get(picture).status_code in {200, 404}
    back = browser.post(
        f"/costs/{made.id}/correct", page="/costs?month=2026-11", reason="重复", month="2026-11"
    )
    assert back.status_code == 303
    assert "-123.45" in browser.get("/costs?month=2026-11").text


def test_a_village_spends_out_of_its_purse_within_its_limit_or_by_decision(county, browse):
    browser, village = browse("village"), county.villages[0]
    with county.database.reading() as session:
        every = purses(session, SYSTEM, county.clock[0].date(), village_code=village)
    purse = max(every, key=lambda one: one.amount_fen)
    fields = {
        "purse": f"{village}|{purse.account}|{purse.holder}",
        "use": "works",
        "text": "修路灯",
        "payee": "王师傅",
        "on": "2026-11-22",
        "voucher": "收据 9",
    }
    over = browser.post("/spendings", yuan=yuan(purse.amount_fen + 1), decision="决议 1", **fields)
    assert "这个钱袋还有" in over.text
    assert browser.post("/spendings", yuan="10.00", files={"picture": PHOTO}, **fields).status_code == 303
    assert browser.post("/spendings", yuan="10.00", files={"picture": PHOTO}, **fields).status_code == 303
    with county.database.reading() as session:
        [made] = [
            one for one in spendings(session, SYSTEM, village_code=village) if one.fact.text == "修路灯"
        ]
        held = sum(
            -one.amount_fen
            for one in balances(session, SYSTEM, book=village, accounts=(purse.account,))
            if one.holder == purse.holder
        )
    assert held == purse.amount_fen - 1_000
    page = browser.get("/spendings").text
    assert "修路灯" in page
    assert "/vouchers/" in page
    back = browser.post(f"/spendings/{made.id}/correct", page="/spendings", reason="记错村")
    assert back.status_code == 303
    assert "已冲正" in browser.get("/spendings").text
    elsewhere = {**fields, "purse": f"{county.villages[-1]}|{purse.account}|{purse.holder}"}
    assert browser.post("/spendings", yuan="1.00", **elsewhere).status_code == 409


def test_a_meter_is_read_on_a_phone_with_a_photo(county, browse):
    browser = browse("village")
    with county.database.reading() as session:
        mine = {one.id for one in county.stations if one.division_code == county.villages[0]}
        meter = next(one for one in revenue_meters(session, SYSTEM) if one.station_id in mine)
    fields = {
        "meter": f"{meter.station_id}|{meter.meter_number}",
        "on": "2026-11-01",
        "reading": "１２３４.5",
    }
    without = browser.post("/meter-readings", files={"picture": ("", b"", "image/png")}, **fields)
    assert "没有照片" in without.text
    assert browser.post("/meter-readings", files={"picture": PHOTO}, **fields).status_code == 303
    with county.database.reading() as session:
        every = readings(session, SYSTEM, station_id=meter.station_id)
    made = next(one for one in every if str(one.reading) == "1234.5")
    assert browser.get(f"/meter-readings/photos/{made.photo_sha256}").content.startswith(b"\x89PNG")
    assert browser.get(f"/meter-readings/photos/{'0' * 64}").status_code == 404
    gone = browser.post(f"/meter-readings/{made.id}/withdraw", page="/meter-readings", reason="抄错")
    assert gone.status_code == 303
    assert "已作废" in browser.get("/meter-readings").text or "已更正" in browser.get("/meter-readings").text


def test_money_goes_by_the_township_and_advances_are_paid_back(county, browse):
    browser, village = browse("finance"), county.villages[0]
    sent = {"village": village, "yuan": "12.34", "on": "2026-11-02", "reference": "Z9", "by_township": "1"}
    assert browser.post("/remittances", **sent).status_code == 303
    page = browser.get("/remittances").text
    assert "县已拨出，乡镇未到账" in page
    assert "超时限" in page
    act = re.search(r'action="(/remittances/remittance:[0-9a-f]{32}/arrival)"', page)[1]
    early = browser.post(act, page="/remittances", stage="township", on="2026-11-01")
    assert early.status_code == 409
    assert browser.post(act, page="/remittances", stage="township", on="2026-11-05").status_code == 303
    assert "在乡镇账户" in browser.get("/remittances").text
    assert browser.post(act, page="/remittances", stage="village", on="2026-11-06").status_code == 303
    with county.database.reading() as session:
        owed = next(one for one in owed_items(session, SYSTEM) if one.outstanding_fen > 10_000)
        host = next(one.division_code for one in county.stations if one.id == owed.station_id)
    paid = {
        "village": host,
        "station": owed.station_id,
        "component": owed.component.value,
        "month": owed.month,
        "yuan": "50.00",
        "on": "2026-11-10",
        "advancer": "县财政局",
        "document": "县财〔2026〕8 号",
        "reference": "DF1",
    }
    assert browser.post("/advances", page="/remittances", **paid).status_code == 303
    assert "县财政局" in browser.get("/remittances").text
    with county.database.reading() as session:
        assert 5_000 in {one.open_fen for one in advances(session, SYSTEM)}


@pytest.mark.parametrize(
    "kind", ["county", "account", "subsidy", "ageing", "differences", "bank", "transit", "national"]
)
def test_papers_are_handed_out_in_three_forms_with_chinese_names(county, browse, kind):
    browser = browse("finance")
    tail = f"?month=2026-09&station={county.stations[0].id}"
    page = browser.get(f"/settlement-papers/{kind}{tail}")
    assert page.status_code == 200
    fingerprint = re.search(r"<code>([0-9a-f]{64})</code>", page.text)[1]
    for form, mark in (("xlsx", b"PK"), ("csv", b"\xef\xbb\xbf"), ("pdf", b"%PDF")):
        answer = browser.get(f"/settlement-papers/{kind}/{form}{tail}")
        assert answer.content.startswith(mark), (kind, form, answer.text[:300])
        assert "%E5" in answer.headers["content-disposition"] or "%E" in answer.headers["content-disposition"]
        if form == "csv":
            assert answer.text.rstrip().endswith(fingerprint)
    assert browser.get(f"/settlement-papers/nothing{tail}").status_code == 404
