"""Receivables, bank lines, costs, spending, remittances and meter readings, as they stand."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from api.resources.settlements import MONTH
from dashboards.web import reading, requires, services_of
from distribution.settlement.bank.reads import bank_lines
from distribution.settlement.metering.readings import readings
from distribution.settlement.reads import costs
from distribution.settlement.receivables.owed import owed_items
from distribution.settlement.receivables.transit import held_money, passages
from distribution.settlement.spending.spendings import spendings
from registry.actors import Actor, Permission
from store.periods import local_date

router = APIRouter(tags=["结算"])
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
MeterReader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]
AnyMonth = Annotated[str, Query(pattern=f"^$|{MONTH}", description="月份；不填为全部")]
Month = Annotated[str, Query(pattern=MONTH, description="月份，例如 2026-10")]


class FromRecord(BaseModel):
    """Shown as the record of the same names has it."""

    model_config = ConfigDict(from_attributes=True)


class ReceivableOut(FromRecord):
    """A component of a station's month [fen]: billed, arrived, lost within tolerance, open; age [days]."""

    station_id: str
    account_number: str
    list_status: str
    month: str
    component: str
    owed_fen: int
    received_fen: int
    written_off_fen: int
    outstanding_fen: int
    age_days: int
    age: str


class BankLineOut(FromRecord):
    """A credit of the county's account [fen], how much of it is matched, and what became of it."""

    id: str
    received_on: date
    amount_fen: int
    payer: str
    reference: str
    remark: str
    matched_fen: int
    surplus_fen: int
    rest_fen: int
    state: str
    reason: str


class CostOut(FromRecord):
    """A deductible cost of a village [fen]; a correction is negative and names the cost."""

    id: str
    village_code: str
    month: str
    kind: str
    text: str
    amount_fen: int
    incurred_on: date
    paid_on: date | None
    voucher: str
    corrects: str


class SpendingOut(BaseModel):
    """A payment out of a village's purse [fen]; a correction is negative and names the spending."""

    id: str
    village_code: str
    account: str
    holder: str
    use: str
    text: str
    payee: str
    amount_fen: int
    spent_on: date
    voucher: str
    decision_document: str
    corrects: str


class RemittanceOut(BaseModel):
    """Money passed on [fen], where it is, and how many days it took or is taking."""

    id: str
    village_code: str
    amount_fen: int
    remitted_on: date
    by_township: bool
    township_on: date | None
    village_on: date | None
    days: int
    limit_days: int
    is_late: bool


class HeldMoneyOut(FromRecord):
    """What arrived for a village and what of it was passed on [fen]; days that the oldest rest waits."""

    village_code: str
    received_fen: int
    remitted_fen: int
    arrived_fen: int
    held_fen: int
    in_transit_fen: int
    days: int
    limit_days: int
    late_fen: int


class MeterReadingOut(FromRecord):
    """A reading by hand [kWh, before the multiplier]; `holds` is false once replaced or withdrawn."""

    id: str
    station_id: str
    meter_number: str
    read_on: date
    reading: Decimal
    photo_sha256: str
    note: str
    holds: bool
    recorded_at: datetime


@router.get("/receivables")
def list_receivables(
    request: Request,
    actor: Reader,
    session: Reading,
    month: AnyMonth = "",
) -> list[ReceivableOut]:
    """Return what the area's stations are owed, of one month or of all."""
    on = local_date(services_of(request).clock())
    return [
        ReceivableOut(
            station_id=one.station_id,
            account_number=one.account_number,
            list_status=one.list_status,
            month=one.month,
            component=one.component.value,
            owed_fen=one.owed_fen,
            received_fen=one.received_fen,
            written_off_fen=one.written_off_fen,
            outstanding_fen=one.outstanding_fen,
            age_days=one.age_days(on),
            age=one.age_word(on),
        )
        for one in owed_items(session, actor, month=month)
    ]


@router.get("/bank-lines")
def list_bank_lines(actor: Reader, session: Reading, month: Month) -> list[BankLineOut]:
    """Return the credits of the county's account that arrived in a month."""
    return [BankLineOut.model_validate(one) for one in bank_lines(session, actor, month=month)]


@router.get("/costs")
def list_costs(actor: Reader, session: Reading, month: Month) -> list[CostOut]:
    """Return the costs of a month of the area's villages."""
    return [CostOut.model_validate(one) for one in costs(session, actor, month=month)]


@router.get("/spendings")
def list_spendings(actor: Reader, session: Reading, month: Month) -> list[SpendingOut]:
    """Return what the area's villages paid out of their purses in a month."""
    return [
        SpendingOut(
            id=one.id,
            village_code=one.fact.village_code,
            account=one.fact.account,
            holder=one.fact.holder,
            use=one.fact.use,
            text=one.fact.text,
            payee=one.fact.payee,
            amount_fen=one.fact.amount_fen,
            spent_on=one.fact.spent_on,
            voucher=one.fact.voucher,
            decision_document=one.fact.decision_document,
            corrects=one.corrects,
        )
        for one in spendings(session, actor)
        if f"{one.fact.spent_on:%Y-%m}" == month
    ]


@router.get("/remittances")
def list_remittances(request: Request, actor: Reader, session: Reading, month: Month) -> list[RemittanceOut]:
    """Return the money that was passed on to the area's villages in a month."""
    today = local_date(services_of(request).clock())
    return [
        RemittanceOut(
            id=one.remittance.id,
            village_code=one.remittance.village_code,
            amount_fen=one.remittance.amount_fen,
            remitted_on=one.remittance.remitted_on,
            by_township=one.by_township,
            township_on=one.township_on,
            village_on=one.village_on,
            days=one.days,
            limit_days=one.limit_days,
            is_late=one.is_late,
        )
        for one in passages(session, actor, today)
        if f"{one.remittance.remitted_on:%Y-%m}" == month
    ]


@router.get("/held-money")
def list_held_money(request: Request, actor: Reader, session: Reading) -> list[HeldMoneyOut]:
    """Return what arrived for the area's villages, what was passed on, and how long the rest waits."""
    today = local_date(services_of(request).clock())
    return [HeldMoneyOut.model_validate(one) for one in held_money(session, actor, today)]


@router.get("/meter-readings")
def list_meter_readings(actor: MeterReader, session: Reading, month: Month) -> list[MeterReadingOut]:
    """Return the readings by hand of a month of the area's meters."""
    return [
        MeterReadingOut.model_validate(one)
        for one in readings(session, actor)
        if f"{one.read_on:%Y-%m}" == month
    ]
