"""What an alarm costs in energy: what comparable inverters made while the subject stood still.

Owns the estimate of alarms that stop the output. It is computed again from the samples each time, so that
late data and a restart change nothing for the worse. Money is added above.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from monitoring.alarms.kinds import STANDSTILL, AlarmKind, SubjectKind
from monitoring.alarms.tables import AlarmRow
from registry.actors import SYSTEM, area_prefix
from registry.stations import Device, stations
from store.series import SeriesStore

LOSING = (*sorted(STANDSTILL), AlarmKind.GRID_OUTAGE)
"""The kinds in which nothing is generated, so that the loss is what others made."""
WITNESSES = 60
SLOT = timedelta(minutes=15)
LOOK_BACK = timedelta(days=35)
HABIT = timedelta(days=3)
SETTLED_AFTER = timedelta(days=3)
_ENOUGH, _DAY_S = 3, 86_400.0

Floats = NDArray[np.float64]


def _witnesses(inverters: Sequence[Device]) -> list[Device]:
    """Return some inverters, evenly chosen over the whole fleet."""
    rated = sorted((one for one in inverters if one.rated_power_w), key=lambda one: one.id)
    step = max(1, len(rated) // WITNESSES)
    return rated[::step][:WITNESSES]


def _stopped(
    rows: Iterable[AlarmRow], codes: Mapping[str, str], now: datetime
) -> dict[str, list[tuple[float, float]]]:
    """Return when each device or station stood still [s since 1970], by id; `codes` are of stations."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        span = (row.opened_at.timestamp(), (row.closed_at or now).timestamp())
        subjects = [row.subject_id]
        if row.subject_kind == SubjectKind.DIVISION:
            prefix = area_prefix(row.division_code)
            subjects = [station_id for station_id, code in codes.items() if code.startswith(prefix)]
        for subject_id in subjects:
            found.setdefault(subject_id, []).append(span)
    return found


def output_of_others(
    series: SeriesStore,
    inverters: Sequence[Device],
    interval: tuple[datetime, datetime],
    stopped: Mapping[str, Sequence[tuple[float, float]]],
) -> tuple[Floats, Floats]:
    """Return slot edges [s since 1970] and the energy made up to each [h of rated power], both (slots + 1,).

    Each slot is the median output, as a fraction of rated power, of inverters that did not stand still. Where
    too few tell (the whole county without grid), the same time of other days stands for it; else nothing.
    """
    start, end = interval
    chosen = _witnesses(inverters)
    count = max(1, -(-(end - start) // SLOT))
    edges = start.timestamp() + SLOT.total_seconds() * np.arange(count + 1, dtype=np.float64)
    if not chosen:
        return edges, np.zeros(count + 1)
    table = series.downsample([one.id for one in chosen], interval, SLOT, {"active_power_w": "mean"})
    shares = np.full((len(chosen), count), np.nan)
    place = {one.id: number for number, one in enumerate(chosen)}
    if table.num_rows:
        rows = np.array([place[name] for name in table.column("device_id").to_pylist()])
        times = np.array([moment.timestamp() for moment in table.column("time").to_pylist()])
        slots = np.floor((times - edges[0]) / SLOT.total_seconds()).astype(np.int64).clip(0, count - 1)
        rated = np.array([one.rated_power_w for one in chosen], np.float64)
        power = table.column("active_power_w").to_numpy(zero_copy_only=False).astype(np.float64)
        shares[rows, slots] = power / rated[rows]
    for number, one in enumerate(chosen):
        for begin, until in (*stopped.get(one.id, ()), *stopped.get(one.station_id, ())):
            shares[number, (edges[1:] > begin) & (edges[:-1] < until)] = np.nan
    return edges, np.concatenate([[0.0], np.cumsum(_filled(shares, edges) * SLOT.total_seconds() / 3600)])


def _filled(shares: Floats, edges: Floats) -> Floats:
    """Return the median of each slot, shape (slots,); of the same time of day where too few tell, else 0."""
    told = np.sum(~np.isnan(shares), axis=0)
    middle = np.zeros(shares.shape[1])
    enough = told >= min(_ENOUGH, len(shares))
    if not enough.any():
        return middle
    middle[enough] = np.nanmedian(shares[:, enough], axis=0)
    of_day = np.floor(edges[:-1] % _DAY_S / SLOT.total_seconds()).astype(np.int64)
    for moment in np.unique(of_day[~enough]):
        alike = middle[enough & (of_day == moment)]
        middle[~enough & (of_day == moment)] = float(np.median(alike)) if len(alike) else 0.0
    return np.clip(middle, 0.0, None)


def estimates(
    session: Session, series: SeriesStore, inverters: Sequence[Device], now: datetime
) -> dict[str, int]:
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
    codes = {place.id: place.division_code for place in stations(session, SYSTEM)}
    start = min(one.opened_at for one in rows) - HABIT
    aligned = datetime.fromtimestamp(start.timestamp() // 3600 * 3600, UTC)
    edges, energy = output_of_others(series, inverters, (aligned, now), _stopped(rows, codes, now))
    found: dict[str, int] = {}
    for one in rows:
        span = [one.opened_at.timestamp(), (one.closed_at or now).timestamp()]
        low, high = np.interp(span, edges, energy)
        lost_wh = round(one.affected_power_w * float(high - low))
        if lost_wh != one.lost_energy_wh:
            found[one.id] = lost_wh
    return found


def keep_estimates(session: Session, found: Mapping[str, int]) -> int:
    """Keep what alarms have cost [Wh] by id; returns how many there were."""
    for alarm_id, lost_wh in found.items():
        session.execute(update(AlarmRow).where(AlarmRow.id == alarm_id).values(lost_energy_wh=lost_wh))
    return len(found)
