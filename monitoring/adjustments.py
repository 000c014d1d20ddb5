"""Late truth: closed months that would come out differently today, and days that two witnesses dispute.

Owns the offer of an adjustment, which changes nothing by itself: the difference is shown by the page, the
command, the API and the list of events, and somebody accepts or declines it. Owns too the comparison of each
closed day's counter with the integral of its power. The judgement of counters is `store.energy`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy.orm import Session

from monitoring.energy import COUNTERS, daily_energy
from registry import audit
from registry.actors import SYSTEM, Actor, Permission
from registry.assets.counters import energy_question
from registry.stations import Device, DeviceKind, device, devices, stations
from store.energy import (
    DeviceEnergy,
    EnergyAdjustment,
    EnergyDecision,
    adjustments,
    answer,
    decide,
    decisions,
    integrated_energy,
    witness_disagrees,
)
from store.events import Event, EventKind, Severity, record
from store.periods import Period, local_date
from store.problem import Problem, ProblemsError
from store.series import SeriesStore

QUANTITY = COUNTERS[DeviceKind.INVERTER]
MONTHS_WATCHED = 3
DISPUTE_PERCENT = 5


@dataclass(frozen=True, slots=True)
class ProposedAdjustment:
    """A closed month [Wh] of a device as it was frozen, and as it would come out today."""

    device_id: str
    station_id: str
    month: str
    frozen_wh: int | None
    current_wh: int | None
    difference_wh: int
    completeness: float
    method: str
    declined: str = ""
    """Why somebody has declined just this difference; empty where nobody has."""


class AdjustmentChangedError(LookupError):
    """What was decided about is not what the counters say now."""


def proposed_adjustments(
    session: Session, series: SeriesStore, actor: Actor, month: Period
) -> list[ProposedAdjustment]:
    """Return the differences of a month in the actor's area, ordered by station and device."""
    inverters = [one for one in devices(session, actor) if one.kind == DeviceKind.INVERTER]
    of = {one.id: one for one in inverters}
    energies = answer(series, energy_question(session, actor, (inverters, [month]), QUANTITY))
    current = {energy.device_id: energy for energy in energies}
    last = {one.device_id: one for one in decisions(session, str(month), QUANTITY)}
    found = [
        ProposedAdjustment(
            device_id=one.device_id,
            station_id=of[one.device_id].station_id,
            month=one.month,
            frozen_wh=one.frozen_wh,
            current_wh=one.current_wh,
            difference_wh=one.difference_wh,
            completeness=current[one.device_id].completeness,
            method=str(current[one.device_id].method),
            declined=_declined(last.get(one.device_id), one),
        )
        for one in adjustments(session, energies, QUANTITY)
    ]
    return sorted(found, key=lambda one: (one.station_id, one.device_id))


def _declined(last: EnergyDecision | None, offered: EnergyAdjustment) -> str:
    if last is None or last.is_accepted or last.energy_wh != offered.current_wh:
        return ""
    return last.reason


def adjustment_decisions(session: Session, actor: Actor, month: Period) -> tuple[EnergyDecision, ...]:
    """Return what was decided about a month at the devices of the actor's area, the latest first."""
    own = {one.id for one in devices(session, actor)}
    return tuple(one for one in reversed(decisions(session, str(month), QUANTITY)) if one.device_id in own)


def decide_adjustment(session: Session, series: SeriesStore, actor: Actor, decision: EnergyDecision) -> None:
    """Accept or decline a difference of a closed month; the frozen row stays, and who decided why is kept.

    Raises ProblemsError without a reason, AdjustmentChangedError where the difference is no longer that one.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    if not decision.reason:
        raise ProblemsError([Problem("理由", "没有写理由", "写明为什么认可或不认可")])
    month = Period.parse(decision.month)
    one = device(session, actor, decision.device_id)
    if one is None or one.kind != DeviceKind.INVERTER:
        raise AdjustmentChangedError(decision.device_id)
    (current,) = answer(series, energy_question(session, actor, ([one], [month]), QUANTITY))
    offered = adjustments(session, [current], QUANTITY)
    wanted = (decision.previous_wh, decision.energy_wh)
    if [(found.frozen_wh, found.current_wh) for found in offered] != [wanted]:
        raise AdjustmentChangedError(decision.device_id)
    decide(session, current, decision, QUANTITY)
    entry = audit.Entry(
        "accept" if decision.is_accepted else "decline",
        "energy_adjustment",
        f"{decision.device_id}/{decision.month}",
        reason=decision.reason,
        detail={"frozen_wh": decision.previous_wh, "current_wh": decision.energy_wh},
    )
    audit.record(session, actor, entry, decision.decided_at)


def tell_adjustments(session: Session, series: SeriesStore, now: datetime) -> int:
    """Record an event for every new difference of the last closed months; returns how many there are."""
    month, told = Period.month_of(local_date(now)), 0
    places = _places(session)
    for _ in range(MONTHS_WATCHED):
        month = month.previous()
        for one in proposed_adjustments(session, series, SYSTEM, month):
            if one.declined:
                continue
            event = Event(
                at=now,
                kind=EventKind.QUALITY,
                severity=Severity.WARNING,
                subject_kind="device",
                subject_id=one.device_id,
                message=_words(month, one),
                division_code=places.get(one.station_id, ""),
                id=_once("adjustment", one.device_id, one.month, str(one.current_wh)),
            )
            record(session, event)
            told += 1
    return told


def _words(month: Period, one: ProposedAdjustment) -> str:
    frozen, current = _kwh(one.frozen_wh), _kwh(one.current_wh)
    return (
        f"{month.label}已结账，迟到的数据使发电量由 {frozen} 变为 {current}"
        f"（相差 {_kwh(one.difference_wh)}）；已冻结的数不变，可据此提出调整"
    )


def _kwh(energy_wh: int | None) -> str:
    return "未知" if energy_wh is None else f"{energy_wh / 1000:,.1f} kWh"


def tell_disputes(session: Session, series: SeriesStore, now: datetime) -> int:
    """Record an event for every inverter whose power contradicts its counter over yesterday.

    The counter stays the figure; returns the number of disputes.
    """
    day = Period.day(local_date(now) - timedelta(days=1))
    inverters = [one for one in devices(session, SYSTEM) if one.kind == DeviceKind.INVERTER]
    ids = [one.id for one in inverters]
    counted = daily_energy(session, ids, day.start, day.end)
    integrated = integrated_energy(series, ids, day)
    return _tell_disputes(
        session,
        (day, now),
        inverters,
        {
            device_id: (
                DeviceEnergy(
                    device_id, str(day), one.energy_wh, one.completeness, one.method, one.estimated_wh
                ),
                integrated[device_id],
            )
            for (device_id, _), one in counted.items()
            if device_id in integrated
        },
    )


def _tell_disputes(
    session: Session,
    when: tuple[Period, datetime],
    inverters: Sequence[Device],
    figures: Mapping[str, tuple[DeviceEnergy, int]],
) -> int:
    day, now = when
    told, places = 0, _places(session)
    for one in inverters:
        if one.id not in figures:
            continue
        energy, power_wh = figures[one.id]
        if not witness_disagrees(energy, power_wh, DISPUTE_PERCENT):
            continue
        message = (
            f"{day.label}：计数器 {_kwh(energy.energy_wh)}，按功率累计 {_kwh(power_wh)}，"
            f"相差超过 {DISPUTE_PERCENT}%；电量仍以计数器为准，请查倍率、单位或数据缺口"
        )
        event = Event(
            at=now,
            kind=EventKind.QUALITY,
            severity=Severity.WARNING,
            subject_kind="device",
            subject_id=one.id,
            message=message,
            division_code=places.get(one.station_id, ""),
            id=_once("dispute", one.id, str(day)),
        )
        record(session, event)
        told += 1
    return told


def _once(*parts: str) -> str:
    """Return an identifier under which one finding is told once, however long the device's name is."""
    return f"{parts[0]}-{sha256('/'.join(parts).encode()).hexdigest()[:40]}"


def _places(session: Session) -> dict[str, str]:
    """Return the division of every station."""
    return {one.id: one.division_code for one in stations(session, SYSTEM)}
