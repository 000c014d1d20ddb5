"""Settlements of a month: what the grid company owes, what arrived, and where figures differ.

Owns the list by station. Amounts follow the grid company's meter; inverter energy stands beside them only
to be compared.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.month_work import chosen_month, month_choices
from dashboards.web import reading, render, requires, services_of
from distribution.settlement.reads import receipts, settlements
from distribution.settlement.reconciliation import Discrepancy, discrepancies
from distribution.types import Settlement
from monitoring.energy import by_station, energy_sums
from registry.actors import Actor, Permission
from registry.stations import DeviceKind, Station, devices, stations
from store.periods import Period

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]
_OUTCOMES = {"": "待核对", "explained": "已说明", "corrected": "已更正"}


@dataclass(frozen=True, slots=True)
class SettlementRow:
    """One station's month; energies [Wh], amounts [fen]."""

    station_id: str
    station_name: str
    account_number: str
    exported_energy_wh: int
    generated_energy_wh: int | None
    electricity_fen: int
    subsidy_fen: int
    received_fen: int
    revision: int
    is_discrepancy: bool
    settlement_id: str

    @property
    def difference(self) -> float | None:
        """The bill against the inverters, as a ratio."""
        if not self.generated_energy_wh:
            return None
        return self.exported_energy_wh / self.generated_energy_wh - 1


@dataclass(frozen=True, slots=True)
class DiscrepancyLine:
    """One recorded difference in words."""

    station_id: str
    station_name: str
    text: str
    cause: str
    outcome: str


@dataclass(frozen=True, slots=True)
class SettlementsView:
    """The month, its sums, its rows and its differences."""

    month: str
    months: tuple[str, ...]
    station_count: int
    rows: tuple[SettlementRow, ...]
    discrepancies: tuple[DiscrepancyLine, ...]
    may_import: bool
    empty_hint: str
    message: str = ""

    @property
    def exported_energy_wh(self) -> int:
        """Energy that the grid billed [Wh]."""
        return sum(row.exported_energy_wh for row in self.rows)

    @property
    def electricity_fen(self) -> int:
        """Electricity owed [fen]."""
        return sum(row.electricity_fen for row in self.rows)

    @property
    def subsidy_fen(self) -> int:
        """Subsidies owed [fen], the state's and the place's."""
        return sum(row.subsidy_fen for row in self.rows)

    @property
    def receivable_fen(self) -> int:
        """Everything owed [fen]."""
        return self.electricity_fen + self.subsidy_fen

    @property
    def received_fen(self) -> int:
        """What arrived [fen]."""
        return sum(row.received_fen for row in self.rows)

    @property
    def outstanding_fen(self) -> int:
        """What has not arrived [fen]."""
        return self.receivable_fen - self.received_fen


@router.get("/settlements")
def show_settlements(
    request: Request, actor: Reader, session: Reading, month: str = "", done: str = ""
) -> HTMLResponse:
    """Show a month's settlements of the actor's stations."""
    now = services_of(request).clock()
    chosen = chosen_month(month, now)
    known = {one.id: one for one in stations(session, actor)}
    differences = discrepancies(session, actor, month=chosen)
    bills = settlements(session, actor, month=chosen)
    view = SettlementsView(
        month=chosen,
        months=month_choices(now),
        station_count=len(known),
        rows=_rows(session, actor, (bills, known), {one.station_id for one in differences}, chosen),
        discrepancies=tuple(_difference(one, known) for one in differences),
        may_import=actor.may(Permission.IMPORT_SETTLEMENT),
        empty_hint=_hint(session, actor, chosen),
        message="结算单已入库。" if done else "",
    )
    return render(request, "settling/settlements.html", "电费结算", view=view)


def _rows(
    session: Session,
    actor: Actor,
    billed: tuple[tuple[Settlement, ...], dict[str, Station]],
    differing: set[str],
    month: str,
) -> tuple[SettlementRow, ...]:
    bills, known = billed
    arrived: dict[str, int] = {}
    for receipt in receipts(session, actor, month=month) if bills else ():
        arrived[receipt.station_id] = arrived.get(receipt.station_id, 0) + receipt.amount_fen
    measured = _measured(session, actor, Period.parse(month)) if bills else {}
    return tuple(
        SettlementRow(
            one.station_id,
            known[one.station_id].name,
            known[one.station_id].account_number or "",
            one.exported_energy_wh,
            measured.get(one.station_id),
            one.electricity_fen,
            one.subsidy_fen + one.local_subsidy_fen,
            arrived.get(one.station_id, 0),
            one.revision,
            one.station_id in differing,
            one.id,
        )
        for one in bills
        if one.station_id in known
    )


def _measured(session: Session, actor: Actor, month: Period) -> dict[str, int | None]:
    inverters = [one for one in devices(session, actor) if one.kind == DeviceKind.INVERTER]
    sums = energy_sums(session, [one.id for one in inverters], month.start, month.end)
    return by_station({**sums}, inverters)


def _difference(one: Discrepancy, known: dict[str, Station]) -> DiscrepancyLine:
    name = known[one.station_id].name if one.station_id in known else one.station_id
    outcome = _OUTCOMES.get(one.outcome, "已处理")
    return DiscrepancyLine(one.station_id, name, one.text, one.cause, outcome)


def _hint(session: Session, actor: Actor, month: str) -> str:
    before = Period.parse(month).previous()
    count = len(settlements(session, actor, month=str(before)))
    return f"{before.label}已导入 {count} 站。" if count else "供电公司出具结算单后，由县财务或管理员导入。"
