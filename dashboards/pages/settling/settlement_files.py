"""Statement files that were taken in, and taking one back.

Owns the page. Taking back writes next revisions; nothing disappears (`distribution.settlement.intake.undo`).
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.reconciling import run_match
from dashboards.web import Crumb, NotFoundError, check_form, reading, render, requires, services_of
from distribution.settlement.intake.layouts import SavedLayout, saved_layouts
from distribution.settlement.intake.undo import ImportedFile, UndoResult, imported_files, undo_statement
from distribution.settlement.statements import FIELD_NAMES
from registry.actors import Actor, Permission
from registry.users import user_names

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Importer = Annotated[Actor, Depends(requires(Permission.IMPORT_SETTLEMENT))]
Reading = Annotated[Session, Depends(reading)]


@dataclass(frozen=True, slots=True)
class FilesView:
    """The files, the layouts in force, and what an undo did."""

    files: tuple[ImportedFile, ...]
    layouts: tuple[SavedLayout, ...]
    field_names: dict[str, str]
    users: dict[str, str]
    may_import: bool
    undone: UndoResult | None = None


def _page(request: Request, session: Session, actor: Actor, undone: UndoResult | None = None) -> HTMLResponse:
    view = FilesView(
        imported_files(session, actor),
        saved_layouts(session, actor),
        dict(FIELD_NAMES),
        user_names(session),
        actor.may(Permission.IMPORT_SETTLEMENT),
        undone,
    )
    crumbs = (Crumb("电费结算", "/settlements"),)
    return render(request, "settling/settlement_files.html", "导入记录", crumbs=crumbs, view=view)


@router.get("/settlements/files")
def show_files(request: Request, actor: Reader, session: Reading) -> HTMLResponse:
    """Show the statement files that brought bills for the actor's stations."""
    return _page(request, session, actor)


@router.post("/settlements/files/{sha256}/undo", dependencies=[Depends(check_form)])
def take_back(
    request: Request, actor: Importer, sha256: str, reason: Annotated[str, Form(max_length=200)] = ""
) -> Response:
    """Take a file back as far as nothing was built on it, match its months again, and say what stays."""
    services = services_of(request)
    with services.database.transaction() as session:
        try:
            result = undo_statement(session, actor, sha256, reason, services.clock())
        except LookupError as error:
            raise NotFoundError(str(error)) from error
    for month in result.months:
        run_match(services, actor, month)
    with services.database.reading() as session:
        return _page(request, session, actor, result)
