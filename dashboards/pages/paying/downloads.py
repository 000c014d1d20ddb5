"""Files to take away: statement and notice as PDF, statement and reconciliation as Excel.

Owns names and answers of downloads; what stands in the files is `distribution.exports`'.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.orm import Session

from dashboards.files import PDF, XLSX, attached
from dashboards.month_work import month_choices
from dashboards.pages.deciding.notice import notice_address, posted
from dashboards.web import NotFoundError, open_to_all, reading, requires, services_of
from distribution.approval.noticing.notices import notice_list, notice_of
from distribution.approval.runs import run
from distribution.exports.pdf import Letterhead, notice_pdf, statement_pdf
from distribution.exports.sheets import settlement_xlsx, statement_xlsx
from distribution.published_lists import published_lists
from distribution.settlement.columns import load_layout
from distribution.settlement.reads import settlements
from distribution.settlement.reconciliation import discrepancies
from distribution.statement.records import VillageStatement
from distribution.statement.village import village_statement
from documents.writing import Column, SheetContent, write_xlsx
from registry.actors import Actor, Permission
from registry.contacts import contact_lines
from registry.divisions import division_name
from registry.stations import stations
from store.periods import Period, local_date

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]


def _statement(
    request: Request, session: Session, actor: Actor, village_code: str, month: str
) -> VillageStatement:
    known = month in month_choices(services_of(request).clock())
    found = village_statement(session, actor, village_code, month) if known else None
    if found is None:
        raise NotFoundError(village_code)
    return found


def _name(found: VillageStatement, suffix: str) -> str:
    return f"{found.village_name}_{found.period_label}_收益分配表_V{found.run.version}.{suffix}"


@router.get("/villages/{village_code}/statements/{month}/pdf")
def statement_as_pdf(
    request: Request, actor: Reader, session: Reading, village_code: str, month: str
) -> Response:
    """Hand out a village's statement on A4."""
    found = _statement(request, session, actor, village_code, month)
    head = Letterhead(found.village_name, watermark=services_of(request).watermark)
    return attached(statement_pdf(found, head), PDF, _name(found, "pdf"))


@router.get("/villages/{village_code}/statements/{month}/xlsx")
def statement_as_xlsx(
    request: Request, actor: Reader, session: Reading, village_code: str, month: str
) -> Response:
    """Hand out a village's statement as a workbook."""
    found = _statement(request, session, actor, village_code, month)
    return attached(statement_xlsx(found, services_of(request).watermark), XLSX, _name(found, "xlsx"))


@router.get("/runs/{run_id}/notice/pdf")
def notice_as_pdf(request: Request, actor: Reader, session: Reading, run_id: str) -> Response:
    """Hand out the sheet for the board: the posted list, or a draft before it is posted."""
    present = run(session, actor, run_id)
    if present is None:
        raise NotFoundError(run_id)
    found = notice_of(session, actor, run_id)
    notice, content = found or (None, notice_list(session, actor, run_id))
    village = division_name(session, present.book)
    today = local_date(services_of(request).clock())
    head = Letterhead(
        village,
        contact_lines(session, present.book, today if notice is None else notice.opens_on),
        link="" if notice is None else notice_address(request, notice),
        watermark=services_of(request).watermark,
    )
    label = Period.parse(present.period).label
    return attached(
        notice_pdf(content, notice, head), PDF, f"{village}_{label}_公示表_V{present.version}.pdf"
    )


@router.get("/settlements/template")
def settlement_template(
    actor: Annotated[Actor, Depends(requires(Permission.IMPORT_SETTLEMENT))],  # noqa: ARG001, the rule is the actor
) -> Response:
    """Hand out an empty statement with the headings that the import knows."""
    layout = load_layout("standard")
    columns = tuple(Column(names[0], width=16) for names in layout.columns.values())
    sheet = SheetContent(
        layout.title, "电费结算单", columns, (), ("每行一个户号、电表和时段；金额单位为元。",)
    )
    return attached(write_xlsx([sheet]), XLSX, "电费结算单模板.xlsx")


@router.get("/settlements/{month}/xlsx")
def settlements_as_xlsx(request: Request, actor: Reader, session: Reading, month: str) -> Response:
    """Hand out a month's reconciliation of the actor's stations."""
    services = services_of(request)
    if month not in month_choices(services.clock()):
        raise NotFoundError(month)
    names = {one.id: one.name for one in stations(session, actor)}
    content = settlement_xlsx(
        settlements(session, actor, month=month),
        names,
        discrepancies(session, actor, month=month),
        services.watermark,
    )
    return attached(content, XLSX, f"{Period.parse(month).label}_对账单.xlsx")


@router.get(
    "/notices/{run_id}/{code}/lists/{purse}",
    dependencies=[Depends(open_to_all("核算表里没有姓名、类别和编号，供任何人验算"))],
)
def notice_list_file(session: Reading, run_id: str, code: str, purse: str) -> Response:
    """Hand out the list with which anybody can recompute a purse of a posted notice."""
    notice, content = posted(session, run_id, code)
    for one in published_lists(session, notice):
        if one.purse == purse:
            name = f"{content.number}_{one.label}_核算表.csv"
            return attached(one.text.encode("utf-8-sig"), "text/csv", name)
    raise NotFoundError(purse)
