"""What an alarm costs in energy: what comparable inverters made while the subject stood still.

Owns the estimate of alarms that stop the output; what an inverter should have given is `comparable`'s, as it
is for outages. It is computed again from the samples each time, so that late data and a restart change
nothing for the worse. Money is added above.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from monitoring.alarms.kinds import STANDSTILL, AlarmKind, SubjectKind
from monitoring.alarms.tables import AlarmRow
from monitoring.sky.tracks import Track
from monitoring.uptime.comparable import comparable
from monitoring.uptime.gathering import gather
from monitoring.uptime.plants import Machine, Plant, registered_plants
from registry.actors import SYSTEM, area_prefix
from registry.stations import stations
from store.series import SeriesStore

LOSING = (*sorted(STANDSTILL), AlarmKind.GRID_OUTAGE)
"""The kinds in which nothing is generated, so that the loss is what others made."""
WITNESSES = 24
LOOK_BACK = timedelta(days=35)
HABIT = timedelta(days=7)
SETTLED_AFTER = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class _Should:
    """A machine and what it should have given as a fraction of rated power."""

    machine: Machine
    division_code: str
    usual: Track


def _asked(plants: Sequence[Plant], rows: Iterable[AlarmRow]) -> list[Plant]:
    """Return the plants that stand still, and some others, evenly chosen over the whole fleet."""
    concerned = {row.station_id for row in rows if row.subject_kind != SubjectKind.DIVISION}
    filled = [plant for plant in plants if plant.machines]
    others = [plant for plant in filled if plant.machines[0].group not in concerned]
    step = max(1, -(-len(others) // WITNESSES))
    chosen = {id(plant) for plant in others[::step]}
    return [one for one in filled if id(one) in chosen or one.machines[0].group in concerned]


def _should(
    series: SeriesStore, plants: Sequence[Plant], interval: tuple[datetime, datetime]
) -> list[_Should]:
    gathered = gather(series, [one for plant in plants for one in plant.machines], interval)
    ends = np.cumsum([len(plant.machines) for plant in plants]).tolist()
    rows = [range(end - len(plant.machines), end) for end, plant in zip(ends, plants, strict=True)]
    rated = np.array([one.rated_power_w for one in gathered.machines])
    sky = comparable(gathered.slots, gathered.outputs, rows, rated)
    return [
        _Should(gathered.machines[row], plant.division_code, expected.usual)
        for number, plant in enumerate(plants)
        for row, expected in zip(rows[number], sky.expected(number), strict=True)
    ]


def _concerns(row: AlarmRow, one: _Should) -> bool:
    if row.subject_kind == SubjectKind.DIVISION:
        return one.division_code.startswith(area_prefix(row.division_code))
    return row.subject_id in {one.machine.device_id, one.machine.group}


def _hours(usual: Track, span: tuple[float, float]) -> float:
    """Return what a machine should have made over a span [h of rated power]; nothing where nobody tells."""
    within = usual.times[(usual.times > span[0]) & (usual.times < span[1])]
    edges = np.concatenate([[span[0]], within, [span[1]]])
    return float(np.nansum(usual.at(edges[:-1]) * np.diff(edges))) / 3600


def _lost_wh(row: AlarmRow, told: Sequence[_Should], now: datetime) -> int:
    """Return what an alarm cost [Wh]: its power times what its machines (of many some) should have made."""
    span = (row.opened_at.timestamp(), (row.closed_at or now).timestamp())
    mine = [one for one in told if _concerns(row, one)] or told
    whole = sum(one.machine.rated_power_w for one in mine)
    made = sum(one.machine.rated_power_w * _hours(one.usual, span) for one in mine)
    return round(row.affected_power_w * made / whole) if whole > 0 else 0


def estimates(session: Session, series: SeriesStore, now: datetime) -> dict[str, int]:
    """Return what the open alarms, and those that ended lately, have cost [Wh] by id, where that changed.

    An alarm that is older than the look-back keeps the estimate that it had.
    """
    row = AlarmRow
    statement = select(row).where(
        row.kind.in_([str(kind) for kind in LOSING]),
        or_(row.closed_at.is_(None), row.closed_at > now - SETTLED_AFTER),
        row.opened_at > now - LOOK_BACK,
    )
    rows = session.scalars(statement).all()
    if not rows:
        return {}
    start = min(one.opened_at for one in rows) - HABIT
    interval = (datetime.fromtimestamp(start.timestamp() // 3600 * 3600, UTC), now)
    plants = registered_plants(session, stations(session, SYSTEM), interval)
    told = _should(series, _asked(plants, rows), interval)
    found = {one.id: _lost_wh(one, told, now) for one in rows}
    return {one.id: found[one.id] for one in rows if found[one.id] != one.lost_energy_wh}


def keep_estimates(session: Session, found: Mapping[str, int]) -> int:
    """Keep what alarms have cost [Wh] by id; returns how many there were."""
    for alarm_id, lost_wh in found.items():
        session.execute(update(AlarmRow).where(AlarmRow.id == alarm_id).values(lost_energy_wh=lost_wh))
    return len(found)
