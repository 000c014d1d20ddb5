"""Importing a grid statement: check first, look at what it would change, then commit.

Owns the two steps of the upload. The file is kept by its hash between them, so that what was checked is
what is committed. Reading and judging a statement is `distribution.settlement`'s.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.files import ATTACHMENTS
from dashboards.month_work import chosen_month
from dashboards.web import Crumb, check_form, redirect, render, requires, services_of
from distribution.settlement.columns import load_layout
from distribution.settlement.import_events import import_event, nothing_usable_event, refusal_event
from distribution.settlement.imports import ImportResult, import_statement
from distribution.settlement.statements import StatementFile, read_statement
from documents.attachments import read_attachment, store_attachment
from documents.limits import MIB
from documents.refusal import FileRefusedError
from registry.actors import Actor, Permission
from registry.stations import stations
from store.events import record
from store.problem import Problem

router = APIRouter(include_in_schema=False)
Importer = Annotated[Actor, Depends(requires(Permission.IMPORT_SETTLEMENT))]
_LAYOUT = "standard"
_WHAT = "电费结算单"
_PREVIEW_ROWS = 20
_LIMIT_BYTES = 10 * MIB


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One row of the file as it was understood; energy [Wh], amounts [fen]."""

    station_name: str
    account_number: str
    month: str
    exported_energy_wh: int
    electricity_fen: int
    subsidy_fen: int


@dataclass(frozen=True, slots=True)
class ImportView:
    """The upload form, and after a check what the file would change."""

    month: str
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    result: ImportResult | None = None
    preview: tuple[PreviewRow, ...] = ()
    row_count: int = 0
    left_out: tuple[PreviewRow, ...] = ()
    attachment: str = ""

    @property
    def changes(self) -> int:
        """How many settlements the file would add or revise."""
        return 0 if self.result is None else len(self.result.added) + len(self.result.revised)


def _page(request: Request, view: ImportView) -> HTMLResponse:
    return render(
        request,
        "settling/settlement_import.html",
        "导入电费结算单",
        crumbs=(Crumb("电费结算", "/settlements"),),
        view=view,
    )


@router.get("/settlements/import")
def show_import(request: Request, actor: Importer, month: str = "") -> HTMLResponse:  # noqa: ARG001, the rule is the actor
    """Show the upload form."""
    return _page(request, ImportView(chosen_month(month, services_of(request).clock())))


@router.post("/settlements/import", dependencies=[Depends(check_form)])
def check_file(request: Request, actor: Importer, file: UploadFile) -> HTMLResponse:
    """Keep the file, read it, and show what it would change; nothing is imported."""
    services = services_of(request)
    month = chosen_month("", services.clock())
    name = (file.filename or "结算单").replace("\\", "/").rpartition("/")[2][:120]
    try:
        kept = store_attachment(services.data_dir / ATTACHMENTS, file.file, _LIMIT_BYTES)
        statement = read_statement(
            read_attachment(services.data_dir / ATTACHMENTS, kept), name, load_layout(_LAYOUT)
        )
    except FileRefusedError as error:
        return _refused(request, actor, name, error)
    with services.database.reading() as session:
        result = import_statement(session, actor, statement, services.clock(), dry_run=True)
        entering = _rows(session, actor, statement, result.entering)
        left_out = _rows(session, actor, statement, result.left_out)
    if result.problems and not (result.entering or result.unchanged):
        with services.database.transaction() as session:
            record(session, nothing_usable_event(actor, _WHAT, result, services.clock()))
    view = ImportView(
        month,
        result.problems,
        result.warnings,
        result,
        entering[:_PREVIEW_ROWS],
        len(entering),
        left_out[:_PREVIEW_ROWS],
        kept,
    )
    return _page(request, view)


def _refused(request: Request, actor: Actor, name: str, error: FileRefusedError) -> HTMLResponse:
    """Show why a file was refused, and leave an event of it."""
    services = services_of(request)
    problem = Problem(error.where, error.what, error.how_to_fix)
    with services.database.transaction() as session:
        record(session, refusal_event(actor, _WHAT, name, [problem], services.clock()))
    return _page(request, ImportView(chosen_month("", services.clock()), (problem,)))


def _rows(
    session: Session, actor: Actor, statement: StatementFile, wanted: frozenset[tuple[str, str]]
) -> tuple[PreviewRow, ...]:
    """Return the readable rows of the wanted accounts and months."""
    names = {one.account_number: one.name for one in stations(session, actor)}
    return tuple(
        PreviewRow(
            names.get(row.line.account_number, "—"),
            row.line.account_number,
            row.month,
            row.line.exported_energy_wh,
            row.line.electricity_fen,
            row.line.subsidy_fen + row.line.local_subsidy_fen,
        )
        for row in statement.rows
        if (row.line.account_number, row.month) in wanted
    )


@router.post("/settlements/import/confirm", dependencies=[Depends(check_form)])
def commit_file(
    request: Request,
    actor: Importer,
    attachment: Annotated[str, Form(pattern="^[0-9a-f]{64}$")],
    file_name: Annotated[str, Form(max_length=120)],
) -> Response:
    """Import the file that was checked; the same file again changes nothing."""
    services = services_of(request)
    try:
        content = read_attachment(services.data_dir / ATTACHMENTS, attachment)
        statement = read_statement(content, file_name, load_layout(_LAYOUT))
    except FileRefusedError as error:
        return _refused(request, actor, file_name, error)
    with services.database.transaction() as session:
        result = import_statement(session, actor, statement, services.clock())
        record(session, import_event(actor, _WHAT, result, services.clock()))
    months = sorted({row.month for row in statement.rows})
    return redirect("/settlements", month=months[-1] if months else "", done="1")
