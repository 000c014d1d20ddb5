"""How the stations of an area stand at one instant.

Owns the gathering of evidence (newest samples, sun, neighbours, announced work, today's energy) and the
station views made of it. The rules are in `states`, the sentences of the first screen in `overview`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from monitoring.energy import PresentEnergy, energy_sums, known_sum, present_energy
from monitoring.states import Opinion, Part, stale_after, station_state
from monitoring.uptime.present import Present, present, with_beginnings
from monitoring.views import InverterView, StationView
from registry.actors import Actor
from registry.divisions import division_names
from registry.stations import Device, Station, station, stations
from store.periods import Period, local_date
from store.series import SeriesStore


@dataclass(frozen=True, slots=True)
class _Gathered:
    """Everything read for one snapshot."""

    present: Present
    energy: Mapping[str, PresentEnergy]
    month: Mapping[str, int]
    names: Mapping[str, str]


def _gather(session: Session, series: SeriesStore, found: tuple[Station, ...], now: datetime) -> _Gathered:
    standing = present(session, series, found, now)
    mine = [device for group in standing.inverters.values() for device in group]
    today = local_date(now)
    month = Period.month_of(today)
    return _Gathered(
        present=standing,
        energy=present_energy(series, mine, now),
        month=energy_sums(session, [device.id for device in mine], month.start, today),
        names=division_names(session),
    )


def _inverter_view(gathered: _Gathered, device: Device, opinion: Opinion) -> InverterView:
    sample = gathered.present.latest.get(device.id)
    values = sample.values if sample else {}
    energy = gathered.energy.get(device.id, PresentEnergy(None, None))
    total, raw = values.get("generated_energy_wh"), values.get("state_raw")
    stale = sample is None or gathered.present.now - sample.time > stale_after(device.cycle_seconds)
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
    mine = gathered.present.inverters.get(place.id, ())
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


def _views(
    session: Session, series: SeriesStore, found: tuple[Station, ...], now: datetime
) -> tuple[StationView, ...]:
    gathered = _gather(session, series, found, now)
    opinions = with_beginnings(series, gathered.present)
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
