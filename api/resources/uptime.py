"""Availability over any days, and the month's indicators."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from api.operations.energy import period_of
from dashboards.moments import asked_span
from dashboards.web import reading, requires, services_of
from monitoring.indicators.definitions import DEFINITIONS
from monitoring.indicators.monthly import Indicators, monthly_indicators
from monitoring.reports.availability import availability_table
from monitoring.reports.cells import energy_cell, hours_cell, percent_cell
from monitoring.sky.rules import LightRule
from monitoring.uptime.causes import Cause, Share
from monitoring.uptime.evaluation import Question
from monitoring.uptime.results import AreaUptime, Level
from registry.actors import Actor, Permission
from store.periods import PeriodKind
from store.problem import Problem, ProblemsError

router = APIRouter(tags=["运行"])
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]
_DAYS = 30


class ShareOut(BaseModel):
    """A share in percent with its bounds: unknown time counted as down, and as up; None where unknown."""

    percent: Decimal | None
    low: Decimal | None
    high: Decimal | None


class UptimeOut(BaseModel):
    """One device, station, township or county; hours are 台时, energies Wh, shares percent."""

    key: str
    name: str
    devices: int
    equipment: ShareOut
    all_causes: ShareOut
    data_percent: Decimal | None
    energy_percent: Decimal | None
    use_h: Decimal | None
    hours: dict[str, Decimal | None] = Field(description="台时，按原因")
    outages: int
    lost_wh: int | None


class AvailabilityOut(BaseModel):
    """The answer: the span [UTC], the light rule asked for and those used, rows and their sum."""

    start: datetime
    end: datetime
    rule: str
    rules_used: list[str]
    rows: list[UptimeOut]
    total: UptimeOut


class IndicatorsOut(BaseModel):
    """The indicators of one station, or of all; shares in percent, None where unknown."""

    station_id: str
    name: str
    village: str
    fault_rate: Decimal | None
    online_rate: Decimal | None
    coverage: Decimal | None
    timeliness: Decimal | None
    orders_due: int
    orders_in_time: int
    capability: Decimal | None
    energy_wh: int | None
    final_yield_h: Decimal | None
    rank: int | None
    completeness: Decimal | None


class MonthlyIndicatorsOut(BaseModel):
    """A month's indicators with their definitions; `until` is the first day that is not counted."""

    month: str
    until: date
    ranked: int
    definitions: dict[str, str]
    rows: list[IndicatorsOut]
    total: IndicatorsOut


def _share(share: Share) -> ShareOut:
    return ShareOut(
        percent=percent_cell(share.value), low=percent_cell(share.low), high=percent_cell(share.high)
    )


def _uptime(row: AreaUptime) -> UptimeOut:
    hours = row.hours
    return UptimeOut(
        key=row.key,
        name=row.name,
        devices=row.devices,
        equipment=_share(row.availability.equipment),
        all_causes=_share(row.availability.all_causes),
        data_percent=percent_cell(row.availability.data),
        energy_percent=percent_cell(row.energy.availability),
        use_h=hours_cell(hours.use),
        hours={cause.name.lower(): hours_cell(value) for cause, value in hours.with_light.items()},
        outages=sum(one.cause is Cause.FORCED for one in row.outages),
        lost_wh=energy_cell(row.energy.lost_wh.get(Cause.FORCED, 0.0)) if row.energy.modelled else None,
    )


@router.get("/availability")
def show_availability(
    request: Request,
    actor: Reader,
    session: Reading,
    *,
    first: Annotated[str, Query(alias="from", max_length=10, description="从哪天，2026-10-01")] = "",
    last: Annotated[str, Query(alias="to", max_length=10, description="到哪天（含）")] = "",
    level: Annotated[Level, Query(description="device、station、township 或 county")] = Level.STATION,
    rule: Annotated[
        str, Query(max_length=40, description="auto、irradiance:50、expected:5、elevation:5")
    ] = "auto",
) -> AvailabilityOut:
    """Return the availability of the actor's stations, by default of the last 30 days."""
    services = services_of(request)
    now = services.clock()
    span = asked_span(first, last, now, _DAYS)
    question = Question(span.start_utc, span.end_utc, LightRule.parse(rule))
    table = availability_table(session, services.series, actor, (question, level), now)
    return AvailabilityOut(
        start=table.start,
        end=table.end,
        rule=table.rule_label,
        rules_used=list(table.total.rules),
        rows=[_uptime(row) for row in table.rows],
        total=_uptime(table.total),
    )


def _indicators(row: Indicators) -> IndicatorsOut:
    return IndicatorsOut(
        station_id=row.station_id,
        name=row.name,
        village=row.village,
        fault_rate=percent_cell(row.fault_rate),
        online_rate=percent_cell(row.online_rate),
        coverage=percent_cell(row.coverage),
        timeliness=percent_cell(row.punctuality.share),
        orders_due=row.punctuality.due,
        orders_in_time=row.punctuality.in_time,
        capability=percent_cell(row.capability),
        energy_wh=row.energy_wh,
        final_yield_h=hours_cell(row.final_yield_h),
        rank=row.rank,
        completeness=percent_cell(row.completeness if row.energy_wh is not None else None),
    )


@router.get("/indicators")
def show_indicators(
    request: Request,
    actor: Reader,
    session: Reading,
    month: Annotated[str, Query(description="月份，2026-10", max_length=10)],
) -> MonthlyIndicatorsOut:
    """Return the indicators of a month with what each means."""
    services = services_of(request)
    period = period_of(month)
    if period.kind is not PeriodKind.MONTH:
        raise ProblemsError([Problem("month", f"“{month}” 不是月份", "写成 2026-10")])
    found = monthly_indicators(session, services.series, actor, period, services.clock())
    return MonthlyIndicatorsOut(
        month=month,
        until=found.until,
        ranked=found.ranked,
        definitions={one.name: one.text for one in DEFINITIONS},
        rows=[_indicators(row) for row in found.rows],
        total=_indicators(found.total),
    )
