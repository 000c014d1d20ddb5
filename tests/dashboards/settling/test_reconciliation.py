"""Reconciliation on pages: columns mapped once, differences given away and settled, a file taken back."""

import re
from io import BytesIO

from distribution.settlement.intake.undo import imported_files
from distribution.settlement.reconciliation import discrepancies
from documents.reading import read_sheets
from registry.actors import SYSTEM

MONTH = "2026-11"
ODD = "客户号码,年月,本月上网,单价,应付"


def odd_file(county, *rows):
    return "怪表头.csv", "\n".join([ODD, *rows]).encode("gb18030"), "text/csv"


def kept_of(text):
    found = re.search(r'name="attachment" value="([0-9a-f]{64})"', text)
    return {"attachment": found[1], "file_name": "怪表头.csv"}


def mapped(browser, page):
    columns = {
        "column_account_number": "客户号码",
        "column_month": "年月",
        "column_exported_energy": "本月上网",
        "column_electricity_price": "单价",
        "column_electricity": "应付",
    }
    fields = kept_of(page) | {"company": "云泽供电公司", "energy_unit": "kWh"} | columns
    return browser.post("/settlements/import/layout", page="/settlements/import", **fields)


def test_a_file_of_unknown_headings_is_mapped_once_checked_marked_imported_and_taken_back(county, browse):
    browser = browse("finance")
    station = county.stations[5]
    good = f"{station.account_number},{MONTH},70,0.3844,26.91"
    first = browser.post("/settlements/import", files={"file": odd_file(county, good)})
    assert "这张表的每一列是什么" in first.text
    checked = mapped(browser, first.text)
    assert "入库 1 站的结算单" in checked.text
    assert "云泽供电公司" in browser.get("/settlements/files").text

    bad = odd_file(county, good, "999,2026-11,1,0.3844,0.38")
    told = browser.post("/settlements/import", files={"file": bad}, layout="云泽供电公司")
    fields = kept_of(told.text) | {"layout": "云泽供电公司"}
    marked = browser.post("/settlements/import/marked", page="/settlements/import", **fields)
    (sheet,) = read_sheets(BytesIO(marked.content).getvalue(), "核对.xlsx")
    assert any("不在台账内" in cell.text for row in sheet.rows for cell in row)
    done = browser.post("/settlements/import/confirm", page="/settlements/import", **fields)
    assert done.headers["location"] == f"/settlements?month={MONTH}&done=1"
    assert "不在台账内" in browser.get(f"/reconciliation?month={MONTH}").text

    with county.database.reading() as session:
        (file,) = (one for one in imported_files(session, SYSTEM) if one.name == "怪表头.csv")
    refused = browser.post(f"/settlements/files/{file.sha256}/undo", page="/settlements/files")
    assert refused.status_code == 422
    undone = browser.post(
        f"/settlements/files/{file.sha256}/undo", page="/settlements/files", reason="表错了"
    )
    assert "已撤销 1 站月" in undone.text
    way = browser.get(f"/reconciliation/stations/{station.id}?month={MONTH}").text
    assert "已撤销" in way
    assert station.name not in browser.get(f"/settlements?month={MONTH}").text


def test_a_difference_is_given_to_somebody_and_settled_where_it_stands(county, browse):
    browser = browse("finance")
    with county.database.reading() as session:
        found = [one for one in discrepancies(session, SYSTEM, open_only=True) if one.unit == "Wh"]
    assert found, "the demo's story has a statement that disagrees"
    one = found[0]
    page = f"/reconciliation?month={one.month}"
    assert one.text in browser.get(page).text
    address = f"/reconciliation/differences/{one.id}"
    given = browser.post(f"{address}/assign", page=page, owner="运维王工", due_on="2026-12-01", note="看现场")
    assert given.status_code == 303
    assert "运维王工" in browser.get(page).text
    unnamed = browser.post(f"{address}/resolve", page=page, outcome="explained", reason=" ")
    assert unnamed.status_code == 422
    no_entry = browser.post(f"{address}/resolve", page=page, outcome="corrected", reason="补", journal="x:1")
    assert "账上没有凭证" in no_entry.text
    settled = browser.post(f"{address}/resolve", page=page, outcome="explained", reason="换表期间")
    assert settled.headers["location"] == f"{page}&done=settled"
    assert "换表期间" in browser.get(page).text
    again = browser.post("/reconciliation/run", page=page, month=one.month)
    assert again.status_code == 303
    assert "换表期间" in browser.get(page).text


def test_a_village_sees_its_own_and_settles_nothing(county, browse):
    browser = browse("village")
    with county.database.reading() as session:
        one = discrepancies(session, SYSTEM)[0]
    assert "重新比对" not in browser.get(f"/reconciliation?month={one.month}").text
    answer = browser.post(
        f"/reconciliation/differences/{one.id}/resolve", page="/", outcome="ignored", reason="x"
    )
    assert answer.status_code == 403
