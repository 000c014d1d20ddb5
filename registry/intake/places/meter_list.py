"""The list of exchanged revenue meters (关口表更换表), with closing and opening reading.

Owns its columns and how a row becomes an exchange.
"""

from typing import Any

from sqlalchemy import select

from registry.assets.replacements import Readings, replace_meter
from registry.assets.tables import ReplacementRow
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.places.common import DOCUMENT, WHICH, station_named
from registry.intake.places.device_list import whole
from registry.intake.plans import Claim, RowPlan, Values, future_problem
from registry.intake.steps import Desk, Step, kept
from registry.secrets import KeyRing
from registry.stations import RevenueMeter, RevenueMeterRow
from store.db import new_id
from store.problem import Problem

SPEC = ListSpec(
    "meters",
    "关口表更换表",
    (
        WHICH,
        ColumnSpec("old_number", "旧表号", v.text, True, ("原表号",), "0001234567"),
        ColumnSpec("new_number", "新表号", v.text, True, ("换上表号",), "0007654321"),
        ColumnSpec("multiplier", "倍率", whole(1, 1_000_000), True, ("综合倍率", "新表倍率"), "40"),
        ColumnSpec("replaced_on", "更换日期", v.day, True, ("换表日期",), "2026-10-15"),
        ColumnSpec("closing", "旧表止码", v.reading, True, ("止码", "拆表示数"), "12345.67"),
        ColumnSpec("opening", "新表起码", v.reading, True, ("起码", "装表示数"), "0"),
        ColumnSpec("document", "依据", v.text, True, DOCUMENT.aliases, "换表单 2026-17"),
    ),
    ("每次更换一行；示数照表面读数填写，不乘倍率。换表记录导入后不能整批撤销。",),
)


class MeterList:
    """Rows of the list of exchanged meters."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """A meter is taken off once, and put up once."""
        return (Claim(("old", values["old_number"])), Claim(("new", values["new_number"])))

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:  # noqa: ARG002, no personal data here
        """Exchange the meter; a row that was taken in before changes nothing."""
        given: dict[str, Any] = dict(values)
        label = f"{given['old_number']} → {given['new_number']}"
        station = station_named(desk, given["station"])
        late = future_problem(desk, "replaced_on", given["replaced_on"])
        problems = tuple(one for one in (station, late) if isinstance(one, Problem))
        if problems or isinstance(station, Problem):
            return RowPlan(label, problems=problems)
        meters = {
            row.meter_number: row
            for row in desk.session.scalars(
                select(RevenueMeterRow).where(RevenueMeterRow.station_id == station.id)
            )
        }
        old, new = meters.get(given["old_number"]), meters.get(given["new_number"])
        if old is not None and new is not None and old.removed_on == new.installed_on == given["replaced_on"]:
            return RowPlan(label)
        if old is None or old.removed_on is not None or new is not None:
            what = "新表号已经登记" if new is not None else "这座电站没有这块在用的关口表"
            field = "new_number" if new is not None else "old_number"
            return RowPlan(label, problems=(Problem(field, what, "核对表号"),))
        if given["replaced_on"] <= old.installed_on:
            wrong = Problem("replaced_on", f"不晚于旧表的安装日期 {old.installed_on}", "核对更换日期")
            return RowPlan(label, problems=(wrong,))
        return RowPlan(label, is_new=True, act=lambda: _exchange(desk, old, given))


def _exchange(desk: Desk, old: RevenueMeterRow, given: dict[str, Any]) -> tuple[Step, ...]:
    new = RevenueMeter(
        new_id("meter"), old.station_id, given["new_number"], given["multiplier"], given["replaced_on"]
    )
    readings = Readings(given["closing"], given["opening"], given["document"], desk.now)
    made = replace_meter(desk.session, desk.actor, old.id, new, readings)
    return (kept(ReplacementRow, made),)
