"""The public notice: the sheet on the village board, on a screen.

Owns the page that villagers reach by the QR code, and the draft that a cadre prints before posting. Names
are masked by `distribution.approval` before anything is kept; no other personal data is in a notice.
"""

import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.filters import day
from dashboards.terms import Term
from dashboards.web import Crumb, NotFoundError, open_to_all, reading, render, requires, services_of
from distribution.approval.noticing.notices import Notice, NoticeList, notice_list, notice_of
from distribution.approval.runs import run
from distribution.published_lists import PublishedList, published_lists
from documents.qr import qr_svg
from registry.actors import PUBLIC, Actor, Permission
from registry.contacts import contact_lines
from registry.divisions import division_name
from store.periods import local_date

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]
_CODE_LENGTH = 12


@dataclass(frozen=True, slots=True)
class NoticeView:
    """The sheet: the list, where it hangs and how long, and the code that proves it."""

    run_id: str
    content: NoticeList
    notice: Notice | None
    committee: str
    village: str
    terms: tuple[Term, ...]
    window: str
    state_word: str
    qr: str
    code: str
    lists: tuple[PublishedList, ...]
    contacts: tuple[str, ...]


def notice_address(request: Request, notice: Notice) -> str:
    """Return the public address of a notice: it holds a part of the list's hash, which nobody can guess."""
    return f"{request.base_url}notices/{notice.run_id}/{notice.list_hash[:_CODE_LENGTH]}"


@router.get(
    "/notices/{run_id}/{code}", dependencies=[Depends(open_to_all("公示就是给所有人看的，姓名已隐去"))]
)
def show_notice(request: Request, session: Reading, run_id: str, code: str) -> HTMLResponse:
    """Show a posted notice to anybody who holds its printed code."""
    notice, content = posted(session, run_id, code)
    return render(
        request, "deciding/notice.html", "公示", view=_view(request, session, (run_id, content), notice)
    )


def posted(session: Session, run_id: str, code: str) -> tuple[Notice, NoticeList]:
    """Return the notice that has this code; raises NotFoundError when there is none."""
    try:
        found = notice_of(session, PUBLIC, run_id)
    except LookupError as error:
        raise NotFoundError(run_id) from error
    if found is None or not hmac.compare_digest(found[0].list_hash[:_CODE_LENGTH].encode(), code.encode()):
        raise NotFoundError(run_id)
    return found


@router.get("/runs/{run_id}/notice")
def show_draft(request: Request, actor: Reader, session: Reading, run_id: str) -> HTMLResponse:
    """Show the sheet of a run, before it is posted and after."""
    present = run(session, actor, run_id)
    if present is None:
        raise NotFoundError(run_id)
    found = notice_of(session, actor, run_id)
    notice, content = found or (None, notice_list(session, actor, run_id))
    crumbs = (Crumb("本月工作", f"/work?month={present.period}"), Crumb("办理", f"/runs/{run_id}"))
    view = _view(request, session, (run_id, content), notice)
    return render(request, "deciding/notice.html", "公示表", crumbs=crumbs, view=view)


def _view(
    request: Request, session: Session, what: tuple[str, NoticeList], notice: Notice | None
) -> NoticeView:
    run_id, content = what
    town = division_name(session, content.village_code[:9].ljust(12, "0"))
    county = division_name(session, content.village_code[:6].ljust(12, "0"))
    village = division_name(session, content.village_code)
    days = "" if notice is None else f"（{(notice.closes_on - notice.opens_on).days + 1} 日）"
    return NoticeView(
        run_id=run_id,
        content=content,
        notice=notice,
        committee=f"{county}{town}{village}村民委员会",
        village=village,
        terms=_terms(content),
        window="张贴后开始" if notice is None else f"{day(notice.opens_on)}至{day(notice.closes_on)}{days}",
        state_word="未张贴" if notice is None else "公示已结束" if notice.closed_at else "公示中",
        qr="" if notice is None else qr_svg(notice_address(request, notice)),
        code="" if notice is None else notice.list_hash[:_CODE_LENGTH],
        contacts=contact_lines(
            session,
            content.village_code,
            local_date(services_of(request).clock()) if notice is None else notice.opens_on,
        ),
        lists=() if notice is None else published_lists(session, notice),
    )


def _terms(content: NoticeList) -> tuple[Term, ...]:
    terms = [
        Term("+" if number else "", f"{label}到账", amount, "")
        for number, (label, amount) in enumerate(content.income)
    ]
    if content.carried_in_fen:
        terms.append(Term("+" if terms else "", "上期结转", content.carried_in_fen, ""))
    terms += [Term("−", label, amount, "") for label, amount in content.deductions if amount]
    terms.append(Term("=", "可分配", content.distributable_fen, "", is_result=True))
    return tuple(terms)
