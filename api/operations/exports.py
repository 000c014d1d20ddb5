"""Files out, for operators: statements, notices, reconciliation, journals for outside checkers."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy.orm import Session

from api.operations.energy import period_of
from api.outcome import Outcome
from dashboards.web import Services
from distribution.approval.noticing.notices import notice_list, notice_of
from distribution.approval.runs import live_run
from distribution.exports.beancount import beancount_text
from distribution.exports.hledger import hledger_text
from distribution.exports.money_papers import MONEY_KINDS, MoneyPaper, money_paper
from distribution.exports.papers import FORMS
from distribution.exports.pdf import Letterhead, notice_pdf, statement_pdf
from distribution.exports.settlement_papers import KIND_NAMES, Wanted, paper
from distribution.exports.sheets import settlement_xlsx, statement_csv, statement_xlsx
from distribution.settlement.reads import settlements
from distribution.settlement.reconciliation import discrepancies
from distribution.statement.records import VillageStatement
from distribution.statement.village import village_statement
from documents.files import write_whole
from registry.actors import SYSTEM
from registry.contacts import contact_lines
from registry.divisions import division_name
from registry.stations import stations
from store.periods import PeriodKind, local_date
from store.problem import Problem, ProblemsError


def export(  # noqa: PLR0913, each option may be left out
    services: Services, *, what: str, out: str, village: str = "", month: str = "", account: str = ""
) -> Outcome:
    """Write a file: its kind by `what`, its form by the ending of `out`.

    Raises ProblemsError for a kind and ending that do not go together, or where there is nothing to write.
    """
    path = Path(out)
    ending = path.suffix.lower()
    if what in PAPERS and ending[1:] in FORMS:
        _require(
            ("--month", "--account") if what == "account" else ("--month",),
            {"--month": month, "--account": account},
        )
        return _written(path, _paper(services, (PAPERS[what], ending), month, account))
    if what in MONEY_PAPERS and ending[1:] in FORMS:
        needed = ("--month", "--village") if what == "ledger" else ("--month",)
        _require(needed, {"--month": month, "--village": village})
        return _written(path, _money_paper(services, (what, ending), month, village))
    make = _MAKERS.get((what, ending))
    if make is None:
        known = "、".join(
            [
                *(f"{kind}{one}" for kind, one in _MAKERS),
                *(f"{kind}.xlsx/.csv/.pdf" for kind in (*PAPERS, *MONEY_PAPERS)),
            ]
        )
        raise ProblemsError(
            [Problem(out, f"“{what}”不能写成 {path.suffix or '没有后缀'}", f"可以是：{known}")]
        )
    _require(_NEEDED[what], {"--village": village, "--month": month})
    with services.database.reading() as session:
        content = make(services, session, village, month)
    return _written(path, content)


def _written(path: Path, content: bytes) -> Outcome:
    try:
        write_whole(path, content)
    except OSError as error:
        raise ProblemsError([Problem(str(path), f"写不了：{error.strerror}", "检查目录和权限")]) from error
    digest = hashlib.sha256(content).hexdigest()
    columns = {"file": "文件", "bytes": "字节", "sha256": "SHA-256"}
    row = {"file": str(path), "bytes": len(content), "sha256": digest}
    return Outcome(f"已写出 {path.name}", columns, (row,))


PAPERS = {name: name for name in KIND_NAMES if name != "county"} | {"reconciliation": "county"}
"""The papers of grid settlement by the name that the command line has for them."""
MONEY_PAPERS = tuple(one.name for one in MONEY_KINDS)
"""The books of distributed money by their names."""


def _paper(services: Services, form: tuple[str, str], month: str, account: str) -> bytes:
    """Return a paper, given as (kind, ending), of a month; of one grid account where the kind asks for it."""
    if period_of(month).kind is not PeriodKind.MONTH:
        raise ProblemsError([Problem("--month", f"“{month}” 不是月份", "写成 2026-10")])
    kind, ending = form
    with services.database.reading() as session:
        station_id = ""
        if kind == "account":
            places = {one.account_number: one.id for one in stations(session, SYSTEM)}
            if account not in places:
                raise ProblemsError([Problem("--account", f"没有户号 {account}", "对照台账里的户号")])
            station_id = places[account]
        wanted = Wanted(kind, month, local_date(services.clock()), station_id)
        return FORMS[ending[1:]](paper(session, SYSTEM, wanted), services.watermark)


def _money_paper(services: Services, form: tuple[str, str], month: str, village: str) -> bytes:
    """Return a book, given as (kind, ending), of a month; of one village where the kind asks for it."""
    if period_of(month).kind is not PeriodKind.MONTH:
        raise ProblemsError([Problem("--month", f"“{month}” 不是月份", "写成 2026-10")])
    kind, ending = form
    with services.database.reading() as session:
        made = money_paper(session, SYSTEM, MoneyPaper(kind, month, village))
    return FORMS[ending[1:]](made, services.watermark)


_NEEDED = {
    "statement": ("--village", "--month"),
    "notice": ("--village", "--month"),
    "settlement": ("--month",),
    "journal": (),
}


def _require(needed: tuple[str, ...], given: Mapping[str, str]) -> None:
    missing = [name for name in needed if not given[name]]
    if missing:
        raise ProblemsError([Problem(name, "没有写", "写明是哪个村、哪个月") for name in missing])


def _statement(session: Session, village: str, month: str) -> VillageStatement:
    found = village_statement(session, SYSTEM, village, month)
    if found is None:
        raise ProblemsError(
            [
                Problem(
                    f"{village} {month}",
                    "没有这个村这个月的分配",
                    "检查 --village 和 --month，或先运行 close",
                )
            ]
        )
    return found


def _statement_pdf(services: Services, session: Session, village: str, month: str) -> bytes:
    found = _statement(session, village, month)
    return statement_pdf(found, Letterhead(found.village_name, watermark=services.watermark))


def _statement_xlsx(services: Services, session: Session, village: str, month: str) -> bytes:
    return statement_xlsx(_statement(session, village, month), services.watermark)


def _statement_csv(_services: Services, session: Session, village: str, month: str) -> bytes:
    return statement_csv(_statement(session, village, month))


def _notice_pdf(services: Services, session: Session, village: str, month: str) -> bytes:
    run = live_run(session, village, month)
    if run is None:
        raise ProblemsError([Problem(f"{village} {month}", "还没有测算，没有可公示的内容", "先运行 close")])
    found = notice_of(session, SYSTEM, run.id)
    notice, content = found or (None, notice_list(session, SYSTEM, run.id))
    on = local_date(services.clock()) if notice is None else notice.opens_on
    contacts = contact_lines(session, village, on)
    head = Letterhead(division_name(session, village), contacts, watermark=services.watermark)
    return notice_pdf(content, notice, head)


def _settlement_xlsx(services: Services, session: Session, _village: str, month: str) -> bytes:
    names = {one.id: one.name for one in stations(session, SYSTEM)}
    return settlement_xlsx(
        settlements(session, SYSTEM, month=month),
        names,
        discrepancies(session, SYSTEM, month=month),
        services.watermark,
    )


def _beancount(_services: Services, session: Session, village: str, _month: str) -> bytes:
    return beancount_text(session, SYSTEM, [village] if village else []).encode()


def _hledger(_services: Services, session: Session, village: str, _month: str) -> bytes:
    return hledger_text(session, SYSTEM, [village] if village else []).encode()


_MAKERS: dict[tuple[str, str], Callable[[Services, Session, str, str], bytes]] = {
    ("statement", ".pdf"): _statement_pdf,
    ("statement", ".xlsx"): _statement_xlsx,
    ("statement", ".csv"): _statement_csv,
    ("notice", ".pdf"): _notice_pdf,
    ("settlement", ".xlsx"): _settlement_xlsx,
    ("journal", ".beancount"): _beancount,
    ("journal", ".journal"): _hledger,
}
