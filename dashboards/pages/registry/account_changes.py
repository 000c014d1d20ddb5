"""Changing where a household's money goes: asked by one person, checked by another, held back for some days.

Owns the list and the forms. The rule of two people and the waiting time are `registry.account_changes`'.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.filters import day
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
from registry.account_changes import (
    AccountChange,
    WantedAccount,
    account_changes,
    ask_for_change,
    confirm_change,
    reject_change,
)
from registry.actors import Actor, Permission
from registry.divisions import division_names
from registry.roll.cards import HouseholdCard, household_card
from registry.secrets import open_key_ring
from registry.users import user_names
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_HOUSEHOLDS))]
Editor = Annotated[Actor, Depends(requires(Permission.EDIT_REGISTRY))]
Reading = Annotated[Session, Depends(reading)]
_ACCOUNT = re.compile(r"^\d{8,32}$")
_REFUSED = 409


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One change with the words for its state, and whether this person may confirm it."""

    change: AccountChange
    village: str
    requested_by: str
    decided_by: str
    state: str
    tone: str
    shape: str
    may_decide: bool
    is_own: bool


@dataclass(frozen=True, slots=True)
class ChangesView:
    """Every change of the actor's area, the open ones first."""

    rows: tuple[ChangeLine, ...]
    message: str
    tone: str = "bad"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the form of a new change holds."""

    household: Annotated[str, Form(max_length=64)] = ""
    holder: Annotated[str, Form(max_length=50)] = ""
    bank: Annotated[str, Form(max_length=60)] = ""
    account: Annotated[str, Form(max_length=40)] = ""
    reason: Annotated[str, Form(max_length=200)] = ""


@dataclass(frozen=True, slots=True)
class NewChangeView:
    """The household of a new change, what was typed, and what went wrong."""

    card: HouseholdCard
    draft: Wanted
    message: str
    tone: str = "bad"


def _lines(session: Session, actor: Actor) -> tuple[ChangeLine, ...]:
    villages, people = division_names(session), user_names(session)
    words = {
        "": ("待复核", "warning", "▲"),
        "confirmed": ("已复核", "normal", "●"),
        "rejected": ("已退回", "offline", "◌"),
    }
    found = [
        ChangeLine(
            one,
            villages.get(one.village_code, one.village_code),
            people.get(one.requested_by, "系统"),
            people.get(one.decided_by, "系统") if one.decided_by else "",
            *words[one.decision],
            actor.may(Permission.EDIT_REGISTRY) and not one.decision,
            one.requested_by == actor.user_id,
        )
        for one in account_changes(session, actor)
    ]
    return tuple(
        sorted(found, key=lambda line: (bool(line.change.decision), -line.change.requested_at.timestamp()))
    )


def _list_page(request: Request, session: Session, actor: Actor, said: tuple[str, str]) -> HTMLResponse:
    view = ChangesView(_lines(session, actor), *said)
    return render(request, "registry/account_changes.html", "收款账户变更", view=view)


@router.get("/account-changes")
def show_changes(request: Request, actor: Reader, session: Reading, done: str = "") -> HTMLResponse:
    """Show the changes of the actor's area."""
    words = {
        "requested": "已提交，请另一位经办人复核。",
        "confirmed": "已复核，到生效日起发到新账户。",
        "rejected": "已退回，收款账户不变。",
    }
    return _list_page(request, session, actor, (words.get(done, ""), "good"))


def _form_page(request: Request, session: Session, actor: Actor, draft: Wanted, message: str) -> HTMLResponse:
    ring = open_key_ring(services_of(request).data_dir)
    card = household_card(session, actor, ring, draft.household)
    if card is None:
        raise NotFoundError(draft.household)
    crumbs = (Crumb("收款账户变更", "/account-changes"), Crumb("户卡", f"/households/{draft.household}/card"))
    view = NewChangeView(card, draft, message)
    return render(request, "registry/account_change_new.html", "申请变更收款账户", crumbs=crumbs, view=view)


@router.get("/account-changes/new")
def show_form(request: Request, actor: Editor, session: Reading, household: str = "") -> HTMLResponse:
    """Show the form for a household of the actor's area."""
    return _form_page(request, session, actor, Wanted(household), "")


@router.post("/account-changes/new", dependencies=[Depends(check_form)])
def request_new_change(request: Request, actor: Editor, wanted: Annotated[Wanted, Depends()]) -> Response:
    """Ask for the change, or show the form again with what is wrong."""
    services = services_of(request)
    try:
        account = _account(wanted)
        with services.database.transaction() as session:
            ring = open_key_ring(services.data_dir)
            ask_for_change(session, actor, ring, account, (wanted.reason.strip(), services.clock()))
    except LookupError as error:
        raise NotFoundError(wanted.household) from error
    except ProblemsError as error:
        with services.database.reading() as session:
            page = _form_page(request, session, actor, wanted, str(error))
        page.status_code = _REFUSED
        return page
    return redirect("/account-changes", done="requested")


def _account(wanted: Wanted) -> WantedAccount:
    number = re.sub(r"[\s-]", "", wanted.account)
    holder, bank = wanted.holder.strip(), wanted.bank.strip()
    if not _ACCOUNT.match(number) or not holder or not bank:
        how = "账号为 8 到 32 位数字，三项都要填"
        raise ProblemsError([Problem("账户", "户名、开户行或账号不对", how)])
    return WantedAccount(wanted.household, holder, bank, number)


@router.post("/account-changes/{change_id}", dependencies=[Depends(check_form)])
def decide_change(
    request: Request, actor: Editor, change_id: str, decision: Annotated[str, Form(max_length=10)] = ""
) -> Response:
    """Confirm another person's change, or reject one; one's own is never confirmed."""
    services = services_of(request)
    try:
        with services.database.transaction() as session:
            if decision == "confirm":
                confirm_change(session, actor, change_id, services.clock())
            else:
                reject_change(session, actor, change_id, services.clock())
    except LookupError as error:
        raise NotFoundError(change_id) from error
    except ProblemsError as error:
        with services.database.reading() as session:
            page = _list_page(request, session, actor, (str(error), "bad"))
        page.status_code = _REFUSED
        return page
    return redirect("/account-changes", done="confirmed" if decision == "confirm" else "rejected")


def changes_in_words(
    session: Session, actor: Actor, village_code: str, since: datetime | None
) -> tuple[str, ...]:
    """Return the account changes of a village that an approval must show, each in a sentence.

    `since` is the instant from which decided changes count; open ones always do.
    """
    if not actor.may(Permission.VIEW_HOUSEHOLDS):
        return ()
    found = account_changes(session, actor, village_code, since=since)
    return tuple(
        f"{one.number} {one.name}：{one.former_masked or '未登记'} 改为 {one.bank} {one.wanted_masked}，"
        + (f"{day(one.effective_on)}起生效" if one.effective_on else "待复核，仍发原账户")
        for one in found
        if one.decision != "rejected"
    )
