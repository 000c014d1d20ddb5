"""A station's file (电站档案): dated fields, shares, holders, household systems, exchanged meters.

Owns the page and the form of one dated entry and of an exchanged meter. What holds from when is
`registry.assets`'.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from dashboards.moments import read_day
from dashboards.pages.registry.books import known_instant
from dashboards.web import (
    Crumb,
    NotFoundError,
    check_form,
    reading,
    redirect,
    render,
    requires,
    services_of,
)
from registry.actors import Actor, Permission
from registry.assets.archive import ArchiveEntry, archive, record_entry
from registry.assets.equity import Holding, holdings, look_through, share_by_equity
from registry.assets.fields import ARCHIVE_FIELDS, FIELDS, ArchiveField
from registry.assets.household_systems import HouseholdSystem, household_systems
from registry.assets.replacements import Readings, Replacement, exchange_slot, replace_meter, replacements
from registry.divisions import division_names
from registry.stations import (
    Device,
    RevenueMeter,
    Station,
    StationShare,
    devices,
    revenue_meters,
    shares,
    station,
)
from store.db import new_id
from store.periods import local_date
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Editor = Annotated[Actor, Depends(requires(Permission.EDIT_REGISTRY))]
Reading = Annotated[Session, Depends(reading)]
_REFUSED = 409


class Asked(BaseModel):
    """What the address asks for: the day as known on which the file is shown."""

    known: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the file: its name, and each field with the entry that holds, if any."""

    name: str
    fields: Sequence[tuple[ArchiveField, ArchiveEntry | None]]


@dataclass(frozen=True, slots=True)
class ArchiveView:
    """The file of a station, as known now or on a day."""

    station: Station
    known: str
    parts: Sequence[Part]
    history: Sequence[tuple[str, ArchiveEntry]]
    shares: Sequence[tuple[str, StationShare, Fraction]]
    holders: Sequence[tuple[str, str, Holding]]
    equity: Sequence[tuple[str, Fraction]]
    systems: Sequence[HouseholdSystem]
    meters: Sequence[RevenueMeter]
    devices: Sequence[Device]
    names: Mapping[str, str]
    replacements: Sequence[Replacement]
    fields: Sequence[ArchiveField]
    may_edit: bool
    today: str
    message: str = ""
    tone: str = "bad"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the forms hold; `action` is entry, meter, device or equity."""

    action: Annotated[str, Form(max_length=10)] = ""
    field: Annotated[str, Form(max_length=40)] = ""
    value: Annotated[str, Form(max_length=200)] = ""
    on: Annotated[str, Form(max_length=10)] = ""
    document: Annotated[str, Form(max_length=200)] = ""
    meter: Annotated[str, Form(max_length=64)] = ""
    device: Annotated[str, Form(max_length=64)] = ""
    number: Annotated[str, Form(max_length=40)] = ""
    multiplier: Annotated[str, Form(max_length=8)] = ""
    closing: Annotated[str, Form(max_length=20)] = ""
    opening: Annotated[str, Form(max_length=20)] = ""


def _page(
    request: Request, session: Session, actor: Actor, which: tuple[str, str], message: str = ""
) -> HTMLResponse:
    station_id, known = which
    found = station(session, actor, station_id)
    if found is None:
        raise NotFoundError(station_id)
    at = known_instant(known)
    today = local_date(services_of(request).clock())
    entries = archive(session, actor, station_id, at=at)
    holding = {
        one.field: one
        for one in entries
        if one.valid_from <= today and (one.valid_to is None or one.valid_to > today)
    }
    names = division_names(session)
    parts = shares(session, station_id, today)
    weight = sum(one.weight for one in parts) or 1
    held = holdings(session, actor, station_id, today, at=at)
    meters, every = revenue_meters(session, actor, station_id), devices(session, actor, station_id)
    sees_people = actor.may(Permission.VIEW_HOUSEHOLDS)
    view = ArchiveView(
        found,
        known,
        _parts(holding),
        [(FIELDS[one.field].title, one) for one in entries if holding.get(one.field) is not one],
        [(names.get(one.village_code, one.village_code), one, Fraction(one.weight, weight)) for one in parts],
        [(_name(names, found, one.owner), _name(names, found, one.held), one) for one in held],
        _equity(names, held, station_id),
        household_systems(session, actor, station_id, on=today) if sees_people else (),
        [one for one in meters if one.removed_on is None],
        [one for one in every if one.removed_on is None],
        {one.id: f"{one.name} {one.serial}".strip() for one in every}
        | {one.id: one.meter_number for one in meters},
        replacements(session, actor, station_id),
        ARCHIVE_FIELDS,
        actor.may(Permission.EDIT_REGISTRY),
        today.isoformat(),
        message,
    )
    crumbs = (Crumb("电站", "/stations"), Crumb(found.name, f"/stations/{station_id}"))
    return render(request, "registry/archive.html", f"{found.name}档案", crumbs=crumbs, view=view)


def _parts(holding: dict[str, ArchiveEntry]) -> list[Part]:
    names = dict.fromkeys(field.part for field in ARCHIVE_FIELDS)
    return [
        Part(name, [(field, holding.get(field.key)) for field in ARCHIVE_FIELDS if field.part == name])
        for name in names
    ]


def _name(names: dict[str, str], place: Station, key: str) -> str:
    return place.name if key == place.id else names.get(key, key)


def _equity(names: dict[str, str], held: Sequence[Holding], station_id: str) -> list[tuple[str, Fraction]]:
    if not held:
        return []
    try:
        found = look_through(held, station_id)
    except ProblemsError:
        return []
    return [(names.get(code, code), part) for code, part in sorted(found.items())]


@router.get("/stations/{station_id}/archive")
def show_archive(
    request: Request, actor: Reader, session: Reading, station_id: str, asked: Annotated[Asked, Query()]
) -> HTMLResponse:
    """Show a station's file as known now, or on a day."""
    return _page(request, session, actor, (station_id, asked.known))


@router.post("/stations/{station_id}/archive", dependencies=[Depends(check_form)])
def change_archive(
    request: Request, actor: Editor, station_id: str, wanted: Annotated[Wanted, Depends()]
) -> Response:
    """Record a dated entry, an exchanged meter, or the looked-through shares."""
    services = services_of(request)
    try:
        with services.database.transaction() as session:
            _change(session, actor, station_id, wanted, services.clock())
    except LookupError as error:
        raise NotFoundError(station_id) from error
    except ProblemsError as error:
        with services.database.reading() as session:
            page = _page(request, session, actor, (station_id, ""), str(error))
        page.status_code = _REFUSED
        return page
    return redirect(f"/stations/{station_id}/archive")


def _change(session: Session, actor: Actor, station_id: str, wanted: Wanted, now: datetime) -> None:
    on = read_day(wanted.on, "从哪一天起")
    if wanted.action == "meter":
        if not wanted.number.strip() or not wanted.multiplier.isdigit() or int(wanted.multiplier) < 1:
            raise ProblemsError([Problem("新表", "表号或倍率不对", "写新表的表号和整数倍率")])
        multiplier = int(wanted.multiplier)
        new = RevenueMeter(new_id("meter"), station_id, wanted.number.strip(), multiplier, on)
        readings = Readings(wanted.closing.strip(), wanted.opening.strip(), wanted.document, now)
        replace_meter(session, actor, wanted.meter, new, readings)
    elif wanted.action == "device":
        readings = Readings(wanted.closing.strip(), wanted.opening.strip(), wanted.document, now)
        exchange_slot(session, actor, wanted.device, (wanted.number, on), readings)
    elif wanted.action == "equity":
        if station(session, actor, station_id) is None:
            raise LookupError(station_id)
        share_by_equity(session, actor, station_id, on, now)
    elif wanted.field in FIELDS:
        entry = ArchiveEntry(station_id, wanted.field, wanted.value, on, None, wanted.document)
        record_entry(session, actor, entry, now)
    else:
        raise ProblemsError([Problem("档案", "没有选哪一项", "在页面上选一项")])
