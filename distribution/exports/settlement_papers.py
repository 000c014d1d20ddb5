"""Which records the papers of grid settlement are made of.

Owns the kinds, the gathering and the Chinese file names; the tables are `settlement_sheets`', their forms
`papers`'.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from distribution.exports.papers import Paper, PaperContent, PaperKind, sealed
from distribution.exports.settlement_entries import village_entries
from distribution.exports.settlement_sheets import (
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
from registry.actors import Actor, Permission
from registry.divisions import division_name, division_names
from registry.stations import station, stations
from store.periods import Period


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which paper: its kind, the month, the day it is made, and the station of an account's 对账单."""

    kind: str
    month: str
    on: date
    station_id: str = ""


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
