"""The list of shares of joint stations (联村份额表): by kW, by capital, or by count of villages.

Owns its columns and how a row becomes a share. Weights are exact integers: W, fen, or a count.
"""

from typing import Any

from sqlalchemy import select

from registry.assets.archive import ArchiveEntry, archive, record_entry
from registry.facts import known, overlaps
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.people.common import changed, order_problem, span_claim
from registry.intake.places.common import DOCUMENT, WHICH, station_named
from registry.intake.plans import Claim, RowPlan, Values, future_problem, village_problem
from registry.intake.steps import Desk, watched
from registry.roll.spans import end_fact, put
from registry.secrets import KeyRing
from registry.stations import StationRow, StationShareRow
from store.problem import Problem

BASES = {"按容量": 1000, "按出资": 100, "按村数": 1}
"""How many units of weight stand behind one written unit: W in a kW, fen in a yuan, a village in a count."""

SPEC = ListSpec(
    "shares",
    "联村份额表",
    (
        WHICH,
        ColumnSpec(
            "village_code", "村代码", v.division_code, True, ("行政村代码", "所在村代码"), "520499100201"
        ),
        ColumnSpec(
            "basis",
            "份额依据",
            v.choice({word: word for word in BASES}),
            True,
            ("分摊依据",),
            "按容量",
            "、".join(BASES),
        ),
        ColumnSpec(
            "amount", "数额", v.figure, True, ("容量或出资额",), "60", "按容量写千瓦，按出资写元，按村数写 1"
        ),
        ColumnSpec("valid_from", "起始日期", v.day, True, ("开始日期",), "2026-01-01"),
        ColumnSpec("valid_to", "终止日期", v.day, False, ("结束日期",), "", "这一天起不再占份额"),
        DOCUMENT,
    ),
    ("每村一行；同一座电站只用一种依据。份额有变的，写新的数额和从哪一天起。",),
)


class ShareList:
    """Rows of the list of shares."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """A village in a station once on any day."""
        return span_claim(values, *(values["station"], values["village_code"]))

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:  # noqa: ARG002, no personal data here
        """Record a village's share from a day on; an earlier one ends there."""
        given: dict[str, Any] = dict(values)
        label = f"{given['station']} {given['village_code']}"
        station = station_named(desk, given["station"])
        if isinstance(station, Problem):
            return RowPlan(label, problems=(station,))
        weight = given["amount"] * BASES[given["basis"]]
        found = [
            village_problem(desk, given["village_code"]),
            order_problem(values),
            future_problem(desk, "valid_from", given["valid_from"]),
            _basis_problem(desk, station, given["basis"]),
        ]
        if weight < 1 or weight % 1:
            found.append(Problem("amount", "数额太小或太细", "容量精确到瓦，出资精确到分，村数写整数"))
        problems = tuple(one for one in found if one is not None)
        if problems:
            return RowPlan(label, problems=problems)
        columns = {
            "station_id": station.id,
            "village_code": given["village_code"],
            "weight": int(weight),
            "valid_from": given["valid_from"],
            "valid_to": given.get("valid_to"),
        }
        old = list(desk.session.scalars(_overlapping(columns)))
        changes = None
        if old:
            before = old[-1]
            compared = (
                ("份额", before.weight, columns["weight"]),
                ("终止日期", before.valid_to, columns["valid_to"]),
            )
            changes = changed(compared)
            if not changes:
                return RowPlan(label)

        def act() -> None:
            for one in old:
                end_fact(desk.session, desk.actor, one, given["valid_from"], desk.now)
            put(desk.session, desk.actor, StationShareRow, columns, desk.now)
            entry = ArchiveEntry(
                station.id,
                "share_basis",
                given["basis"],
                given["valid_from"],
                None,
                given.get("document", ""),
            )
            if not any(one.field == "share_basis" for one in archive(desk.session, desk.actor, station.id)):
                record_entry(desk.session, desk.actor, entry, desk.now)

        return RowPlan(label, changes or (), changes is None, act=lambda: watched(desk, act))


def _basis_problem(desk: Desk, station: StationRow, basis: str) -> Problem | None:
    kept = [one.value for one in archive(desk.session, desk.actor, station.id) if one.field == "share_basis"]
    said = desk.said.setdefault(("share_basis", station.id), kept[-1] if kept else basis)
    if said == basis:
        return None
    return Problem("basis", f"这座电站的份额依据是“{said}”", "同一座电站只用一种依据；要改的先改电站档案")


def _overlapping(columns: dict[str, Any]) -> Any:
    return (
        select(StationShareRow)
        .where(
            StationShareRow.station_id == columns["station_id"],
            StationShareRow.village_code == columns["village_code"],
            known(StationShareRow),
            overlaps(StationShareRow, columns["valid_from"], columns["valid_to"]),
        )
        .order_by(StationShareRow.valid_from)
    )
