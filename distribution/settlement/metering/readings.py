"""Manual meter readings: recorded with a photo, corrected by another reading, and what they say of a month.

Owns the step from two readings near the ends of a month to the meter's energy. It is evidence beside
inverter and bill; no amount is made from it.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.settlement.metering.tables import MeterReadingRow
from registry import audit
from registry.actors import Actor, Permission
from registry.stations import RevenueMeter, StationRow, revenue_meters, station_in_area
from store.canonical import content_hash
from store.periods import Period, local_date
from store.problem import Problem, ProblemsError

WH_PER_KWH = 1_000
NEAR_DAYS = 5
"""A reading speaks for the end of a month when it was taken at most so many days from it."""
_LARGEST = Decimal(10) ** 9
_HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class ReadingFact:
    """What somebody read off a meter [kWh, before the multiplier], with the photo's content hash."""

    station_id: str
    meter_number: str
    read_on: date
    reading: Decimal
    photo_sha256: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class MeterReading:
    """A recorded reading; `corrected_by` names the reading that replaces it."""

    id: str
    station_id: str
    meter_number: str
    read_on: date
    reading: Decimal
    photo_sha256: str
    note: str
    withdrawn: bool
    corrects: str
    corrected_by: str
    recorded_at: datetime
    recorded_name: str

    @property
    def holds(self) -> bool:
        """Whether the reading counts: it was neither replaced nor withdrawn."""
        return not self.corrected_by and not self.withdrawn


@dataclass(frozen=True, slots=True)
class MeterEnergy:
    """What a meter counted [Wh] between two readings, and how many days these lie off the month's ends."""

    station_id: str
    meter_number: str
    energy_wh: int
    first: MeterReading
    last: MeterReading
    days_off: int


def record_reading(session: Session, actor: Actor, fact: ReadingFact, now: datetime) -> str:
    """Record a reading and return its id; the same one again changes nothing.

    Raises ProblemsError for a meter that is not the actor's, an impossible figure or day, or no photo.
    """
    actor.require(Permission.RECORD_READING)
    problems = _problems(session, actor, fact, now)
    if problems:
        raise ProblemsError(problems)
    return _write(session, actor, fact, now)


def correct_reading(
    session: Session, actor: Actor, wrong: tuple[str, str], fact: ReadingFact | None, now: datetime
) -> str:
    """Replace a reading, given as (id, reason), by another, or withdraw it (`fact` None); returns the new id.

    Raises ProblemsError without a reason, for a reading outside the area, or one replaced before.
    """
    actor.require(Permission.RECORD_READING)
    reading_id, reason = wrong
    old = next((one for one in readings(session, actor) if one.id == reading_id), None)
    if old is None or not old.holds or not reason.strip():
        what = "没有写明原因" if old is not None and old.holds else "没有这条可更正的抄表记录"
        raise ProblemsError([Problem("更正抄表", what, "请从抄表记录中选择，并写明原因")])
    kept = fact or ReadingFact(
        old.station_id, old.meter_number, old.read_on, old.reading, old.photo_sha256, reason
    )
    problems = [] if fact is None else _problems(session, actor, fact, now)
    if problems:
        raise ProblemsError(problems)
    return _write(session, actor, kept, now, corrects=(old.id, reason, fact is None))


def _problems(session: Session, actor: Actor, fact: ReadingFact, now: datetime) -> list[Problem]:
    found = []
    known = {(one.station_id, one.meter_number) for one in revenue_meters(session, actor)}
    if (fact.station_id, fact.meter_number) not in known:
        found.append(Problem("电表", f"辖区内没有电表“{fact.meter_number}”", "请从列表中选择电表"))
    if not fact.reading.is_finite() or not 0 <= fact.reading < _LARGEST:
        found.append(Problem("示数", f"“{fact.reading}”不是电表示数", "请照电表面板抄写，单位千瓦时"))
    elif fact.reading != fact.reading.quantize(_HUNDREDTH):
        found.append(Problem("示数", f"“{fact.reading}”多于两位小数", "请照电表面板抄写，至多两位小数"))
    if fact.read_on > local_date(now):
        found.append(Problem("抄表日期", f"{fact.read_on} 还没有到", "请填写实际抄表的日期"))
    if not fact.photo_sha256:
        found.append(Problem("照片", "没有照片", "请拍下电表面板再提交"))
    return found


def _write(
    session: Session,
    actor: Actor,
    fact: ReadingFact,
    now: datetime,
    *,
    corrects: tuple[str, str, bool] | None = None,
) -> str:
    corrected, reason, withdrawn = corrects or (None, fact.note, False)
    text = f"{fact.reading:f}"
    key = [fact.station_id, fact.meter_number, fact.read_on, text, fact.photo_sha256, corrected or ""]
    reading_id = f"reading:{content_hash(key)[:32]}"
    if session.get(MeterReadingRow, reading_id) is None:
        row = MeterReadingRow(
            id=reading_id,
            station_id=fact.station_id,
            meter_number=fact.meter_number,
            read_on=fact.read_on,
            reading=text,
            photo_sha256=fact.photo_sha256,
            note=reason,
            withdrawn=withdrawn,
            corrects=corrected,
            recorded_at=now,
            recorded_by=actor.user_id,
            recorded_name=actor.name,
        )
        session.add(row)
        session.flush()
        audit.record(session, actor, audit.Entry("record", "meter_reading", reading_id, after=fact), now)
    return reading_id


def readings(
    session: Session, actor: Actor, *, station_id: str = "", since: date | None = None
) -> tuple[MeterReading, ...]:
    """Return the readings of the actor's stations, the latest first, replaced ones included."""
    actor.require(Permission.VIEW_STATIONS)
    statement = (
        select(MeterReadingRow)
        .join(StationRow, StationRow.id == MeterReadingRow.station_id)
        .where(station_in_area(actor))
    )
    if station_id:
        statement = statement.where(MeterReadingRow.station_id == station_id)
    if since is not None:
        statement = statement.where(MeterReadingRow.read_on >= since)
    order = (MeterReadingRow.read_on.desc(), MeterReadingRow.recorded_at.desc(), MeterReadingRow.id)
    rows = session.scalars(statement.order_by(*order)).all()
    replaced = {row.corrects: row.id for row in rows if row.corrects}
    return tuple(
        MeterReading(
            row.id,
            row.station_id,
            row.meter_number,
            row.read_on,
            Decimal(row.reading),
            row.photo_sha256,
            row.note,
            row.withdrawn,
            row.corrects or "",
            replaced.get(row.id, ""),
            row.recorded_at,
            row.recorded_name,
        )
        for row in rows
    )


def metered_energy(session: Session, actor: Actor, month: str) -> tuple[MeterEnergy, ...]:
    """Return what hand-read meters counted in a month `2026-10`, by station and meter.

    Of each meter the readings nearest to the month's first day and to the next month's first day are
    taken, at most `NEAR_DAYS` off; a meter without both, or that went backwards, has no figure.
    """
    period = Period.parse(month)
    mine: dict[tuple[str, str], list[MeterReading]] = defaultdict(list)
    for one in readings(session, actor):
        if one.holds:
            mine[(one.station_id, one.meter_number)].append(one)
    if not mine:
        return ()
    multipliers = {
        (one.station_id, one.meter_number): one.meter_multiplier for one in revenue_meters(session, actor)
    }
    found = (_energy(place, period, taken, multipliers) for place, taken in sorted(mine.items()))
    return tuple(one for one in found if one is not None)


def _energy(
    place: tuple[str, str],
    period: Period,
    taken: list[MeterReading],
    multipliers: Mapping[tuple[str, str], int],
) -> MeterEnergy | None:
    first, last = _nearest(taken, period.start), _nearest(taken, period.end)
    if first is None or last is None or first.reading > last.reading or place not in multipliers:
        return None
    energy_wh = int((last.reading - first.reading) * multipliers[place] * WH_PER_KWH)
    off = abs((first.read_on - period.start).days) + abs((last.read_on - period.end).days)
    return MeterEnergy(*place, energy_wh, first, last, off)


def _nearest(taken: list[MeterReading], day: date) -> MeterReading | None:
    near = [one for one in taken if abs((one.read_on - day).days) <= NEAR_DAYS]
    return min(near, key=lambda one: (abs((one.read_on - day).days), one.id), default=None)


def meters_to_read(session: Session, actor: Actor) -> tuple[RevenueMeter, ...]:
    """Return the revenue meters of the actor's stations that are in service."""
    return tuple(one for one in revenue_meters(session, actor) if one.removed_on is None)
