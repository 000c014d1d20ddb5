"""The list of household systems (户用电站表): which households' roofs a 户用 group consists of.

Owns its columns and how a row becomes a household's system.
"""

from typing import Any

from sqlalchemy import select

from registry.assets.household_systems import HouseholdSystem, add_household_system
from registry.assets.tables import HouseholdSystemRow
from registry.facts import known, overlaps
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.people.common import WHO, changed, fact_plan, home_of, key_of, order_problem, span_claim
from registry.intake.places.common import DOCUMENT, WHICH, station_named
from registry.intake.plans import Claim, RowPlan, Values
from registry.intake.steps import Desk
from registry.roll.spans import end_fact
from registry.secrets import KeyRing
from registry.stations import StationKind
from store.problem import Problem

SPEC = ListSpec(
    "systems",
    "户用电站表",
    (
        WHICH,
        *WHO,
        ColumnSpec("rated_power_w", "容量(kW)", v.watts, True, ("装机容量", "容量"), "5"),
        ColumnSpec("account", "户用发电户号", v.grid_account, False, ("发电客户编号",), "", "文本格式"),
        ColumnSpec("valid_from", "起始日期", v.day, True, ("并网日期",), "2018-06-30"),
        ColumnSpec("valid_to", "终止日期", v.day, False, ("拆除日期",), ""),
        DOCUMENT,
    ),
    ("每户一行；电站要先登记为户用，农户要先在户信息表里。",),
)


class SystemList:
    """Rows of the list of household systems."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """A household in a group once on any day."""
        return span_claim(values, *key_of(values, "station"))

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:  # noqa: ARG002, no personal data here
        """Record a household's system, or change its power or end."""
        given: dict[str, Any] = dict(values)
        label = f"{given['station']} {given['number']}"
        home = home_of(desk, values)
        if isinstance(home, RowPlan):
            return home
        station = station_named(desk, given["station"])
        found = [one for one in (station, order_problem(values)) if isinstance(one, Problem)]
        if not isinstance(station, Problem) and station.kind != StationKind.HOUSEHOLD_GROUP:
            found.append(Problem("station", "不是户用电站", "先把电站类型改为户用"))
        if found or isinstance(station, Problem):
            return RowPlan(label, problems=tuple(found))
        record = HouseholdSystem(
            station.id,
            home.id,
            home.village_code,
            given["rated_power_w"],
            given["valid_from"],
            given.get("valid_to"),
            given.get("account", ""),
            given.get("document", ""),
        )
        statement = select(HouseholdSystemRow).where(
            HouseholdSystemRow.station_id == station.id,
            HouseholdSystemRow.household_id == home.id,
            known(HouseholdSystemRow),
            overlaps(HouseholdSystemRow, record.valid_from, record.valid_to),
        )
        old = desk.session.scalars(statement).first()
        changes = None
        if old is not None:
            compared = (
                ("容量（瓦）", old.rated_power_w, record.rated_power_w),
                ("户号", old.account_number, record.account_number or old.account_number),
                ("终止日期", old.valid_to, record.valid_to),
            )
            changes = changed(compared)

        def act() -> None:
            if old is not None:
                end_fact(desk.session, desk.actor, old, record.valid_from, desk.now)
            add_household_system(desk.session, desk.actor, record, desk.now)

        return fact_plan(desk, label, changes, act)
