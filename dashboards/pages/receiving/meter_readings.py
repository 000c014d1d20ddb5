"""Meter readings taken by hand, with a photo, good on a phone: evidence beside inverter and bill."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.files import ATTACHMENTS
from dashboards.forms import REFUSED, RecordId, Sha256, attempt, day, photo
from dashboards.web import NotFoundError, check_form, reading, redirect, render, requires, services_of
from distribution.settlement.metering.readings import (
    MeterReading,
    ReadingFact,
    correct_reading,
    meters_to_read,
    readings,
    record_reading,
)
from documents.attachments import media_type, read_attachment
from documents.cells import half_width
from registry.actors import Actor, Permission
from registry.stations import RevenueMeter, stations
from store.periods import local_date
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Recorder = Annotated[Actor, Depends(requires(Permission.RECORD_READING))]
Reading = Annotated[Session, Depends(reading)]
_SHOWN = 100
_DONE = {"read": "抄表已登记。", "correct": "已更正，原记录保留。"}


@dataclass(frozen=True, slots=True)
class MeterChoice:
    """A meter that may be read, with its station's name and its last reading."""

    meter: RevenueMeter
    station_name: str
    last: MeterReading | None


@dataclass(frozen=True, slots=True)
class ReadingLine:
    """A reading with its station's name and its state in Chinese."""

    reading: MeterReading
    station_name: str
    state: str


@dataclass(frozen=True, slots=True)
class ReadingsView:
    """The form, and the latest readings."""

    meters: tuple[MeterChoice, ...]
    lines: tuple[ReadingLine, ...]
    today: date
    may_record: bool
    message: str
    problems: tuple[Problem, ...]


def _page(
    request: Request, session: Session, actor: Actor, told: tuple[str, tuple[Problem, ...]]
) -> HTMLResponse:
    every = readings(session, actor)
    names = {one.id: one.name for one in stations(session, actor)}
    last: dict[tuple[str, str], MeterReading] = {}
    for one in every:
        if one.holds:
            last.setdefault((one.station_id, one.meter_number), one)
    view = ReadingsView(
        meters=tuple(
            MeterChoice(one, names[one.station_id], last.get((one.station_id, one.meter_number)))
            for one in meters_to_read(session, actor)
            if one.station_id in names
        ),
        lines=tuple(
            ReadingLine(one, names.get(one.station_id, one.station_id), _state(one)) for one in every[:_SHOWN]
        ),
        today=local_date(services_of(request).clock()),
        may_record=actor.may(Permission.RECORD_READING),
        message=told[0],
        problems=told[1],
    )
    return render(request, "receiving/meter_readings.html", "人工抄表", view=view)


def _state(one: MeterReading) -> str:
    if one.corrected_by:
        return "已更正"
    return "已作废" if one.withdrawn else "有效"


@router.get("/meter-readings")
def show_readings(request: Request, actor: Reader, session: Reading, done: str = "") -> HTMLResponse:
    """Show the readings of the area's meters, and the form for a new one."""
    return _page(request, session, actor, (_DONE.get(done, ""), ()))


@dataclass(frozen=True, slots=True)
class _Said:
    """The form of a reading; the meter is `station|number`."""

    meter: Annotated[str, Form(max_length=120)]
    reading: Annotated[str, Form(max_length=20)]
    on: Annotated[str, Form(max_length=10)]
    note: Annotated[str, Form(max_length=200)] = ""
    picture: Annotated[UploadFile | None, File()] = None


def _figure(text: str) -> Decimal:
    try:
        return Decimal(half_width(text).replace(",", "").strip())
    except InvalidOperation as error:
        raise ProblemsError([Problem("示数", f"“{text}”不是数字", "请照电表面板抄写")]) from error


@router.post("/meter-readings", dependencies=[Depends(check_form)])
def record(request: Request, actor: Recorder, said: Annotated[_Said, Depends()]) -> Response:
    """Record a reading."""
    services = services_of(request)

    def act(session: Session) -> None:
        station_id, _, number = said.meter.partition("|")
        figure, on = _figure(said.reading), day(said.on, "抄表日期")
        fact = ReadingFact(station_id, number, on, figure, photo(services, said.picture), said.note.strip())
        record_reading(session, actor, fact, services.clock())

    return _answer(request, actor, "read", attempt(services, act))


@router.post("/meter-readings/{reading_id}/withdraw", dependencies=[Depends(check_form)])
def withdraw(
    request: Request,
    actor: Recorder,
    reading_id: RecordId,
    reason: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Withdraw a wrong reading; the right one is recorded anew, the wrong one stays readable."""
    services = services_of(request)

    def act(session: Session) -> None:
        correct_reading(session, actor, (reading_id, reason), None, services.clock())

    return _answer(request, actor, "correct", attempt(services, act))


def _answer(request: Request, actor: Actor, done: str, problems: tuple[Problem, ...]) -> Response:
    if not problems:
        return redirect("/meter-readings", done=done)
    with services_of(request).database.reading() as session:
        response = _page(request, session, actor, ("", problems))
    response.status_code = REFUSED
    return response


@router.get("/meter-readings/photos/{sha256}")
def show_photo(request: Request, actor: Reader, session: Reading, sha256: Sha256) -> Response:
    """Show the photo of a reading of the actor's stations."""
    if not any(one.photo_sha256 == sha256 for one in readings(session, actor)):
        raise NotFoundError(sha256)
    content = read_attachment(services_of(request).data_dir / ATTACHMENTS, sha256)
    headers = {"Cache-Control": "private, max-age=86400"}
    return Response(content, media_type=media_type(content), headers=headers)
