"""How inverters stand at one instant: the newest sample of each, sun, neighbours, calendar; judged.

Owns the gathering of evidence for the present, for many devices at once. The rules are in
`monitoring.states`; what happened before is `evaluation`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from statistics import median

import numpy as np
from sqlalchemy.orm import Session

from monitoring.calendar.dispatch import DispatchKind, dispatch_between
from monitoring.calendar.planned import planned_work
from monitoring.sky.sun import elevation_pairs, elevations
from monitoring.states import Evidence, Opinion, StationState, device_state, stale_after
from monitoring.uptime.told import ALARMS, VOLTAGES, WITNESSES, Rows, Told, idle_power_w, told
from registry.actors import SYSTEM, Actor
from registry.stations import Device, DeviceKind, Station, devices
from store.periods import local_date
from store.samples import Sample
from store.series import SeriesStore

NEIGHBOURS_AT_LEAST = 3
LOOK_BACK = timedelta(days=30)
CODE_DIGITS = 12
_STEP = timedelta(hours=1)
_MOMENT = timedelta(microseconds=1)
_STOPPED = frozenset({StationState.FAULT, StationState.GRID_OUTAGE})


@dataclass(frozen=True, slots=True)
class Present:
    """The inverters of some stations at `now` [UTC]: newest samples and opinions, by device id."""

    now: datetime
    inverters: Mapping[str, tuple[Device, ...]]
    latest: Mapping[str, Sample]
    opinions: Mapping[str, Opinion]


def working_inverters(
    session: Session, actor: Actor, on: date, station_id: str | None = None
) -> tuple[Device, ...]:
    """Return the inverters of the actor's stations that stand there on a day, by station and slot."""
    found = devices(session, actor, station_id, on=on)
    return tuple(device for device in found if device.kind == DeviceKind.INVERTER)


def told_now(inverters: Sequence[Device], latest: Mapping[str, Sample]) -> dict[str, Told]:
    """Return what the newest sample of each inverter says, by device id; all in one reckoning."""
    heard = [device for device in inverters if device.id in latest]
    values = [latest[device.id].values for device in heard]

    def column(name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([row.get(name, np.nan) for row in values], np.float64)

    rows = Rows(
        column("active_power_w"),
        column("state"),
        np.array([idle_power_w(device.rated_power_w) for device in heard]),
        [column(name) for name in VOLTAGES],
        np.array([any(row.get(name, 0) for name in ALARMS) for row in values], bool),
    )
    codes = told(rows)
    return {device.id: Told(int(code)) for device, code in zip(heard, codes, strict=True)}


def neighbours_output(
    inverters: Sequence[Device], latest: Mapping[str, Sample], now: datetime
) -> float | None:
    """Return the median output of fresh inverters as a fraction of rated power, None when too few answer.

    Those that a named reason keeps from producing (no grid, a fault, an order) are no witnesses.
    """
    said = told_now(inverters, latest)
    fractions = [
        sample.values["active_power_w"] / device.rated_power_w
        for device in inverters
        if device.rated_power_w
        and (sample := latest.get(device.id)) is not None
        and now - sample.time <= stale_after(device.cycle_seconds)
        and "active_power_w" in sample.values
        and said[device.id] in WITNESSES
    ]
    return median(fractions) if len(fractions) >= NEIGHBOURS_AT_LEAST else None


def _orders(session: Session, now: datetime) -> dict[str, str]:
    """Return what dispatch has in force at `now`, by station, device or division code."""
    return {
        order.subject_id: order.note
        for order in dispatch_between(session, now, now + _MOMENT)
        if order.kind is not DispatchKind.MAJEURE
    }


def _concerning(notes: Mapping[str, str], device: Device, place: Station) -> str:
    """Return the note that concerns a device: its own, its station's, or the smallest division's."""
    code = place.division_code
    divisions = (code[:digits].ljust(CODE_DIGITS, "0") for digits in (12, 9, 6, 4, 2))
    return next((notes[key] for key in (device.id, place.id, *divisions) if key in notes), "")


def _when_sampled(
    places: Mapping[str, Station], mine: Sequence[Device], latest: Mapping[str, Sample]
) -> dict[str, float]:
    """Return the sun's elevation [degrees] over each device at its newest sample."""
    sampled = [device for device in mine if device.id in latest]
    heights = elevation_pairs(
        [places[device.station_id].latitude for device in sampled],
        [places[device.station_id].longitude for device in sampled],
        [latest[device.id].time for device in sampled],
    )
    return dict(zip((device.id for device in sampled), heights, strict=True))


def _opinions(
    session: Session,
    found: Sequence[Station],
    mine: Sequence[Device],
    latest: Mapping[str, Sample],
    moment: tuple[datetime, float | None],
) -> dict[str, Opinion]:
    """Return the opinions at a moment: (now [UTC], output of the neighbours)."""
    now, neighbours = moment
    places = {item.id: item for item in found}
    heights = elevations([item.latitude for item in found], [item.longitude for item in found], now)
    elevation = dict(zip(places, heights, strict=True))
    sampled, said = _when_sampled(places, mine, latest), told_now(mine, latest)
    planned, orders = planned_work(session, now), _orders(session, now)
    return {
        device.id: device_state(
            Evidence(
                now=now,
                sample=latest.get(device.id),
                rated_power_w=device.rated_power_w,
                cycle_seconds=device.cycle_seconds,
                elevation_deg=elevation[device.station_id],
                sample_elevation_deg=sampled.get(device.id, 90.0),
                neighbours=neighbours,
                planned=_concerning(planned, device, places[device.station_id]),
                ordered=_concerning(orders, device, places[device.station_id]),
                told=said.get(device.id),
            )
        )
        for device in mine
    }


def present(session: Session, series: SeriesStore, found: Sequence[Station], now: datetime) -> Present:
    """Return how the inverters of some stations stand at `now` [UTC]."""
    everyone = working_inverters(session, SYSTEM, local_date(now))
    ids = {item.id for item in found}
    mine = [device for device in everyone if device.station_id in ids]
    grouped: dict[str, list[Device]] = {}
    for device in mine:
        grouped.setdefault(device.station_id, []).append(device)
    # The comparison with neighbours looks at the whole county: one figure, no station's own data.
    latest = series.latest([device.id for device in everyone])
    neighbours = neighbours_output(everyone, latest, now)
    opinions = _opinions(session, found, mine, latest, (now, neighbours))
    inverters = {station_id: tuple(members) for station_id, members in grouped.items()}
    return Present(now, inverters, latest, opinions)


def _last_fed_in(series: SeriesStore, stopped: Sequence[Device], now: datetime) -> dict[str, datetime]:
    """Return when each device last fed in, to the hour; none when it did not within the look-back."""
    limits = {device.id: idle_power_w(device.rated_power_w) for device in stopped}
    interval = (now - LOOK_BACK, now)
    table = series.downsample(list(limits), interval, _STEP, {"active_power_w": "max"})
    return {
        row["device_id"]: min(now, row["time"] + _STEP)
        for row in table.to_pylist()
        if row["active_power_w"] is not None and row["active_power_w"] > limits[row["device_id"]]
    }


def with_beginnings(series: SeriesStore, standing: Present) -> Mapping[str, Opinion]:
    """Return the opinions with since when devices that stand still have done so."""
    stopped = [
        device
        for group in standing.inverters.values()
        for device in group
        if standing.opinions[device.id].state in _STOPPED and standing.opinions[device.id].since is None
    ]
    if not stopped:
        return standing.opinions
    begins = _last_fed_in(series, stopped, standing.now)
    changed = {
        device.id: replace(standing.opinions[device.id], since=begins.get(device.id)) for device in stopped
    }
    return {**standing.opinions, **changed}
