"""Divisions and devices: what a county needs before its first station is polled."""

import csv
import io
from datetime import UTC, date, datetime

import pytest

from registry import intake
from registry.actors import Actor, Role
from registry.divisions import divisions
from registry.intake import Outcome, Upload
from registry.stations import devices, revenue_meters
from store.problem import ProblemsError

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
CLERK = Actor("clerk", "县经办", Role.COUNTY, "520491000000")
ANYWHERE = Actor("installer", "安装", Role.COUNTY)


def sheet(kind: str, *rows: dict[str, str], partial: bool = False) -> Upload:
    titles = list(dict.fromkeys(title for row in rows for title in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, titles, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return Upload(kind, f"{kind}.csv", buffer.getvalue().encode("utf-8-sig"), partial=partial)


def take(world, upload: Upload, actor: Actor = CLERK) -> intake.Batch:
    with world.database.transaction() as session:
        return intake.commit(session, actor, world.ring, upload, NOW)


def problems(world, upload: Upload) -> str:
    with world.database.reading() as session:
        found = intake.preview(session, CLERK, world.ring, upload, NOW)
    return "\n".join(str(problem) for problem in found.all_problems)


def division(code: str, name: str, level: str) -> dict[str, str]:
    return {"区划代码": code, "名称": name, "级别": level}


def inverter(**changes: str) -> dict[str, str]:
    row = {
        "电站": "新寨村光伏电站",
        "设备类型": "逆变器",
        "编号": "1",
        "设备名称": "1号逆变器",
        "序列号": "A001",
        "额定功率(kW)": "60",
        "投运日期": "2018-06-30",
        "通信方式": "Modbus TCP",
        "设备档案": "sungrow_sg_string",
        "地址": "10.8.1.20",
        "站号": "3",
    }
    return row | changes


STATION = {
    "电站名称": "新寨村光伏电站",
    "电站类型": "村级",
    "所在村代码": "520491100201",
    "装机容量(kW)": "300",
    "纬度": "26.25",
    "经度": "105.95",
    "发电户号": "0525000099",
}


def test_a_county_begins_with_its_divisions(filled) -> None:
    rows = [
        division("520493000000", "新县", "县"),
        division("520493100000", "新镇", "乡镇"),
        division("520493100201", "新村", "村"),
    ]
    batch = take(filled, sheet("divisions", *rows), ANYWHERE)
    assert (batch.added, batch.refused) == (3, 0)
    with filled.database.reading() as session:
        found = {one.code: one for one in divisions(session, ANYWHERE)}
    assert found["520493100201"].parent_code == "520493100000"
    assert found["520493100000"].parent_code == "520493000000"
    assert take(filled, sheet("divisions", *rows), ANYWHERE).unchanged == 3


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (division("520491100000", "镇", "村"), "不是这一级的代码"),
        (division("520491100201", "村", "县"), "不是这一级的代码"),
        (division("530100000000", "别县", "县"), "不在您的辖区内"),
        (division("5204911002", "短", "村"), "不是 12 位"),
    ],
)
def test_a_division_that_cannot_be_is_refused(filled, row, words) -> None:
    assert words in problems(filled, sheet("divisions", row))


def test_a_device_is_added_and_can_be_polled(filled) -> None:
    take(filled, sheet("stations", STATION))
    meter = inverter(
        设备类型="关口表",
        设备名称="关口表",
        序列号="M1",
        设备档案="acrel_dtsd1352",
        表号="333000001",
        倍率="60",
    )
    assert take(filled, sheet("devices", inverter(), meter)).added == 2
    with filled.database.reading() as session:
        found = [one for one in devices(session, CLERK) if one.serial in {"A001", "M1"}]
        (revenue,) = [one for one in revenue_meters(session, CLERK) if one.meter_number == "333000001"]
    assert {(one.transport, one.host, one.unit_id, one.rated_power_w) for one in found} == {
        ("modbus-tcp", "10.8.1.20", 3, 60_000)
    }
    assert revenue.meter_multiplier == 60
    assert take(filled, sheet("devices", inverter(), meter)).unchanged == 2


def test_another_serial_number_in_a_slot_is_a_replacement_with_its_day(filled) -> None:
    take(filled, sheet("stations", STATION))
    take(filled, sheet("devices", inverter()))
    assert "更换那天的日期" in problems(filled, sheet("devices", inverter(序列号="B002")))
    take(filled, sheet("devices", inverter(序列号="B002", 投运日期="2026-03-01")))
    with filled.database.reading() as session:
        old, new = [one for one in devices(session, CLERK) if one.serial in {"A001", "B002"}]
    assert old.removed_on == new.installed_on == date(2026, 3, 1)
    assert new.replaces == old.id


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (inverter(电站="没有这座"), "没有登记"),
        (inverter(地址=""), "要填“地址”"),
        (inverter(通信方式="MQTT"), "要填“MQTT 主题”"),
        (inverter(设备类型="关口表", 表号="1"), "要填“倍率”"),
        (inverter(站号="300"), "不在 0 至 255 之间"),
        (inverter(编号="一"), "不是数"),
    ],
)
def test_a_device_that_cannot_be_reached_is_refused(filled, row, words) -> None:
    take(filled, sheet("stations", STATION))
    assert words in problems(filled, sheet("devices", row))


def test_new_devices_are_not_taken_back_in_bulk(filled) -> None:
    take(filled, sheet("stations", STATION))
    batch = take(filled, sheet("devices", inverter()))
    with pytest.raises(ProblemsError, match="不能整批撤销"), filled.database.transaction() as session:
        intake.undo(session, CLERK, batch.id, NOW)


def test_a_device_whose_columns_change_keeps_its_id(filled) -> None:
    take(filled, sheet("stations", STATION))
    take(filled, sheet("devices", inverter()))
    with filled.database.reading() as session:
        look = intake.preview(session, CLERK, filled.ring, sheet("devices", inverter(地址="10.8.1.30")), NOW)
    assert look.count(Outcome.CHANGED) == 1
    assert [(one.title, one.before, one.after) for one in look.rows[0].changes] == [
        ("地址", "10.8.1.20", "10.8.1.30")
    ]
