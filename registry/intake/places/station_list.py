"""The list of stations (电站台账).

Owns its columns and how a row becomes a station.
"""

from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import select

from registry.facts import as_columns, as_record
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.plans import Change, Claim, RowPlan, Values, future_problem, village_problem
from registry.intake.steps import Desk, Step, added, change
from registry.secrets import KeyRing
from registry.stations import Station, StationKind, StationRow, add_station
from store.db import new_id
from store.problem import Problem

KINDS: dict[str, str] = {
    "村级": StationKind.VILLAGE,
    "村级电站": StationKind.VILLAGE,
    "联村": StationKind.JOINT,
    "联村电站": StationKind.JOINT,
    "户用": StationKind.HOUSEHOLD_GROUP,
    "农光互补": StationKind.AGRI_PV,
    "集中": StationKind.GROUND,
    "地面集中": StationKind.GROUND,
}
ZONES = {
    "I": "I",
    "II": "II",
    "III": "III",
    "Ⅰ": "I",
    "Ⅱ": "II",
    "Ⅲ": "III",
    "一类": "I",
    "二类": "II",
    "三类": "III",
}
MODES = {"全额上网": "full", "自发自用余电上网": "surplus", "自发自用，余电上网": "surplus"}

SPEC = ListSpec(
    "stations",
    "电站台账",
    (
        ColumnSpec("name", "电站名称", v.text, True, ("名称", "电站名"), "上寨村光伏电站"),
        ColumnSpec(
            "kind",
            "电站类型",
            v.choice(KINDS),
            True,
            ("类型", "建设类型"),
            "村级",
            "村级、联村、户用、农光互补、地面集中",
        ),
        ColumnSpec(
            "division_code",
            "所在村代码",
            v.division_code,
            True,
            ("村代码", "行政区划代码"),
            "520499100201",
            "12 位",
        ),
        ColumnSpec(
            "rated_power_w",
            "装机容量(kW)",
            v.watts,
            True,
            ("交流容量", "容量", "并网容量"),
            "300",
            "逆变器交流侧",
        ),
        ColumnSpec("dc_power_w", "直流容量(kWp)", v.watts, False, ("组件容量",), "330"),
        ColumnSpec("latitude", "纬度", v.latitude, True, ("北纬",), "26.25"),
        ColumnSpec("longitude", "经度", v.longitude, True, ("东经",), "105.95"),
        ColumnSpec(
            "account_number",
            "发电户号",
            v.grid_account,
            False,
            ("户号", "发电客户编号"),
            "0525000001",
            "文本格式",
        ),
        ColumnSpec("grid_connected_on", "并网日期", v.day, False, ("并网时间", "投运日期"), "2018-06-30"),
        ColumnSpec("tariff_zone", "资源区", v.choice(ZONES), False, ("电价区",), "III", "I、II、III"),
        ColumnSpec("on_grid_mode", "上网模式", v.choice(MODES), False, ("消纳方式",), "全额上网"),
        ColumnSpec("subsidy_list_status", "补贴目录", v.text, False, ("补助目录", "目录批次"), "第一批"),
        ColumnSpec("maintenance_company", "运维单位", v.text, False, ("运维公司",), "某运维公司"),
        ColumnSpec("maintenance_phone", "运维电话", v.phone, False, (), "0851-1234567"),
        ColumnSpec("payee", "收款单位", v.text, False, ("结转机构", "收款账户名称"), "县结转专户"),
    ),
    ("每站一行；有户号的按户号认，没有户号的按村和名称认。",),
)


class StationList:
    """Rows of the list of stations."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """A 户号 once, and a name once in a village."""
        named = Claim((values["division_code"], values["name"]))
        if "account_number" in values:
            return (named, Claim(("account", values["account_number"])))
        return (named,)

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:  # noqa: ARG002, no personal data here
        """Add a station, or change those of its columns that the file fills."""
        label = str(values["name"])
        wrong = village_problem(desk, str(values["division_code"]))
        late = future_problem(desk, "grid_connected_on", values.get("grid_connected_on"))
        problems = [
            replace(found, where="division_code" if found is wrong else found.where)
            for found in (wrong, late)
            if found is not None
        ]
        row = _existing(desk, values)
        if row is not None and not desk.actor.covers(row.division_code):
            problems.append(Problem("account_number", "这个户号已登记在别的辖区", "与供电公司核对户号"))
        if problems:
            return RowPlan(label, problems=tuple(problems))
        given: dict[str, Any] = dict(values)
        if row is None:
            record = Station(id=new_id("station"), **given)
            return RowPlan(label, is_new=True, act=lambda: _add(desk, record))
        record = replace(as_record(Station, row), **given)
        back = row.withdrawn_at is not None
        columns = {**as_columns(record), "withdrawn_at": None}
        act = lambda: (change(desk, row, columns),)  # noqa: E731, one act
        return RowPlan(label, _changes(as_record(Station, row), record), back, act=act)


def _existing(desk: Desk, values: Values) -> StationRow | None:
    statement = select(StationRow)
    if "account_number" in values:
        found = desk.session.scalar(statement.where(StationRow.account_number == values["account_number"]))
        if found is not None:
            return found
        statement = statement.where(StationRow.account_number.is_(None))
    statement = statement.where(
        StationRow.division_code == values["division_code"], StationRow.name == values["name"]
    )
    return desk.session.scalars(statement.order_by(StationRow.id)).first()


def _add(desk: Desk, record: Station) -> tuple[Step, ...]:
    add_station(desk.session, desk.actor, record, desk.now)
    return (added(desk.session.get_one(StationRow, record.id)),)


def _changes(before: Station, after: Station) -> tuple[Change, ...]:
    titles = {column.field: column.title for column in SPEC.columns}
    old, new = asdict(before), asdict(after)
    return tuple(
        Change(titles[name], _shown(name, old[name]), _shown(name, new[name]))
        for name in titles
        if old[name] != new[name]
    )


def _shown(name: str, value: object) -> str:
    if value is None or value == "":
        return "（空）"
    if name.endswith("_power_w") and isinstance(value, int):
        return f"{value // 1000}.{value % 1000:03d}".rstrip("0").rstrip(".")
    words: dict[str, str] = {"kind": KINDS, "on_grid_mode": MODES}.get(name, {})
    return next((word for word, identifier in words.items() if identifier == value), str(value))
