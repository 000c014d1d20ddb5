"""Availability, indicators and the report: the page, the workbook, the CSV and the PDF say the same."""

import csv
import io
import re
import subprocess
from html import unescape

import pytest
from openpyxl import load_workbook

from monitoring.alarms.reads import alarms
from registry.actors import SYSTEM

DAYS = "from=2026-11-16&to=2026-11-24"
MONTH = "2026-10"


def table_of(page: str, title: str) -> list[list[str]]:
    """Return the cells of the table that a page shows under a name, header first."""
    box = page.split(f'aria-label="{title}"', 1)[1].split("</table>", 1)[0]
    return [
        [
            unescape(re.sub(r"<[^>]+>", "", cell)).strip()
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        ]
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", box, re.DOTALL)
    ]


def sheets_of(content: bytes) -> dict[str, list[list[str]]]:
    book = load_workbook(io.BytesIO(content))
    return {
        sheet.title: [["" if cell is None else str(cell) for cell in row] for row in sheet.values]
        for sheet in book.worksheets
    }


def agree(shown: str, kept: str) -> bool:
    """Tell whether a page's cell and a file's cell mean the same; a page prints fewer digits."""
    text = "" if shown == "—" else shown.replace(",", "")
    try:
        return abs(float(text) - float(kept)) <= 0.0501
    except ValueError:
        return text == kept


def same(shown: list[list[str]], kept: list[list[str]]) -> None:
    """Assert that a table of a page stands in a sheet, cell by cell, header and sum included."""
    place = kept.index(shown[0])
    for row, other in zip(shown, kept[place:], strict=True):
        assert all(agree(one, two) for one, two in zip(row, other, strict=True)), (row, other)


def test_availability_says_the_same_on_the_page_and_in_the_workbook(browse):
    browser = browse("county")
    for level in ("device", "station", "township", "county"):
        page = browser.get(f"/availability?{DAYS}&level={level}").text
        book = browser.get(f"/availability/xlsx?{DAYS}&level={level}")
        title = re.search(r'aria-label="([^"]*可用率)"', page)[1]
        (kept,) = sheets_of(book.content).values()
        same(table_of(page, title), kept)
        assert "实际采用：" in page


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("from=2026-11-24&to=2026-11-20", "开始日期在结束日期之后"),
        ("from=2031-01-01", "没有数据可看"),
        ("from=2020-01-01&to=2026-11-20", "超过 400 天"),
        ("from=gestern", "不是日期"),
        ("rule=moon", "不是日照规则"),
    ],
)
def test_a_question_without_sense_is_answered_with_what_is_wrong(browse, query, told):
    answer = browse("county").get(f"/availability?{query}")
    assert answer.status_code == 422
    assert told in unescape(answer.text)


def test_indicators_say_the_same_on_the_page_in_workbook_and_csv(browse):
    browser = browse("county")
    page = browser.get(f"/indicators?month={MONTH}").text
    shown = table_of(page, "2026年10月光伏帮扶电站运维指标")
    (kept,) = sheets_of(browser.get(f"/indicators/{MONTH}/xlsx").content).values()
    same(shown, kept)
    text = browser.get(f"/indicators/{MONTH}/csv").content.decode("utf-8-sig")
    same(shown, list(csv.reader(io.StringIO(text))))
    assert "典型年利用小时" in page


def test_the_report_says_the_same_on_the_page_in_workbook_and_pdf(browse, tmp_path):
    browser = browse("county")
    page = browser.get(f"/uptime-report?month={MONTH}").text
    kept = list(sheets_of(browser.get(f"/uptime-report/{MONTH}/xlsx").content).values())
    titles = [one for one in re.findall(r'aria-label="([^"]+)"', page) if one.startswith("2026年10月")]
    assert len(titles) >= 5
    (tmp_path / "report.pdf").write_bytes(browser.get(f"/uptime-report/{MONTH}/pdf").content)
    command = ["pdftotext", "-layout", str(tmp_path / "report.pdf"), "-"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    dense = re.sub(r"\s", "", printed)
    for title in titles:
        shown = table_of(page, title)
        same(shown, next(sheet for sheet in kept if sheet[0][0] == title))
        figures = [cell for row in shown[1:] for cell in row if re.fullmatch(r"[\d,]+\.\d+", cell)]
        assert [one for one in figures if one not in printed] == []
    lines = [unescape(one) for one in re.findall(r"<li>(电站 .*?|.*?可用率 .*?|.*?停机 .*?)</li>", page)][:3]
    assert lines
    assert [line for line in lines if re.sub(r"\s", "", line) not in dense] == []
    assert [line for line in lines if [line] not in [row[:1] for row in kept[0]]] == []


def test_the_report_names_orders_outages_and_planned_work(browse):
    page = browse("county").get("/uptime-report?month=2026-11").text
    assert "本月还没有结束" in page
    assert all(words in page for words in ("停机明细", "设备原因停机", "运维工单", "更换汇流箱防雷器"))


def test_a_station_shows_when_it_ran_with_every_bar_in_the_table(browse, county):
    with county.database.reading() as session:
        stopped = next(one for one in alarms(session, SYSTEM) if one.kind == "outage" and not one.device_id)
    path = f"/stations/{stopped.station_id}/uptime"
    page = browse("county").get(f"{path}?from=2026-11-22&to=2026-11-24").text
    assert page.count("<title>") - 1 >= page.count("fill-fault") - 2 > 0
    assert "设备原因停机" in page
    assert re.search(r"约少收（元）\"?>[\d,]+", page)
    bars, rows = len(re.findall(r'<rect class="fill-\w+" x', page)), page.count('<td class="nowrap">')
    causes = page.count("台时</title>")
    assert bars - causes == rows / 2
    assert browse("maintenance").get(path).status_code == 200
    assert re.search(r"约少收（元）\"?>[\d,]+", browse("maintenance").get(path).text) is None


@pytest.mark.parametrize(
    "path", ["/availability", f"/indicators?month={MONTH}", f"/uptime-report?month={MONTH}", "/work-orders"]
)
def test_a_village_sees_its_own_and_the_public_nothing(browse, county, path):
    others = [one.name for one in county.stations if one.division_code[:9] != county.villages[0][:9]]
    page = browse("village").get(path).text
    assert not [name for name in others if name in page]
    assert browse("public").get(path).status_code == 303
