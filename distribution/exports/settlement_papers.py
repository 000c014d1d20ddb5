"""The papers of grid settlement in their forms: Excel, CSV, PDF for signature, with totals and fingerprint.

Owns which records a paper is made of, and that every form carries the same control totals and the SHA-256 of
its CSV. File names are Chinese.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from sqlalchemy.orm import Session

from distribution.exports.pdf import FONTS
from distribution.exports.settlement_entries import village_entries
from distribution.exports.settlement_sheets import (
    PaperContent,
    account_paper,
    ageing_paper,
    bank_paper,
    county_paper,
    differences_paper,
    national_paper,
    subsidy_paper,
    transit_paper,
)
from distribution.settlement.bank.reads import bank_lines
from distribution.settlement.reads import settlements
from distribution.settlement.receivables.owed import owed_items
from distribution.settlement.receivables.transit import held_money
from distribution.settlement.reconciliation import discrepancies
from distribution.types import Component
from documents.pdf import render_pdf
from documents.writing import ColumnKind, SheetContent, cell_text, write_csv, write_xlsx
from registry.actors import Actor, Permission
from registry.divisions import division_name, division_names
from registry.stations import station, stations
from store.periods import Period

_TEMPLATE = Path(__file__).parent / "settlement.typ"


@dataclass(frozen=True, slots=True)
class PaperKind:
    """A kind of paper: its name in addresses and commands, its Chinese name, and what it is for."""

    name: str
    title: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which paper: its kind, the month, the day it is made, and the station of an account's 对账单."""

    kind: str
    month: str
    on: date
    station_id: str = ""


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper as it is shown and written; `fingerprint` is the SHA-256 of its figures as CSV."""

    content: PaperContent
    file_stem: str
    fingerprint: str

    @property
    def control_text(self) -> str:
        """The control totals in one line."""
        return "控制合计：" + "；".join(one.text for one in self.content.controls)

    @property
    def sheet(self) -> SheetContent:
        """The sheet as it is shown."""
        return self.content.sheet


KINDS = (
    PaperKind("county", "对账单（全县）", "逐站应收、已到账、待补贴，与供电公司核对盖章"),
    PaperKind("account", "对账单（按户号）", "一个户号的结算行和到账，供签字"),
    PaperKind("subsidy", "补贴申请清单", "截至本月未到的补贴，按目录状态"),
    PaperKind("ageing", "应收账龄表", "未到款项按账龄"),
    PaperKind("differences", "差异清单", "对账差异、原因和处理"),
    PaperKind("bank", "银行流水核对表", "本月到账的每笔流水和处理结果"),
    PaperKind("transit", "收入转付表", "到账、拨出、在途、到村和时限"),
    PaperKind("national", "全国系统填报表", "逐村填报用的电量、到账、费用和拨付"),
)
KIND_NAMES = tuple(one.name for one in KINDS)


def paper(session: Session, actor: Actor, wanted: Wanted) -> Paper:
    """Gather a paper of the actor's area.

    Raises LookupError for a kind that does not exist, or a station outside the area.
    """
    actor.require(Permission.VIEW_MONEY)
    make = _MAKERS.get(wanted.kind)
    if make is None:
        raise LookupError(f"没有“{wanted.kind}”这种表")
    content = make(session, actor, wanted)
    kind = next(one for one in KINDS if one.name == wanted.kind)
    place = division_name(session, actor.area) if actor.area else "全部"
    label = Period.parse(wanted.month).label
    title = kind.title.replace("（全县）", "").replace("（按户号）", "")
    subject = f"户号{_account(session, actor, wanted)}_" if wanted.kind == "account" else ""
    return sealed(content, f"{place}_{label}_{subject}{title}")


def _account(session: Session, actor: Actor, wanted: Wanted) -> str:
    place = station(session, actor, wanted.station_id)
    return "" if place is None else (place.account_number or place.id)


def sealed(content: PaperContent, file_stem: str) -> Paper:
    """Return a paper with the fingerprint of its figures."""
    return Paper(content, file_stem, hashlib.sha256(write_csv(content.sheet)).hexdigest())


def paper_csv(made: Paper) -> bytes:
    """Return a paper as CSV (UTF-8 with mark); its last row holds control totals and SHA-256.

    The SHA-256 is that of everything before the last row.
    """
    tail = f"校验,{made.control_text},SHA-256,{made.fingerprint}"
    return write_csv(made.sheet) + f"{tail}\r\n".encode()


def paper_xlsx(made: Paper, watermark: str = "") -> bytes:
    """Return a paper as a workbook: text cells only, no formula; totals and SHA-256 above the table."""
    notes = (*made.sheet.notes, made.control_text, f"SHA-256 {made.fingerprint}")
    return write_xlsx([replace(made.sheet, notes=notes)], watermark)


def paper_pdf(made: Paper, watermark: str = "") -> bytes:
    """Return a paper for signature and seal on A4; raises FileRefusedError when a name has no glyph."""
    sheet = made.sheet
    rows = [*sheet.rows, *([sheet.total] if sheet.total is not None else [])]
    data: dict[str, object] = {
        "title": sheet.title,
        "notes": list(sheet.notes),
        "columns": [
            {"title": column.title, "number": column.kind is not ColumnKind.TEXT} for column in sheet.columns
        ],
        "rows": [
            [cell_text(column.kind, value) for column, value in zip(sheet.columns, row, strict=True)]
            for row in rows
        ],
        "has_total": sheet.total is not None,
        "controls": made.control_text,
        "fingerprint": made.fingerprint,
        "signatories": list(made.content.signatories),
        "seals": list(made.content.seals),
        "watermark": watermark,
        "fonts": list(FONTS),
    }
    return render_pdf(_TEMPLATE, data)


def _county(session: Session, actor: Actor, wanted: Wanted) -> PaperContent:
    bills = settlements(session, actor, month=wanted.month)
    return county_paper(wanted.month, bills, owed_items(session, actor, month=wanted.month))


def _account_paper(session: Session, actor: Actor, wanted: Wanted) -> PaperContent:
    place = station(session, actor, wanted.station_id)
    if place is None:
        raise LookupError(f"辖区内没有电站 {wanted.station_id}")
    bills = settlements(session, actor, month=wanted.month, station_id=place.id)
    owed = owed_items(session, actor, month=wanted.month, station_id=place.id)
    return account_paper(place, bills, owed)


def _subsidy(session: Session, actor: Actor, wanted: Wanted) -> PaperContent:
    owed = owed_items(session, actor)
    months = {one.month for one in owed if one.component is not Component.ELECTRICITY and one.outstanding_fen}
    energies = {
        (bill.station_id, bill.month): bill.exported_energy_wh
        for month in sorted(months)
        for bill in settlements(session, actor, month=month)
    }
    return subsidy_paper(wanted.month, owed, {one.id: one for one in stations(session, actor)}, energies)


def _ageing(session: Session, actor: Actor, wanted: Wanted) -> PaperContent:
    return ageing_paper(wanted.on, owed_items(session, actor))


def _differences(session: Session, actor: Actor, wanted: Wanted) -> PaperContent:
    names = {one.id: one.name for one in stations(session, actor)}
    return differences_paper(wanted.month, discrepancies(session, actor, month=wanted.month), names)


def _bank(session: Session, actor: Actor, wanted: Wanted) -> PaperContent:
    return bank_paper(wanted.month, bank_lines(session, actor, month=wanted.month))


def _transit(session: Session, actor: Actor, wanted: Wanted) -> PaperContent:
    return transit_paper(wanted.on, held_money(session, actor, wanted.on), division_names(session))


def _national(session: Session, actor: Actor, wanted: Wanted) -> PaperContent:
    return national_paper(wanted.month, village_entries(session, actor, wanted.month))


_MAKERS: dict[str, Callable[[Session, Actor, Wanted], PaperContent]] = {
    "county": _county,
    "account": _account_paper,
    "subsidy": _subsidy,
    "ageing": _ageing,
    "differences": _differences,
    "bank": _bank,
    "transit": _transit,
    "national": _national,
}
