"""How the stations of an area stand at one instant.

Owns the gathering of evidence (newest samples, sun, neighbours, announced work, today's energy) and the
station views made of it. The rules are in `states`, the sentences of the first screen in `overview`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from statistics import median

from sqlalchemy.orm import Session

from monitoring.energy import PresentEnergy, energy_sums, known_sum, present_energy
from monitoring.uptime.planned import planned_work
from monitoring.states import (
    IDLE_FRACTION,
    Evidence,
    Opinion,
    Part,
    StationState,
    device_state,
    stale_after,
    station_state,
)
from monitoring.uptime.sun import elevation_pairs, elevations
from monitoring.views import InverterView, StationView
from registry.actors import SYSTEM, Actor
from registry.divisions import division_names
from registry.stations import Device, DeviceKind, Station, devices, station, stations
from store.periods import Period, local_date
from store.samples import Sample
from store.series import SeriesStore

NEIGHBOURS_AT_LEAST = 3
LOOK_BACK = timedelta(days=30)
_STEP = timedelta(hours=1)
_STOPPED = frozenset({StationState.FAULT, StationState.GRID_OUTAGE})


@dataclass(frozen=True, slots=True)
class _Gathered:
    """Everything read for one snapshot."""

    now: datetime
    stations: tuple[Station, ...]
    inverters: Mapping[str, tuple[Device, ...]]
    latest: Mapping[str, Sample]
    energy: Mapping[str, PresentEnergy]
    month: Mapping[str, int]
    names: Mapping[str, str]
    planned: Mapping[str, str]
    neighbours: float | None
    elevation: Mapping[str, float]
    sample_elevation: Mapping[str, float]


def working_inverters(
    session: Session, actor: Actor, on: date, station_id: str | None = None
) -> tuple[Device, ...]:
    """Return the inverters of the actor's stations that stand there on a day, by station and slot."""
    found = devices(session, actor, station_id, on=on)
    return tuple(device for device in found if device.kind == DeviceKind.INVERTER)


def neighbours_output(
    inverters: Sequence[Device], latest: Mapping[str, Sample], now: datetime
) -> float | None:
    """Return the median output of fresh inverters as a fraction of rated power, None when too few answer."""
    fractions = [
        sample.values["active_power_w"] / device.rated_power_w
        for device in inverters
        if device.rated_power_w
        and (sample := latest.get(device.id)) is not None
        and now - sample.time <= stale_after(device.cycle_seconds)
        and "active_power_w" in sample.values
    ]
    return median(fractions) if len(fractions) >= NEIGHBOURS_AT_LEAST else None


def _gather(session: Session, series: SeriesStore, found: tuple[Station, ...], now: datetime) -> _Gathered:
    today = local_date(now)
    everyone = working_inverters(session, SYSTEM, today)
    ids = {item.id for item in found}
    mine = [device for device in everyone if device.station_id in ids]
    grouped: dict[str, tuple[Device, ...]] = {}
    for device in mine:
        grouped[device.station_id] = (*grouped.get(device.station_id, ()), device)
    # The comparison with neighbours looks at the whole county: one figure, no station's own data.
    latest = series.latest([device.id for device in everyone])
    month = Period.month_of(today)
    heights = elevations([item.latitude for item in found], [item.longitude for item in found], now)
    return _Gathered(
        now=now,
        stations=found,
        inverters=grouped,
        latest=latest,
        energy=present_energy(series, mine, now),
        month=energy_sums(session, [device.id for device in mine], month.start, today),
        names=division_names(session),
        planned=planned_work(session, now),
        neighbours=neighbours_output(everyone, latest, now),
        elevation=dict(zip((item.id for item in found), heights, strict=True)),
        sample_elevation=_when_sampled(found, mine, latest),
    )


def _when_sampled(
    found: Sequence[Station], mine: Sequence[Device], latest: Mapping[str, Sample]
) -> dict[str, float]:
    """Return the sun's elevation [degrees] over each device at its newest sample, all in one reckoning."""
    places = {item.id: item for item in found}
    sampled = [
        (device.id, places[device.station_id], latest[device.id].time)
        for device in mine
        if device.id in latest
    ]
    heights = elevation_pairs(
        [place.latitude for _id, place, _time in sampled],
        [place.longitude for _id, place, _time in sampled],
        [time for _id, _place, time in sampled],
    )
    return dict(zip((device_id for device_id, _place, _time in sampled), heights, strict=True))


def _opinion(gathered: _Gathered, place: Station, device: Device) -> Opinion:
    return device_state(
        Evidence(
            now=gathered.now,
            sample=gathered.latest.get(device.id),
            rated_power_w=device.rated_power_w,
            cycle_seconds=device.cycle_seconds,
            elevation_deg=gathered.elevation[place.id],
            sample_elevation_deg=gathered.sample_elevation.get(device.id, 90.0),
            neighbours=gathered.neighbours,
            planned=gathered.planned.get(device.id) or gathered.planned.get(place.id, ""),
        )
    )


def _inverter_view(gathered: _Gathered, device: Device, opinion: Opinion) -> InverterView:
    sample = gathered.latest.get(device.id)
    values = sample.values if sample else {}
    energy = gathered.energy.get(device.id, PresentEnergy(None, None))
    total, raw = values.get("generated_energy_wh"), values.get("state_raw")
    stale = sample is None or gathered.now - sample.time > stale_after(device.cycle_seconds)
    return InverterView(
        device_id=device.id,
        name=device.name,
        position=device.position,
        profile=device.profile,
        serial=device.serial,
        rated_power_w=device.rated_power_w,
        opinion=opinion,
        last_time=sample.time if sample else None,
        stale=stale,
        active_power_w=values.get("active_power_w"),
        today_wh=energy.today_wh,
        total_wh=None if total is None else int(total),
        temperature_c=values.get("internal_temperature_c"),
        dc_power_w=values.get("dc_power_w"),
        state_raw=None if raw is None else int(raw),
        yesterday_same_time_wh=energy.yesterday_same_time_wh,
        alarm_words_1=int(values.get("alarm_words_1", 0)),
        alarm_words_2=int(values.get("alarm_words_2", 0)),
    )


def _station_view(gathered: _Gathered, place: Station, opinions: Mapping[str, Opinion]) -> StationView:
    mine = gathered.inverters.get(place.id, ())
    views = tuple(_inverter_view(gathered, device, opinions[device.id]) for device in mine)
    parts = [Part(view.name, view.rated_power_w, view.opinion) for view in views]
    fresh = [view.active_power_w for view in views if not view.stale and view.active_power_w is not None]
    township = place.division_code[:9].ljust(12, "0")
    today = known_sum(view.today_wh for view in views)
    closed = known_sum(gathered.month.get(device.id) for device in mine)
    return StationView(
        station_id=place.id,
        name=place.name,
        kind=place.kind,
        village_code=place.division_code,
        village_name=gathered.names.get(place.division_code, ""),
        township_code=township,
        township_name=gathered.names.get(township, ""),
        rated_power_w=place.rated_power_w,
        latitude=place.latitude,
        longitude=place.longitude,
        maintenance_company=place.maintenance_company,
        maintenance_phone=place.maintenance_phone,
        opinion=station_state(parts),
        last_time=max((view.last_time for view in views if view.last_time), default=None),
        active_power_w=sum(fresh) if fresh else None,
        today_wh=today,
        yesterday_same_time_wh=known_sum(
            view.yesterday_same_time_wh for view in views if view.today_wh is not None
        ),
        month_wh=known_sum((closed, today)),
        inverters=views,
    )


def _last_fed_in(series: SeriesStore, stopped: Sequence[Device], now: datetime) -> dict[str, datetime]:
    """Return when each device last fed in, to the hour; none when it did not within the look-back."""
    limits = {device.id: max(1.0, device.rated_power_w * IDLE_FRACTION) for device in stopped}
    interval = (now - LOOK_BACK, now)
    table = series.downsample(list(limits), interval, _STEP, {"active_power_w": "max"})
    return {
        row["device_id"]: min(now, row["time"] + _STEP)
        for row in table.to_pylist()
        if row["active_power_w"] is not None and row["active_power_w"] > limits[row["device_id"]]
    }


def _with_beginnings(
    series: SeriesStore, gathered: _Gathered, opinions: dict[str, Opinion]
) -> dict[str, Opinion]:
    """Fill in since when devices that stand still have done so."""
    stopped = [
        device
        for group in gathered.inverters.values()
        for device in group
        if opinions[device.id].state in _STOPPED and opinions[device.id].since is None
    ]
    if not stopped:
        return opinions
    begins = _last_fed_in(series, stopped, gathered.now)
    changed = {device.id: replace(opinions[device.id], since=begins.get(device.id)) for device in stopped}
    return opinions | changed


def _views(
    session: Session, series: SeriesStore, found: tuple[Station, ...], now: datetime
) -> tuple[StationView, ...]:
    gathered = _gather(session, series, found, now)
    opinions = {
        device.id: _opinion(gathered, place, device)
        for place in found
        for device in gathered.inverters.get(place.id, ())
    }
    opinions = _with_beginnings(series, gathered, opinions)
    return tuple(_station_view(gathered, place, opinions) for place in found)


def station_views(
    session: Session, series: SeriesStore, actor: Actor, now: datetime
) -> tuple[StationView, ...]:
    """Return how every station of the actor's area stands at `now` [UTC], by village and name."""
    return _views(session, series, stations(session, actor), now)


def station_view(
    session: Session, series: SeriesStore, actor: Actor, station_id: str, now: datetime
) -> StationView | None:
    """Return how one station of the actor's area stands, or None where there is none."""
    place = station(session, actor, station_id)
    if place is None:
        return None
    return _views(session, series, (place,), now)[0]
