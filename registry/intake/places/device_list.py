"""The list of devices (设备台账): inverters and meters, how each is reached, and revenue meters.

Owns its columns and how a row becomes a device. A device is known by its station and slot number; a row
with another serial number for a slot that is taken is a replacement and needs the day it was made.
"""

from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import select

from documents.reading import Cell
from registry.facts import as_columns, as_record
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.places.common import station_named
from registry.intake.plans import Change, Claim, RowPlan, Values, future_problem
from registry.intake.steps import Desk, Step, added, change
from registry.secrets import KeyRing
from registry.stations import (
    Device,
    DeviceKind,
    DeviceRow,
    RevenueMeter,
    RevenueMeterRow,
    add_device,
    add_revenue_meter,
)
from store.db import new_id
from store.problem import Problem

KINDS = {
    "逆变器": DeviceKind.INVERTER,
    "关口表": DeviceKind.METER,
    "电表": DeviceKind.METER,
    "环境监测仪": DeviceKind.SENSOR,
    "采集器": DeviceKind.LOGGER,
}
TRANSPORTS = {
    "Modbus TCP": "modbus-tcp",
    "Modbus RTU over TCP": "modbus-rtu-tcp",
    "串口": "modbus-serial",
    "DTU 拨入": "modbus-dial-in",
    "DTU 拨入（TCP 帧）": "modbus-dial-in-tcp",
    "DL/T 645": "dlt645-tcp",
    "DL/T 645 串口": "dlt645-serial",
    "MQTT": "mqtt",
    "无": "",
}


def whole(low: int, high: int) -> v.Parser:
    """Return a parser of whole numbers between two bounds."""

    def parse(cell: Cell) -> int:
        return v.scaled(cell, 1, (str(low), str(high)), "整数")

    return parse


SPEC = ListSpec(
    "devices",
    "设备台账",
    (
        ColumnSpec("station", "电站", v.text, True, ("电站名称", "发电户号", "户号"), "上寨村光伏电站"),
        ColumnSpec("kind", "设备类型", v.choice(KINDS), True, ("类型",), "逆变器", "逆变器、关口表…"),
        ColumnSpec("position", "编号", whole(1, 999), True, ("序号", "机位"), "1", "站内同类设备的序号"),
        ColumnSpec("name", "设备名称", v.text, True, ("名称", "型号"), "1号逆变器 SG60KU-M"),
        ColumnSpec("serial", "序列号", v.text, False, ("出厂编号",), "A2012345678"),
        ColumnSpec("rated_power_w", "额定功率(kW)", v.watts, False, ("额定功率", "容量(kW)"), "60"),
        ColumnSpec("installed_on", "投运日期", v.day, True, ("安装日期",), "2018-06-30"),
        ColumnSpec(
            "transport", "通信方式", v.choice(TRANSPORTS), True, (), "Modbus TCP", "、".join(TRANSPORTS)
        ),
        ColumnSpec("profile", "设备档案", v.text, False, ("档案", "报文映射"), "sungrow_sg_string"),
        ColumnSpec("host", "地址", v.text, False, ("IP", "IP地址"), "10.8.1.20"),
        ColumnSpec("port", "端口", whole(1, 65535), False, (), "502"),
        ColumnSpec("unit_id", "站号", whole(0, 255), False, ("从站地址",), "1"),
        ColumnSpec("topic", "MQTT 主题", v.text, False, ("主题",), ""),
        ColumnSpec("cycle_seconds", "采集周期(秒)", whole(5, 3600), False, ("周期",), "60"),
        ColumnSpec("meter_number", "表号", v.text, False, ("关口表号",), "", "只有关口表填"),
        ColumnSpec("meter_multiplier", "倍率", whole(1, 1000000), False, ("综合倍率",), "", "只有关口表填"),
    ),
    ("每台设备一行；先导入电站台账。更换设备：同一编号写新的序列号和新的投运日期。",),
)
_OWN = {"station", "meter_number", "meter_multiplier"}


class DeviceList:
    """Rows of the list of devices."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """A slot of a station once."""
        return (Claim((values["station"], values["kind"], values["position"])),)

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:  # noqa: ARG002, no personal data here
        """Add a device, replace the one in its slot, or change those of its columns that the file fills."""
        label = str(values["name"])
        station = station_named(desk, str(values["station"]))
        problems = [] if not isinstance(station, Problem) else [station]
        late = future_problem(desk, "installed_on", values["installed_on"])
        problems += [] if late is None else [late]
        problems += _missing(values)
        if problems or isinstance(station, Problem):
            return RowPlan(label, problems=tuple(problems))
        row = _in_slot(desk, station.id, values)
        given: dict[str, Any] = {name: value for name, value in values.items() if name not in _OWN}
        if row is None:
            return RowPlan(label, is_new=True, act=lambda: _add(desk, station.id, given, values))
        if _is_replacement(row, given):
            if given["installed_on"] <= row.installed_on:
                wrong = Problem("installed_on", "更换的设备要写更换那天的日期", f"应晚于 {row.installed_on}")
                return RowPlan(label, problems=(wrong,))
            return RowPlan(label, is_new=True, act=lambda: _replace(desk, row, given, values))
        before = as_record(Device, row)
        after = replace(before, **given)
        act = lambda: (change(desk, row, as_columns(after)),)  # noqa: E731, one act
        return RowPlan(label, _changes(before, after), act=act)


def _missing(values: Values) -> list[Problem]:
    transport, kind = values["transport"], values["kind"]
    needed = {"mqtt": ("topic", "profile"), "": ()}.get(str(transport), ("host", "profile"))
    titles = {column.field: column.title for column in SPEC.columns}
    missing = [name for name in needed if not values.get(name)]
    if kind == DeviceKind.METER and bool(values.get("meter_number")) != bool(values.get("meter_multiplier")):
        missing.append("meter_multiplier" if values.get("meter_number") else "meter_number")
    return [Problem(name, f"这种设备要填“{titles[name]}”", "补上这一格") for name in missing]


def _in_slot(desk: Desk, station_id: str, values: Values) -> DeviceRow | None:
    return desk.session.scalar(
        select(DeviceRow).where(
            DeviceRow.station_id == station_id,
            DeviceRow.kind == values["kind"],
            DeviceRow.position == values["position"],
            DeviceRow.removed_on.is_(None),
        )
    )


def _is_replacement(row: DeviceRow, given: dict[str, Any]) -> bool:
    return bool(row.serial and given.get("serial") and row.serial != given["serial"])


def _add(desk: Desk, station_id: str, given: dict[str, Any], values: Values) -> tuple[Step, ...]:
    record = Device(id=new_id("device"), station_id=station_id, **{"profile": "", **given})
    add_device(desk.session, desk.actor, record, desk.now)
    steps = [added(desk.session.get_one(DeviceRow, record.id))]
    if values.get("meter_number"):
        meter = RevenueMeter(
            id=new_id("meter"),
            station_id=station_id,
            meter_number=str(values["meter_number"]),
            meter_multiplier=int(str(values["meter_multiplier"])),
            installed_on=record.installed_on,
            device_id=record.id,
        )
        add_revenue_meter(desk.session, desk.actor, meter, desk.now)
        steps.append(added(desk.session.get_one(RevenueMeterRow, meter.id)))
    return tuple(steps)


def _replace(desk: Desk, row: DeviceRow, given: dict[str, Any], values: Values) -> tuple[Step, ...]:
    new_day: date = given["installed_on"]
    meters = select(RevenueMeterRow).where(
        RevenueMeterRow.device_id == row.id, RevenueMeterRow.removed_on.is_(None)
    )
    leaving = [row, *desk.session.scalars(meters)]
    ended = [change(desk, one, {"removed_on": new_day}) for one in leaving]
    return (*ended, *_add(desk, row.station_id, {**given, "replaces": row.id}, values))


def _changes(before: Device, after: Device) -> tuple[Change, ...]:
    titles = {column.field: column.title for column in SPEC.columns if column.field not in _OWN}
    return tuple(
        Change(title, str(getattr(before, name)), str(getattr(after, name)))
        for name, title in titles.items()
        if getattr(before, name) != getattr(after, name)
    )
