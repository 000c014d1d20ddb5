"""Stations and their energy."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from api.operations.energy import period_of
from dashboards.web import NotFoundError, reading, requires, services_of
from monitoring.snapshot import station_view, station_views
from monitoring.states import Opinion
from monitoring.views import StationView
from registry.actors import Actor, Permission
from registry.assets.counters import energy_question
from registry.stations import DeviceKind, devices, station
from store.energy import DeviceEnergy, answer, summed
from store.periods import PeriodKind

router = APIRouter(prefix="/stations", tags=["电站"])
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]


class StateOut(BaseModel):
    """A state: its code, its word, why, and since when [UTC]."""

    state: str
    word: str
    reason: str
    since: datetime | None


class InverterOut(BaseModel):
    """One inverter now; None where unknown."""

    device_id: str
    name: str
    rated_power_w: int
    state: StateOut
    last_time: datetime | None
    active_power_w: float | None
    today_wh: int | None
    total_wh: int | None


class StationOut(BaseModel):
    """One station now; None where unknown."""

    station_id: str
    name: str
    kind: str
    village_code: str
    village_name: str
    rated_power_w: int
    state: StateOut
    last_time: datetime | None
    active_power_w: float | None
    today_wh: int | None
    month_wh: int | None


class StationDetailOut(StationOut):
    """One station with its inverters."""

    inverters: list[InverterOut]


class EnergyOut(BaseModel):
    """Energy of a device in a period, from its cumulative counter; None where nothing is known."""

    device_id: str
    kind: str = Field(description="inverter or meter")
    period: str
    energy_wh: int | None
    estimated_wh: int
    completeness: float
    method: str


def _state(opinion: Opinion) -> StateOut:
    return StateOut(state=opinion.state, word=opinion.look.word, reason=opinion.reason, since=opinion.since)


def _station(view: StationView) -> StationOut:
    return StationOut(
        station_id=view.station_id,
        name=view.name,
        kind=view.kind,
        village_code=view.village_code,
        village_name=view.village_name,
        rated_power_w=view.rated_power_w,
        state=_state(view.opinion),
        last_time=view.last_time,
        active_power_w=view.active_power_w,
        today_wh=view.today_wh,
        month_wh=view.month_wh,
    )


@router.get("")
def list_stations(request: Request, actor: Reader, session: Reading) -> list[StationOut]:
    """Return every station of the area as it stands now."""
    services = services_of(request)
    return [_station(view) for view in station_views(session, services.series, actor, services.clock())]


@router.get("/{station_id}")
def show_station(request: Request, station_id: str, actor: Reader, session: Reading) -> StationDetailOut:
    """Return one station with its inverters."""
    services = services_of(request)
    view = station_view(session, services.series, actor, station_id, services.clock())
    if view is None:
        raise NotFoundError(station_id)
    inverters = [
        InverterOut(
            device_id=one.device_id,
            name=one.name,
            rated_power_w=one.rated_power_w,
            state=_state(one.opinion),
            last_time=one.last_time,
            active_power_w=one.active_power_w,
            today_wh=one.today_wh,
            total_wh=one.total_wh,
        )
        for one in view.inverters
    ]
    return StationDetailOut(**_station(view).model_dump(), inverters=inverters)


def _energy(kind: str, energy: DeviceEnergy) -> EnergyOut:
    return EnergyOut(
        device_id=energy.device_id,
        kind=kind,
        period=energy.period,
        energy_wh=energy.energy_wh,
        estimated_wh=energy.estimated_wh,
        completeness=energy.completeness,
        method=energy.method,
    )


@router.get("/{station_id}/energy")
def show_energy(
    request: Request,
    station_id: str,
    actor: Reader,
    session: Reading,
    period: Annotated[str, Query(description="2026、2026-Q4、2026-10 或 2026-10-05", max_length=10)],
    *,
    daily: bool = False,
    level: Annotated[Literal["device", "station"], Query(description="逐台，或全站合计")] = "device",
) -> list[EnergyOut]:
    """Return the energy of the station's inverters and meters over a period, by day where `daily`.

    With `level=station` inverters and meters are each summed up, under the station's identifier.
    """
    if station(session, actor, station_id) is None:
        raise NotFoundError(station_id)
    services = services_of(request)
    whole = period_of(period)
    periods = list(whole.days()) if daily and whole.kind is not PeriodKind.DAY else [whole]
    found = []
    for kind, quantity in (
        (DeviceKind.INVERTER, "generated_energy_wh"),
        (DeviceKind.METER, "exported_energy_wh"),
    ):
        listed = [device for device in devices(session, actor, station_id) if device.kind == kind]
        question = energy_question(session, actor, (listed, periods), quantity, services.clock())
        energies = answer(services.series, question)
        if level == "station" and listed:
            rated = {device.id: device.rated_power_w for device in listed}
            energies = [
                summed(station_id, name, [(e, rated[e.device_id]) for e in energies if e.period == name])
                for name in (str(period) for period in periods)
            ]
        found += [_energy(kind, energy) for energy in energies]
    return found
