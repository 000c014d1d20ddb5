"""The real `sunledger` on a small seeded county: words, exit codes, JSON, and what each command does."""

import csv
import re
import shutil
import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from api.operations import OPERATIONS
from store.periods import Period
from store.problem import ProblemsError
from tests.api.executable import Ended, refused, sunledger

CASES = Path(__file__).parents[1] / "cases"
TEMPLATES = Path(__file__).parents[2] / "distribution" / "plans" / "templates"
MAPPINGS = Path(__file__).parents[2] / "collector" / "mappings"


@dataclass(frozen=True)
class Seeded:
    """A seeded directory, what was printed meanwhile, and a month of a village that is booked."""

    data: Path
    printed: str
    village: str
    booked: str
    open_month: str


def rows_of(data: Path, query: str, *values: str) -> list[Any]:
    connection = sqlite3.connect(data / "sunledger.sqlite3")
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Seeded:
    data = tmp_path_factory.mktemp("commands") / "county"
    ended = sunledger("demo", "--small", "--seed-only", "--data", data)
    assert ended.code == 0, ended
    village, booked = rows_of(
        data, "SELECT village_code, period FROM run WHERE state IN ('closed', 'settled') ORDER BY period"
    )[0]
    open_month = rows_of(data, "SELECT max(period) FROM run")[0][0]
    return Seeded(data, ended.out, village, booked, open_month)


@pytest.fixture
def copied(seeded: Seeded, tmp_path: Path) -> Path:
    """The seeded directory again, for a test that changes it."""
    shutil.copytree(seeded.data, tmp_path / "county")
    return tmp_path / "county"


def written(path: Path, *rows: dict[str, str]) -> Path:
    titles = list(dict.fromkeys(title for row in rows for title in row))
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, titles, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


# Refusals


@pytest.mark.parametrize(
    ("operation", "arguments", "why"),
    [
        ("energy", {"period": "2026-13"}, "“2026-13” 不是期间"),
        ("energy", {"period": "1926"}, "“1926” 不是期间"),
        ("energy", {"period": "2026", "station_id": "nowhere"}, "没有电站 nowhere"),
        ("energy", {"period": "2026", "device": "nothing"}, "没有设备 nothing"),
        ("close", {"month": "2026"}, "“2026” 不是月份"),
        ("export", {"what": "notice", "out": "x.xlsx"}, "可以是：statement.pdf"),
        ("export", {"what": "settlement", "out": "x.xlsx"}, "--month"),
        ("export", {"what": "statement", "out": "x.pdf", "village": "1", "month": "2026-01"}, "没有这个村"),
        ("export", {"what": "journal", "out": "/absent/x.journal"}, "写不了"),
        ("import-settlement", {"file": str(TEMPLATES / "fenxi.toml")}, "没有找到结算单的表头"),
        ("import-settlement", {"file": __file__, "layout": "absent"}, "没有这个表格模板"),
        ("import-settlement", {"file": "/absent.csv"}, "读不了"),
        ("import-registry", {"file": __file__, "kind": "people"}, "没有“people”"),
        ("plan-publish", {"file": __file__}, "TOML"),
        ("correct", {"village": "1", "month": "2026-01"}, "没有分配"),
        ("top-up", {"village": "1", "month": "2026-01"}, "还没有记账"),
    ],
)
def test_an_operation_that_cannot_be_meant_does_nothing_and_says_why(county, operation, arguments, why):
    with pytest.raises(ProblemsError, match=re.escape(why)):
        OPERATIONS[operation](county.services, **arguments)


def test_a_refused_operation_ends_with_one_line_and_2(seeded):
    refused(sunledger("energy", "2026-13", "--data", seeded.data), "“2026-13” 不是期间")


def test_wrong_settings_stop_every_command(seeded, tmp_path):
    refused(sunledger("verify", "--data", seeded.data, SUNLEDGER_PROT="1"), "SUNLEDGER_PROT", "没有这个设置")
    refused(sunledger("verify", "--config", tmp_path / "absent.toml"), "设置文件读不了")


# Start


def test_the_demo_prints_one_time_credentials_once(seeded, copied):
    logins = dict(re.findall(r"^  (\w+)\s+(\S{12,})\s", seeded.printed, re.MULTILINE))
    assert set(logins) >= {"county", "township", "village", "finance", "maintenance", "auditor"}
    again = sunledger("demo", "--small", "--seed-only", "--data", copied)
    assert again.code == 0
    assert not any(password in again.out for password in logins.values())
    assert "用上次的口令登录" in again.out


def test_migrate_makes_a_database_and_shows_its_first_password_once(tmp_path):
    first = sunledger("migrate", "--data", tmp_path / "new", "--json")
    assert first.code == 0
    (row,) = first.json["rows"]
    assert row["login"] == "admin"
    assert len(row["password"]) >= 12
    again = sunledger("migrate", "--data", tmp_path / "new")
    assert again.code == 0
    assert row["password"] not in again.out
    assert "已是最新" in again.out
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0


def test_serve_refuses_what_it_cannot_run_on(seeded, tmp_path):
    refused(sunledger("serve", "--data", seeded.data, "--roles", "web"), "不能拆分角色", "database_url")
    refused(sunledger("serve", "--data", seeded.data, "--roles", "web,cook"), "cook")
    refused(sunledger("serve", "--data", tmp_path / "empty"), "先运行 sunledger migrate")


def test_a_foreign_directory_is_not_filled_with_the_demo(tmp_path):
    assert sunledger("migrate", "--data", tmp_path).code == 0
    divisions = written(tmp_path / "d.csv", {"区划代码": "520491000000", "名称": "云岭县", "级别": "县"})
    assert sunledger("import", "registry", divisions, "--kind", "divisions", "--data", tmp_path).code == 0
    refused(sunledger("demo", "--small", "--seed-only", "--data", tmp_path), "不是演示数据")


# Energy and money


def test_energy_is_printed_for_people_and_for_machines(seeded):
    shown = sunledger("energy", seeded.booked, "--data", seeded.data)
    assert shown.code == 0
    assert "完整率" in shown.out
    assert "逆变器合计" in shown.out
    month = sunledger(
        "energy", seeded.booked, "--station", "station_001", "--data", seeded.data, "--json"
    ).json
    days = sunledger(
        "energy", seeded.booked, "--station", "station_001", "--daily", "--data", seeded.data, "--json"
    ).json
    assert month["exit_code"] == 0
    for row in month["rows"]:
        daily = [day["energy_wh"] or 0 for day in days["rows"] if day["device_id"] == row["device_id"]]
        assert len(daily) == len(list(Period.parse(seeded.booked).days()))
        assert sum(daily) == row["energy_wh"]


def everything(data: Path) -> list[str]:
    connection = sqlite3.connect(data / "sunledger.sqlite3")
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_closing_a_month_again_changes_nothing(seeded, copied):
    first = sunledger("close", seeded.open_month, "--data", copied, "--json")
    assert first.code == 0
    before = everything(copied)
    again = sunledger("close", seeded.open_month, "--data", copied, "--json")
    assert again.json == first.json
    assert everything(copied) == before
    for row in first.json["rows"]:
        assert re.fullmatch(r"\d{12}", row["village_code"])
        assert Decimal(row["amount_yuan"].replace(",", "")) * 100 == row["amount_fen"]
    assert any(row["waiting_for"] for row in first.json["rows"])


def test_verify_finds_a_tampered_row(seeded, copied):
    whole = sunledger("verify", "--data", copied)
    assert (whole.code, whole.err) == (0, "")
    assert "全部相符" in whole.out
    connection = sqlite3.connect(copied / "sunledger.sqlite3")
    with connection:
        connection.execute("DROP TRIGGER posting_no_update")
        book, seq = connection.execute("SELECT book, seq FROM posting ORDER BY book, seq LIMIT 1").fetchone()
        connection.execute(
            "UPDATE posting SET amount_fen = amount_fen * 2 WHERE book = ? AND seq = ?", (book, seq)
        )
    connection.close()
    found = sunledger("verify", "--data", copied)
    assert found.code == 1
    assert found.err.startswith("✕ ")
    assert book in found.err


@pytest.mark.parametrize(
    ("what", "ending", "start"),
    [
        ("statement", ".pdf", b"%PDF"),
        ("statement", ".xlsx", b"PK"),
        ("statement", ".csv", b"\xef\xbb\xbf"),
        ("notice", ".pdf", b"%PDF"),
        ("settlement", ".xlsx", b"PK"),
        ("journal", ".beancount", b""),
        ("journal", ".journal", b""),
    ],
)
def test_each_file_is_written_as_its_ending_says(seeded, tmp_path, what, ending, start):
    out = tmp_path / f"out{ending}"
    words = ["export", what, "--out", out, "--village", seeded.village, "--month", seeded.booked]
    ended = sunledger(*words, "--data", seeded.data, "--json")
    assert ended.code == 0, ended
    content = out.read_bytes()
    (row,) = ended.json["rows"]
    assert row["bytes"] == len(content) > 500
    assert content.startswith(start)
    assert list(tmp_path.iterdir()) == [out]


# Import


def next_bill(seeded: Seeded, station: str) -> dict[str, str]:
    """Return the row of a good bill of a station for the month after its last one."""
    line = rows_of(
        seeded.data,
        "SELECT s.month, l.account_number, l.meter_number, l.meter_multiplier, l.current_reading, "
        "l.electricity_price, l.subsidy_price FROM settlement s JOIN settlement_line l "
        "ON l.settlement_id = s.id WHERE s.station_id = ? ORDER BY s.month DESC, s.revision DESC",
        station,
    )[0]
    month, account, meter, multiplier, reading, price, subsidy = line
    year, number = map(int, month.split("-"))
    energy = 100 * multiplier
    return {
        "户号": account,
        "结算月份": f"{year + number // 12}-{number % 12 + 1:02}",
        "电表编号": meter,
        "倍率": str(multiplier),
        "上次示数": reading,
        "本次示数": str(Decimal(reading) + 100),
        "上网电量(千瓦时)": str(energy),
        "上网电价(元/千瓦时)": price,
        "上网电费(元)": str((energy * Decimal(price)).quantize(Decimal("0.01"))),
        "补贴单价(元/千瓦时)": subsidy,
        "补贴金额(元)": str((energy * Decimal(subsidy)).quantize(Decimal("0.01"))),
    }


def test_a_bad_row_of_a_settlement_is_named_by_its_cell_and_stops_nothing_else(seeded, copied, tmp_path):
    good, text = next_bill(seeded, "station_001"), next_bill(seeded, "station_002")
    unknown = {**next_bill(seeded, "station_003"), "户号": "9999999999999"}
    text["上网电量(千瓦时)"] = "六千"
    file = written(tmp_path / "bill.csv", good, unknown, text)
    words = ["import", "settlement", file, "--data", copied, "--json"]
    before = len(rows_of(copied, "SELECT id FROM settlement"))
    ended = sunledger(*words)
    assert ended.code == 1
    (counts,) = ended.json["rows"]
    assert (counts["added"], counts["problems"]) == (1, 2)
    assert len(rows_of(copied, "SELECT id FROM settlement")) == before + 1
    wrong = {problem["where"]: problem for problem in ended.json["problems"]}
    (account,) = [one for place, one in wrong.items() if place.endswith("!A3")]
    (energy,) = [one for place, one in wrong.items() if place.endswith("!G4")]
    assert "9999999999999" in account["what"]
    assert "六千" in energy["what"]
    assert all(one["how_to_fix"] for one in wrong.values())
    again = sunledger(*words)
    assert again.json["rows"][0]["unchanged"] == 1
    assert again.json["rows"][0]["added"] == 0
    events = rows_of(copied, "SELECT message FROM operational_event WHERE kind = 'import'")
    assert any("错误 2" in message for (message,) in events)


def test_receipts_are_taken_in_with_their_own_layout(seeded, copied, tmp_path):
    bill = next_bill(seeded, "station_001")
    receipt = {
        "户号": bill["户号"],
        "款项": "补贴",
        "所属月份": seeded.open_month,
        "到账金额(元)": "12.34",
        "到账日期": f"{seeded.open_month}-28",
        "银行流水号": "TEST-0001",
    }
    file = written(tmp_path / "receipts.csv", receipt, {**receipt, "户号": "8", "银行流水号": "TEST-0002"})
    ended = sunledger("import", "receipts", file, "--data", copied, "--json")
    assert ended.code == 1
    assert (ended.json["rows"][0]["added"], ended.json["rows"][0]["problems"]) == (1, 1)


DIVISIONS = (
    {"区划代码": "520491000000", "名称": "云岭县", "级别": "县"},
    {"区划代码": "520491100000", "名称": "石坝乡", "级别": "乡镇"},
    {"区划代码": "520491100201", "名称": "新寨村", "级别": "村"},
)
STATION = {
    "电站名称": "新寨村光伏电站",
    "电站类型": "村级",
    "所在村代码": "520491100201",
    "装机容量(kW)": "300",
    "纬度": "26.25",
    "经度": "105.95",
    "发电户号": "0525000099",
}
DEVICE = {
    "电站": "新寨村光伏电站",
    "设备类型": "逆变器",
    "编号": "1",
    "设备名称": "1号逆变器",
    "投运日期": "2018-06-30",
    "通信方式": "Modbus TCP",
    "设备档案": "sungrow_sg_string",
    "地址": "10.8.1.20",
    "站号": "3",
}


def test_a_county_begins_with_its_lists(tmp_path):
    data = tmp_path / "county"
    assert sunledger("migrate", "--data", data).code == 0

    def take(kind: str, *rows: dict[str, str], options: tuple[str, ...] = ()) -> Ended:
        file = written(tmp_path / f"{kind}.csv", *rows)
        return sunledger("import", "registry", file, "--kind", kind, "--data", data, *options)

    assert take("divisions", *DIVISIONS).code == 0
    assert take("stations", STATION, options=("--dry-run",)).code == 0
    assert rows_of(data, "SELECT * FROM station") == []
    assert take("stations", STATION).code == 0
    lost = {**DEVICE, "电站": "别处光伏电站", "编号": "2"}
    whole = take("devices", DEVICE, lost)
    assert whole.code == 2
    assert "A3" in whole.err
    assert "别处光伏电站" in whole.err
    assert rows_of(data, "SELECT * FROM device") == []
    partly = take("devices", DEVICE, lost, options=("--partial",))
    assert partly.code == 1
    assert "批次" in partly.out
    assert rows_of(data, "SELECT profile, host, port, unit_id FROM device") == [
        ("sungrow_sg_string", "10.8.1.20", 502, 3)
    ]


def test_a_template_is_written_that_can_be_filled_in(tmp_path):
    out = tmp_path / "stations.xlsx"
    ended = sunledger("import", "template", "stations", "--out", out)
    assert ended.code == 0
    assert out.read_bytes().startswith(b"PK")
    refused(sunledger("import", "template", "stations", "--out", tmp_path / "absent" / "x.xlsx"), "写不了")
    refused(sunledger("import", "template", "people", "--out", out), "没有“people”")
