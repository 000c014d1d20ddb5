"""Importing a grid statement: check first, look at what it would change, then commit.

Owns the steps of the upload: which company's layout, a check, the marked copy, the commit; and, for a file
whose headings nobody has mapped yet, the mapping of its columns, which is saved for the company. The file
is kept by its hash between the steps, so that what was checked is what is committed. Reading and judging a
statement is `distribution.settlement`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from dashboards.files import ATTACHMENTS, XLSX, attached
from dashboards.month_work import chosen_month
from dashboards.reconciling import run_match
from dashboards.web import Crumb, check_form, redirect, render, requires, services_of
from distribution.settlement.checks import CHECKS, CheckRule
from distribution.settlement.import_events import import_event, nothing_usable_event, refusal_event
from distribution.settlement.imports import ImportResult, import_statement
from distribution.settlement.intake.layouts import (
    ENERGY_UNITS,
    STANDARD,
    HeadingChoice,
    heading_choice,
    layout_named,
    save_layout,
    saved_layouts,
)
from distribution.settlement.intake.marked import marked_statement
from distribution.settlement.statements import FIELD_NAMES, REQUIRED, StatementFile, read_statement
from documents.attachments import read_attachment, store_attachment
from documents.limits import MIB
from documents.refusal import FileRefusedError
from registry.actors import Actor, Permission
from registry.stations import stations
from store.events import record
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Importer = Annotated[Actor, Depends(requires(Permission.IMPORT_SETTLEMENT))]
_WHAT = "电费结算单"
_PREVIEW_ROWS = 20
_LIMIT_BYTES = 10 * MIB
_HASH = "^[0-9a-f]{64}$"


@dataclass(frozen=True, slots=True)
class Kept:
    """The file between two steps: its hash, its name, and the layout that it is read with."""

    attachment: Annotated[str, Form(pattern=_HASH)]
    file_name: Annotated[str, Form(max_length=120)]
    layout: Annotated[str, Form(max_length=60)] = STANDARD


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
class MappingView:
    """The mapping of a file's columns: each field with the heading that is proposed for it."""

    headings: tuple[str, ...]
    fields: tuple[tuple[str, str, bool, str], ...]
    units: tuple[str, ...] = ENERGY_UNITS


@dataclass(frozen=True, slots=True)
class ImportView:
    """The upload form, and after a check what the file would change."""

    month: str
    layouts: tuple[str, ...] = ()
    layout: str = STANDARD
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    result: ImportResult | None = None
    preview: tuple[PreviewRow, ...] = ()
    row_count: int = 0
    left_out: tuple[PreviewRow, ...] = ()
    attachment: str = ""
    file_name: str = ""
    mapping: MappingView | None = None
    checks: tuple[CheckRule, ...] = field(default_factory=lambda: tuple(CHECKS.values()))

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


def _layouts(request: Request, actor: Actor) -> tuple[str, ...]:
    with services_of(request).database.reading() as session:
        return tuple(one.company for one in saved_layouts(session, actor))


@router.get("/settlements/import")
def show_import(request: Request, actor: Importer, month: str = "") -> HTMLResponse:
    """Show the upload form."""
    chosen = chosen_month(month, services_of(request).clock())
    return _page(request, ImportView(chosen, _layouts(request, actor)))


@router.post("/settlements/import", dependencies=[Depends(check_form)])
def check_file(
    request: Request,
    actor: Importer,
    file: UploadFile,
    layout: Annotated[str, Form(max_length=60)] = STANDARD,
) -> HTMLResponse:
    """Keep the file, read it, and show what it would change; nothing is imported."""
    name = (file.filename or "结算单").replace("\\", "/").rpartition("/")[2][:120]
    try:
        kept = store_attachment(services_of(request).data_dir / ATTACHMENTS, file.file, _LIMIT_BYTES)
    except FileRefusedError as error:
        return _refused(request, actor, name, error)
    return _checked(request, actor, Kept(kept, name, layout))


def _checked(request: Request, actor: Actor, kept: Kept) -> HTMLResponse:
    services = services_of(request)
    try:
        statement = _read(request, actor, kept)
    except FileRefusedError as error:
        return _refused(request, actor, kept.file_name, error, kept)
    with services.database.reading() as session:
        result = import_statement(session, actor, statement, services.clock(), dry_run=True)
        entering = _rows(session, actor, statement, result.entering)
        left_out = _rows(session, actor, statement, result.left_out)
    if result.problems and not (result.entering or result.unchanged):
        with services.database.transaction() as session:
            record(session, nothing_usable_event(actor, _WHAT, result, services.clock()))
    view = ImportView(
        chosen_month("", services.clock()),
        _layouts(request, actor),
        kept.layout,
        result.problems,
        result.warnings,
        result,
        entering[:_PREVIEW_ROWS],
        len(entering),
        left_out[:_PREVIEW_ROWS],
        kept.attachment,
        kept.file_name,
    )
    return _page(request, view)


def _read(request: Request, actor: Actor, kept: Kept) -> StatementFile:
    services = services_of(request)
    with services.database.reading() as session:
        layout = layout_named(session, actor, kept.layout.removesuffix(".toml"))
    content = read_attachment(services.data_dir / ATTACHMENTS, kept.attachment)
    return read_statement(content, kept.file_name, layout)


def _refused(
    request: Request, actor: Actor, name: str, error: FileRefusedError, kept: Kept | None = None
) -> HTMLResponse:
    """Show why a file was refused, and leave an event of it; a table with other headings can be mapped."""
    services = services_of(request)
    problem = Problem(error.where, error.what, error.how_to_fix)
    with services.database.transaction() as session:
        record(session, refusal_event(actor, _WHAT, name, [problem], services.clock()))
    month = chosen_month("", services.clock())
    if kept is None:
        return _page(request, ImportView(month, _layouts(request, actor), problems=(problem,)))
    return _page(request, _mapping_view(request, actor, kept, (problem,)))


def _mapping_view(request: Request, actor: Actor, kept: Kept, problems: tuple[Problem, ...]) -> ImportView:
    """Return the page on which the columns of a file are mapped, where it has any."""
    services = services_of(request)
    content = read_attachment(services.data_dir / ATTACHMENTS, kept.attachment)
    try:
        choice = heading_choice(content, kept.file_name)
    except FileRefusedError:
        choice = HeadingChoice((), {})
    fields = tuple(
        (name, label, name in REQUIRED, choice.proposed.get(name, "")) for name, label in FIELD_NAMES.items()
    )
    return ImportView(
        chosen_month("", services.clock()),
        _layouts(request, actor),
        kept.layout,
        problems,
        attachment=kept.attachment,
        file_name=kept.file_name,
        mapping=MappingView(choice.headings, fields) if len(choice.headings) >= len(REQUIRED) else None,
    )


@router.post("/settlements/import/columns", dependencies=[Depends(check_form)])
def map_columns(request: Request, actor: Importer, kept: Annotated[Kept, Depends()]) -> HTMLResponse:
    """Show the mapping of a file's columns."""
    return _page(request, _mapping_view(request, actor, kept, ()))


@router.post("/settlements/import/layout", dependencies=[Depends(check_form)])
async def keep_layout(
    request: Request,
    actor: Importer,
    kept: Annotated[Kept, Depends()],
    company: Annotated[str, Form(max_length=60)] = "",
    energy_unit: Annotated[str, Form(max_length=10)] = ENERGY_UNITS[0],
) -> HTMLResponse:
    """Save the mapping for the company, and check the file with it."""
    form = await request.form()
    chosen = {name: str(form.get(f"column_{name}", "")) for name in FIELD_NAMES}
    return _kept_layout(request, actor, kept, (company, energy_unit, chosen))


def _kept_layout(
    request: Request, actor: Actor, kept: Kept, said: tuple[str, str, Mapping[str, str]]
) -> HTMLResponse:
    services = services_of(request)
    company, unit, chosen = said
    try:
        with services.database.transaction() as session:
            saved = save_layout(session, actor, company, (unit, chosen), services.clock())
    except ProblemsError as error:
        return _page(request, _mapping_view(request, actor, kept, tuple(error.problems)))
    return _checked(request, actor, Kept(kept.attachment, kept.file_name, saved.company))


@router.post("/settlements/import/marked", dependencies=[Depends(check_form)])
def marked_file(request: Request, actor: Importer, kept: Annotated[Kept, Depends()]) -> Response:
    """Hand out the sender's own table with the wrong cells coloured and explained."""
    services = services_of(request)
    try:
        statement = _read(request, actor, kept)
        with services.database.reading() as session:
            result = import_statement(session, actor, statement, services.clock(), dry_run=True)
        source = read_attachment(services.data_dir / ATTACHMENTS, kept.attachment)
        content = marked_statement(source, kept.file_name, result)
    except FileRefusedError as error:
        raise ProblemsError([Problem(error.where, error.what, error.how_to_fix)]) from error
    return attached(content, XLSX, f"{kept.file_name.rpartition('.')[0] or kept.file_name}_核对.xlsx")


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
def commit_file(request: Request, actor: Importer, kept: Annotated[Kept, Depends()]) -> Response:
    """Import the file that was checked and match its months; the same file again changes nothing."""
    services = services_of(request)
    try:
        statement = _read(request, actor, kept)
    except FileRefusedError as error:
        return _refused(request, actor, kept.file_name, error)
    with services.database.transaction() as session:
        result = import_statement(session, actor, statement, services.clock())
        record(session, import_event(actor, _WHAT, result, services.clock()))
    months = sorted({row.month for row in statement.rows})
    for month in sorted({month for _, month in result.entering}):
        run_match(services, actor, month)
    return redirect("/settlements", month=months[-1] if months else "", done="1")
