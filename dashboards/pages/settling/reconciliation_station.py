"""One station's month as a waterfall: inverter, meter, bill, receipt, with the table that says the same.

Owns the page. Energies are shown in yuan at the bill's average price, so that one chart holds the whole way.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.charts import Step, waterfall_chart
from dashboards.month_work import chosen_month, month_choices
from dashboards.web import Crumb, NotFoundError, reading, render, requires, services_of
from distribution.money import round_fen
from distribution.settlement.intake.undo import LineChange, revision_changes
from distribution.settlement.matching.evidence import PPM
from distribution.settlement.matching.results import MatchResult, match_results
from distribution.settlement.reads import revisions
from distribution.settlement.reconciliation import (
    Discrepancy,
    DiscrepancyEvent,
    discrepancies,
    discrepancy_events,
)
from distribution.types import Settlement
from registry.actors import Actor, Permission
from registry.stations import Station, station
from registry.users import user_names

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]


@dataclass(frozen=True, slots=True)
class WaterfallRow:
    """One row of the way: its name, energy [Wh] where it is one, amount [fen], and a remark."""

    label: str
    energy_wh: int | None
    amount_fen: int | None
    remark: str = ""
    is_change: bool = False


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of the bill and what it changed."""

    bill: Settlement
    changes: tuple[LineChange, ...]


@dataclass(frozen=True, slots=True)
class StationMonthView:
    """A station's month."""

    place: Station
    month: str
    months: tuple[str, ...]
    result: MatchResult | None
    rows: tuple[WaterfallRow, ...]
    chart: dict[str, Any] | None
    found: tuple[tuple[Discrepancy, tuple[DiscrepancyEvent, ...]], ...]
    revisions: tuple[Revision, ...]
    names: dict[str, str]


@router.get("/reconciliation/stations/{station_id}")
def show_station(
    request: Request, actor: Reader, session: Reading, station_id: str, month: str = ""
) -> HTMLResponse:
    """Show one station's month from inverter to bank."""
    place = station(session, actor, station_id)
    if place is None:
        raise NotFoundError(f"没有电站 {station_id}")
    now = services_of(request).clock()
    chosen = chosen_month(month, now)
    result = next(iter(match_results(session, actor, month=chosen, station_id=place.id)), None)
    bills = revisions(session, actor, place.id, chosen)
    rows = () if result is None else waterfall(result, bills[-1] if bills else None)
    found = discrepancies(session, actor, month=chosen, station_id=place.id, with_past=True)
    steps = [Step(row.label, row.amount_fen, row.is_change) for row in rows]
    view = StationMonthView(
        place,
        chosen,
        month_choices(now),
        result,
        rows,
        waterfall_chart("折合金额", steps) if steps else None,
        tuple((one, discrepancy_events(session, actor, one.id)) for one in found),
        tuple(_revisions(bills)),
        user_names(session),
    )
    crumbs = (Crumb("对账", f"/reconciliation?month={chosen}"),)
    return render(request, "settling/reconciliation_station.html", place.name, crumbs=crumbs, view=view)


def _revisions(bills: tuple[Settlement, ...]) -> list[Revision]:
    return [
        Revision(bill, revision_changes(bills[number - 1], bill) if number else ())
        for number, bill in enumerate(bills)
    ]


def waterfall(result: MatchResult, bill: Settlement | None) -> tuple[WaterfallRow, ...]:
    """Return the way from inverter to bank; every change is the difference of the amounts around it."""
    price = _price(result)
    rows: list[WaterfallRow] = []
    energies = (
        ("逆变器", result.inverter_wh, f"完整度 {result.completeness_ppm * 100 // PPM}%"),
        ("关口表", result.meter_wh, result.meter_source),
        ("结算电量", result.billed_wh, "" if bill is None else f"第 {bill.revision} 版"),
    )
    last: int | None = None
    for label, energy, remark in energies:
        if energy is None:
            continue
        if last is not None:
            rows.append(_change(_gap_name(label), energy - last, price, result))
        rows.append(WaterfallRow(label, energy, _worth(energy, price), remark))
        last = energy
    if result.billed_wh is not None:
        off = result.billed_fen - (_worth(result.billed_wh, price) or 0)
        if off:
            rows.append(WaterfallRow("税和调整", None, off, "结算单所列", is_change=True))
        rows.append(WaterfallRow("应收", None, result.billed_fen, "电费和补贴"))
    rest = result.received_fen - result.billed_fen
    if result.billed_fen and rest:
        rows.append(WaterfallRow("未到账" if rest < 0 else "多到账", None, rest, "", is_change=True))
    if result.billed_fen or result.received_fen:
        rows.append(WaterfallRow("已到账", None, result.received_fen, "银行"))
    return tuple(rows)


def _gap_name(label: str) -> str:
    return "损耗和差异" if label == "关口表" else "抄表差异"


def _change(name: str, energy_wh: int, price: Fraction, result: MatchResult) -> WaterfallRow:
    learnt = f"由 {result.loss_months} 个月学得" if result.loss_months else "默认"
    loss = f"应有损耗 {result.loss_ppm * 100 / PPM:.1f}%（{learnt}）"
    label = "损耗和差异" if result.meter_wh is None else name
    remark = loss if label == "损耗和差异" else ""
    return WaterfallRow(label, energy_wh, _worth(energy_wh, price), remark, is_change=True)


def _price(result: MatchResult) -> Fraction:
    """Return what a Wh is billed [fen]; without a bill energies have no amount."""
    return Fraction(result.billed_fen, result.billed_wh) if result.billed_wh else Fraction(0)


def _worth(energy_wh: int, price: Fraction) -> int | None:
    return round_fen(price * energy_wh) if price else None
