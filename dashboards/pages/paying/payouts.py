"""Paying out: what is ready for the bank, what was sent, and the bank's answers.

Owns the page of finance. Whole account numbers are in the bank's file only and never on a page; every
export is audited by `registry.households` with its reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response, UploadFile
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.files import attached
from dashboards.month_work import chosen_month, month_choices
from dashboards.web import NotFoundError, check_form, reading, redirect, render, requires, services_of
from distribution.disbursing import ready_payouts, send_batch, take_return
from distribution.payout.batches import export_again, unpayable
from distribution.payout.payouts import AttemptSum, Batch, BatchOrder, attempt_sums, batches
from documents.refusal import FileRefusedError
from registry.actors import Actor, Permission
from registry.secrets import open_key_ring
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Exporter = Annotated[Actor, Depends(requires(Permission.EXPORT_BATCH))]
Importer = Annotated[Actor, Depends(requires(Permission.IMPORT_RETURN))]
Reading = Annotated[Session, Depends(reading)]
_ANSWERED = {"succeeded", "failed", "returned"}
_LIMIT_BYTES = 10 << 20


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch with what the bank answered: counts, and the amount that arrived [fen]."""

    batch: Batch
    succeeded: int
    failed: int
    waiting: int
    paid_fen: int


@dataclass(frozen=True, slots=True)
class PayoutsView:
    """What is ready [fen], and every batch with its answers."""

    month: str
    months: tuple[str, ...]
    ready_count: int
    ready_fen: int
    rows: tuple[BatchRow, ...]
    may_export: bool
    may_import: bool
    problems: Sequence[Problem] = ()
    message: str = ""


@router.get("/payouts")
def show_payouts(
    request: Request, actor: Reader, session: Reading, month: str = "", done: str = ""
) -> HTMLResponse:
    """Show what is ready of a month, and the batches."""
    message = {"batch": "代发文件已生成，请下载后交银行。", "return": "回盘结果已记账。"}.get(done, "")
    return _page(request, session, actor, chosen_month(month, services_of(request).clock()), message=message)


def _page(  # noqa: PLR0913, a page from a request, with what became of the last step
    request: Request,
    session: Session,
    actor: Actor,
    month: str,
    *,
    problems: Sequence[Problem] = (),
    message: str = "",
) -> HTMLResponse:
    ready = ready_payouts(session, actor, period=month)
    sums = attempt_sums(session, actor)
    view = PayoutsView(
        month=month,
        months=month_choices(services_of(request).clock()),
        ready_count=len(ready),
        ready_fen=sum(one.amount_fen for one in ready),
        rows=tuple(_row(one, sums) for one in batches(session, actor)[:24]),
        may_export=actor.may(Permission.EXPORT_BATCH),
        may_import=actor.may(Permission.IMPORT_RETURN),
        problems=problems,
        message=message,
    )
    return render(request, "paying/payouts.html", "发放", view=view)


def _row(batch: Batch, sums: Sequence[AttemptSum]) -> BatchRow:
    tried = [one for one in sums if one.batch_id == batch.id]
    paid = [one for one in tried if one.state == "succeeded"]
    return BatchRow(
        batch,
        sum(one.count for one in paid),
        sum(one.count for one in tried if one.state in {"failed", "returned"}),
        sum(one.count for one in tried if one.state not in _ANSWERED),
        sum(one.amount_fen for one in paid),
    )


@router.post("/payouts", dependencies=[Depends(check_form)])
def export_batch(request: Request, actor: Exporter, month: Annotated[str, Form()]) -> Response:
    """Put what is ready of a month and can be paid into one bank file; the rest is named and waits."""
    services = services_of(request)
    chosen = chosen_month(month, services.clock())
    try:
        ring = open_key_ring(services.data_dir, create=False)
        with services.database.transaction() as session:
            ready = ready_payouts(session, actor, period=chosen)
            waiting = unpayable(session, actor, ring, ready, services.clock())
            order = BatchOrder(tuple(one.id for one in ready if one.id not in waiting))
            if order.payout_ids:
                send_batch(session, actor, ring, order, services.clock())
    except ProblemsError as error:
        with services.database.reading() as session:
            return _page(request, session, actor, chosen, problems=error.problems)
    if waiting:
        with services.database.reading() as session:
            return _page(request, session, actor, chosen, problems=tuple(waiting.values()))
    return redirect("/payouts", month=chosen, done="batch" if ready else "")


@router.get("/payouts/{batch_id}/file")
def batch_file(request: Request, actor: Exporter, batch_id: str) -> Response:
    """Hand out a batch's file for the bank, byte for byte as it was first."""
    services = services_of(request)
    ring = open_key_ring(services.data_dir, create=False)
    with services.database.transaction() as session:
        batch = next((one for one in batches(session, actor) if one.id == batch_id), None)
        if batch is None:
            raise NotFoundError(batch_id)
        file = export_again(session, actor, ring, batch_id, services.clock())
    return attached(file.content, "application/octet-stream", batch.file_name)


@router.post("/payouts/{batch_id}/return", dependencies=[Depends(check_form)])
def import_return_file(request: Request, actor: Importer, batch_id: str, file: UploadFile) -> Response:
    """Book what the bank answered; the same file again changes nothing."""
    services = services_of(request)
    problems: Sequence[Problem] = ()
    try:
        content = file.file.read(_LIMIT_BYTES + 1)
        with services.database.transaction() as session:
            if all(one.id != batch_id for one in batches(session, actor)):
                raise NotFoundError(batch_id)
            result = take_return(
                session, actor, (content, file.filename or "回盘文件"), batch_id, services.clock()
            )
            problems = result.problems
    except ProblemsError as error:
        problems = error.problems
    except FileRefusedError as error:
        problems = (Problem(error.where, error.what, error.how_to_fix),)
    if problems:
        with services.database.reading() as session:
            return _page(request, session, actor, chosen_month("", services.clock()), problems=problems)
    return redirect("/payouts", done="return")
