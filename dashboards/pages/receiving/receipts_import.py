"""Importing bank lines, or a list of receipts by account: check first, then keep exactly what was checked."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, Response

from dashboards.files import ATTACHMENTS, XLSX, attached
from dashboards.forms import REFUSED
from dashboards.web import Crumb, Services, check_form, redirect, render, requires, services_of
from distribution.settlement.bank.lines import import_bank_lines
from distribution.settlement.columns import load_layout
from distribution.settlement.import_events import import_event, refusal_event
from distribution.settlement.imports import ImportResult
from distribution.settlement.receipts import import_receipts
from documents.attachments import read_attachment, store_attachment
from documents.limits import MIB
from documents.refusal import FileRefusedError
from documents.writing import Column, SheetContent, write_xlsx
from registry.actors import Actor, Permission
from store.events import record
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Importer = Annotated[Actor, Depends(requires(Permission.IMPORT_SETTLEMENT))]
Kind = Literal["bank", "receipts"]
WORDS = {"bank": "银行流水", "receipts": "到账明细"}
_IMPORTS = {"bank": import_bank_lines, "receipts": import_receipts}
_LIMIT_BYTES = 10 * MIB


@dataclass(frozen=True, slots=True)
class ImportView:
    """The upload form, and after a check what the file would add."""

    kind: str = "bank"
    problems: tuple[Problem, ...] = ()
    result: ImportResult | None = None
    attachment: str = ""

    @property
    def word(self) -> str:
        """What the file is, in Chinese."""
        return WORDS[self.kind]


def _page(request: Request, view: ImportView) -> HTMLResponse:
    crumbs = (Crumb("到账核对", "/receipts"),)
    return render(request, "receiving/receipts_import.html", "导入到账", crumbs=crumbs, view=view)


@router.get("/receipts/import")
def show_import(request: Request, actor: Importer) -> HTMLResponse:  # noqa: ARG001, the rule is the actor
    """Show the upload form."""
    return _page(request, ImportView())


@router.get("/receipts/template/{kind}")
def hand_out_template(actor: Importer, kind: Kind) -> Response:  # noqa: ARG001, the rule is the actor
    """Hand out an empty sheet with the headings that the import knows."""
    layout = load_layout(kind)
    columns = tuple(Column(names[0], width=18) for names in layout.columns.values())
    sheet = SheetContent(layout.title, WORDS[kind], columns, (), ("金额单位为元；流水号按文本填写。",))
    return attached(write_xlsx([sheet]), XLSX, f"{WORDS[kind]}模板.xlsx")


def _run(
    services: Services, actor: Actor, file: tuple[str, str, str], *, dry_run: bool
) -> ImportResult | tuple[Problem, ...]:
    """Read a kept file, given as (kind, hash, name); returns what it did, or why it cannot be used."""
    kind, kept, name = file
    try:
        content = read_attachment(services.data_dir / ATTACHMENTS, kept)
        source = (content, name, load_layout(kind))
        with services.database.transaction() as session:
            result = _IMPORTS[kind](session, actor, source, services.clock(), dry_run=dry_run)
            if not dry_run:
                record(session, import_event(actor, WORDS[kind], result, services.clock()))
            return result
    except FileRefusedError as error:
        problem = Problem(error.where, error.what, error.how_to_fix)
        with services.database.transaction() as session:
            record(session, refusal_event(actor, WORDS[kind], name, [problem], services.clock()))
        return (problem,)
    except ProblemsError as error:
        return tuple(error.problems)


def _refused(request: Request, kind: str, problems: tuple[Problem, ...]) -> HTMLResponse:
    response = _page(request, ImportView(kind, problems))
    response.status_code = REFUSED
    return response


@router.post("/receipts/import", dependencies=[Depends(check_form)])
def check_file(
    request: Request, actor: Importer, file: UploadFile, kind: Annotated[Kind, Form()] = "bank"
) -> HTMLResponse:
    """Keep the file, read it, and show what it would add; nothing is recorded."""
    services = services_of(request)
    name = (file.filename or "流水").replace("\\", "/").rpartition("/")[2][:120]
    try:
        kept = store_attachment(services.data_dir / ATTACHMENTS, file.file, _LIMIT_BYTES)
    except FileRefusedError as error:
        return _refused(request, kind, (Problem(error.where, error.what, error.how_to_fix),))
    result = _run(services, actor, (kind, kept, name), dry_run=True)
    if isinstance(result, tuple):
        return _refused(request, kind, result)
    return _page(request, ImportView(kind, result.problems, result, kept))


@router.post("/receipts/import/confirm", dependencies=[Depends(check_form)])
def keep_file(
    request: Request,
    actor: Importer,
    attachment: Annotated[str, Form(pattern="^[0-9a-f]{64}$")],
    file_name: Annotated[str, Form(max_length=120)],
    kind: Annotated[Kind, Form()] = "bank",
) -> Response:
    """Record the file that was checked; the same file again changes nothing."""
    result = _run(services_of(request), actor, (kind, attachment, file_name), dry_run=False)
    if isinstance(result, tuple):
        return _refused(request, kind, result)
    return redirect("/receipts", done="import" if kind == "bank" else "list")
