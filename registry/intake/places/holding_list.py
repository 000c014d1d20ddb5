"""The list of holdings (股权登记表): who holds which part of a station, or of a body that holds stations.

Owns its columns and how a row becomes a holding.
"""

from typing import Any

from sqlalchemy import select

from registry.assets.tables import HoldingRow
from registry.facts import known, overlaps
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.people.common import changed, order_problem, span_claim
from registry.intake.places.common import DOCUMENT, station_named
from registry.intake.plans import Claim, RowPlan, Values
from registry.intake.steps import Desk, watched
from registry.roll.spans import end_fact, put
from registry.secrets import KeyRing
from registry.stations import StationRow
from store.problem import Problem

_PARTS = 1000

SPEC = ListSpec(
    "holdings",
    "股权登记表",
    (
        ColumnSpec(
            "held", "被持有方", v.text, True, ("电站或公司", "标的"), "县光伏公司", "电站名称、户号或公司名称"
        ),
        ColumnSpec("owner", "持有方", v.text, True, ("股东", "出资人"), "520499100201", "村代码或公司名称"),
        ColumnSpec(
            "amount",
            "出资额或股数",
            v.figure,
            True,
            ("出资额", "股数", "持股比例"),
            "200000",
            "用同一单位",
        ),
        ColumnSpec("valid_from", "起始日期", v.day, True, ("开始日期",), "2026-01-01"),
        ColumnSpec("valid_to", "终止日期", v.day, False, ("结束日期",), ""),
        DOCUMENT,
    ),
    ("每个持有方一行；逐层登记，直到村为止。",),
)


class HoldingList:
    """Rows of the list of holdings."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """An owner in a thing once on any day."""
        return span_claim(values, *(values["held"], values["owner"]))

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:  # noqa: ARG002, no personal data here
        """Record a holding from a day on; an earlier one ends there."""
        given: dict[str, Any] = dict(values)
        label = f"{given['owner']} → {given['held']}"
        station = station_named(desk, given["held"])
        held = station.id if isinstance(station, StationRow) else given["held"]
        problems = [one for one in (order_problem(values),) if one is not None]
        if isinstance(station, Problem) and "同名" in station.what:
            problems.append(Problem("held", station.what, station.how_to_fix))
        if not given["amount"]:
            problems.append(Problem("amount", "出资额或股数是 0", "不再持有的，写终止日期"))
        if problems:
            return RowPlan(label, problems=tuple(problems))
        columns = {
            "owner": given["owner"],
            "held": held,
            "weight": int(given["amount"] * _PARTS),
            "document": given.get("document", ""),
            "valid_from": given["valid_from"],
            "valid_to": given.get("valid_to"),
        }
        statement = select(HoldingRow).where(
            HoldingRow.owner == columns["owner"],
            HoldingRow.held == held,
            known(HoldingRow),
            overlaps(HoldingRow, given["valid_from"], columns["valid_to"]),
        )
        old = list(desk.session.scalars(statement.order_by(HoldingRow.valid_from)))
        changes = None
        if old:
            compared = (
                ("出资额或股数（千分）", old[-1].weight, columns["weight"]),
                ("终止日期", old[-1].valid_to, columns["valid_to"]),
            )
            changes = changed(compared)
            if not changes:
                return RowPlan(label)

        def act() -> None:
            for one in old:
                end_fact(desk.session, desk.actor, one, given["valid_from"], desk.now)
            put(desk.session, desk.actor, HoldingRow, columns, desk.now)

        return RowPlan(label, changes or (), changes is None, act=lambda: watched(desk, act))
