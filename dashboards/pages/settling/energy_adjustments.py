"""Closed months whose energy late data would change: what was frozen, what it is now, and what to do.

Owns the page and its form. What differs, and what a decision means, is `monitoring.adjustments`'.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.web import NotFoundError, check_form, reading, redirect, render, requires, services_of
from monitoring.adjustments import (
    AdjustmentChangedError,
    ProposedAdjustment,
    adjustment_decisions,
    decide_adjustment,
    proposed_adjustments,
)
from registry.actors import Actor, Permission
from registry.stations import devices, stations
from registry.users import user_names
from store.energy import METHOD_LABELS, EnergyDecision, Method, frozen_months
from store.periods import Period, PeriodKind
from store.problem import ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Decider = Annotated[Actor, Depends(requires(Permission.IMPORT_SETTLEMENT))]
Reading = Annotated[Session, Depends(reading)]
_REFUSED = 409
_DONE = {"accepted": "已认可，对账从此用新数；原冻结数和这次决定都留有记录。", "declined": "已记录不认可。"}
_CHANGED = "这台设备的数据刚才又变了，没有记录；请看清新数后再决定。"


@dataclass(frozen=True, slots=True)
class AdjustmentLine:
    """One difference, with the names of its device and station."""

    offer: ProposedAdjustment
    station_name: str
    device_name: str
    method: str


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """One decision, with the names of its device and of who decided."""

    decision: EnergyDecision
    station_name: str
    device_name: str
    decided_by: str


@dataclass(frozen=True, slots=True)
class AdjustmentsView:
    """A month: what waits for a decision, and what was decided."""

    month: str
    months: tuple[str, ...]
    open: tuple[AdjustmentLine, ...]
    decided: tuple[DecisionLine, ...]
    may_decide: bool
    message: str
    tone: str

    @property
    def difference_wh(self) -> int:
        """What all open differences come to [Wh]."""
        return sum(line.offer.difference_wh for line in self.open)


def _month(text: str, months: tuple[str, ...]) -> str:
    try:
        return text if Period.parse(text).kind is PeriodKind.MONTH else next(iter(months), "")
    except ValueError:
        return next(iter(months), "")


def _page(
    request: Request, session: Session, actor: Actor, month: str, told: tuple[str, str]
) -> HTMLResponse:
    months = frozen_months(session)
    chosen = _month(month, months)
    names = {one.id: (one.station_id, one.name) for one in devices(session, actor)}
    places = {one.id: one.name for one in stations(session, actor)}
    people = user_names(session)
    series = services_of(request).series
    offers = proposed_adjustments(session, series, actor, Period.parse(chosen)) if chosen else []
    decided = adjustment_decisions(session, actor, Period.parse(chosen)) if chosen else ()
    view = AdjustmentsView(
        month=chosen,
        months=months,
        open=tuple(
            AdjustmentLine(
                one, places[one.station_id], names[one.device_id][1], METHOD_LABELS[Method(one.method)]
            )
            for one in offers
            if not one.declined
        ),
        decided=tuple(
            DecisionLine(
                one,
                places[names[one.device_id][0]],
                names[one.device_id][1],
                people.get(one.decided_by, one.decided_by),
            )
            for one in decided
        ),
        may_decide=actor.may(Permission.IMPORT_SETTLEMENT),
        message=told[0],
        tone=told[1],
    )
    return render(request, "settling/energy_adjustments.html", "电量调整", view=view)


@router.get("/energy-adjustments")
def show_adjustments(
    request: Request, actor: Reader, session: Reading, month: str = "", done: str = ""
) -> HTMLResponse:
    """Show the differences of a closed month in the actor's area, and what was decided."""
    return _page(request, session, actor, month, (_DONE.get(done, ""), "good"))


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the form holds: the figures that the reader saw [Wh, empty where unknown], and the answer."""

    device: Annotated[str, Form(max_length=128)]
    month: Annotated[str, Form(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]
    frozen_wh: Annotated[str, Form(pattern=r"^[0-9]{0,18}$")] = ""
    current_wh: Annotated[str, Form(pattern=r"^[0-9]{0,18}$")] = ""
    answer: Annotated[str, Form(pattern="^(accept|decline)$")] = "decline"
    reason: Annotated[str, Form(max_length=500)] = ""


@router.post("/energy-adjustments", dependencies=[Depends(check_form)])
def decide(request: Request, actor: Decider, given: Annotated[_Answer, Depends()]) -> Response:
    """Accept or decline one difference."""
    services = services_of(request)
    decision = EnergyDecision(
        given.device,
        given.month,
        int(given.frozen_wh) if given.frozen_wh else None,
        int(given.current_wh) if given.current_wh else None,
        given.answer == "accept",
        given.reason.strip(),
        services.clock(),
        actor.user_id,
    )
    try:
        with services.database.transaction() as session:
            decide_adjustment(session, services.series, actor, decision)
    except (AdjustmentChangedError, ProblemsError) as refused:
        told = str(refused) if isinstance(refused, ProblemsError) else _CHANGED
        with services.database.reading() as session:
            if given.device not in {one.id for one in devices(session, actor)}:
                raise NotFoundError(given.device) from refused
            response = _page(request, session, actor, given.month, (told, "bad"))
        response.status_code = _REFUSED
        return response
    done = "accepted" if decision.is_accepted else "declined"
    return redirect("/energy-adjustments", month=given.month, done=done)
