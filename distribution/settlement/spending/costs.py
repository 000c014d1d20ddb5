"""Costs that are deducted before money is distributed, with their vouchers.

Owns how a cost is recorded, once, over the villages that bear it, and how it is corrected: by a negative
row that names the first.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.money import split
from distribution.settlement.tables import CostRow
from registry.actors import Actor, Permission, in_area
from registry.stations import shares, station
from store.canonical import content_hash
from store.periods import Period
from store.problem import Problem, ProblemsError

COST_KINDS = {
    "maintenance": "运维费",
    "land_rent": "土地租金",
    "insurance": "保险费",
    "tax": "税费",
    "repair": "维修费",
    "other": "其他费用",
}
"""The kinds of cost that people choose from, as plans name them, and their words."""


@dataclass(frozen=True, slots=True)
class CostFact:
    """A cost [fen] of a village, or of a station and then split over its villages, with its voucher.

    `kind` is a name of the plan (`maintenance`, `land_rent`, `insurance` …); `voucher` names the document
    or the SHA-256 of its photo.
    """

    month: str
    kind: str
    text: str
    amount_fen: int
    incurred_on: date
    voucher: str
    village_code: str = ""
    station_id: str = ""
    paid_on: date | None = None


def record_cost(session: Session, actor: Actor, fact: CostFact, now: datetime) -> tuple[str, ...]:
    """Record a cost and return its ids, one per village; the same voucher, month and kind only once.

    Raises ProblemsError when it names no village of the actor's area, has no voucher or no amount.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    parts = _cost_parts(session, actor, fact)
    ids = []
    for village, amount in parts.items():
        key = content_hash([village, fact.month, fact.kind, fact.voucher, fact.station_id])[:32]
        ids.append(f"cost:{key}")
        if amount and session.get(CostRow, ids[-1]) is None:
            session.add(
                CostRow(
                    id=ids[-1],
                    village_code=village,
                    month=fact.month,
                    kind=fact.kind,
                    text=fact.text,
                    amount_fen=amount,
                    incurred_on=fact.incurred_on,
                    paid_on=fact.paid_on,
                    voucher=fact.voucher,
                    station_id=fact.station_id,
                    corrects=None,
                    recorded_at=now,
                    recorded_by=actor.user_id,
                )
            )
    session.flush()
    return tuple(ids)


def _cost_parts(session: Session, actor: Actor, fact: CostFact) -> dict[str, int]:
    problems = []
    if fact.amount_fen <= 0:
        problems.append(Problem("费用金额", "须大于零", "请填写凭证上的金额"))
    if not fact.voucher:
        problems.append(Problem("费用凭证", "没有凭证", "请上传发票或收据的照片，或填写凭证号"))
    if fact.station_id:
        place = station(session, actor, fact.station_id)
        owners = () if place is None else shares(session, place.id, Period.parse(fact.month).start)
        villages = [owner.village_code for owner in owners]
        weights = [owner.weight for owner in owners]
    else:
        villages, weights = ([fact.village_code], [1]) if actor.covers(fact.village_code) else ([], [])
    if not villages or not villages[0]:
        problems.append(Problem("费用归属", "没有您辖区内的村或电站", "请选择村或电站"))
    if problems:
        raise ProblemsError(problems)
    return dict(zip(villages, split(fact.amount_fen, weights, villages), strict=True))


def correct_cost(session: Session, actor: Actor, cost_id: str, reason: str, now: datetime) -> str:
    """Take a cost back by a negative row that names it, and return the new row's id; once.

    Raises ProblemsError without a reason, or for a cost outside the area. The right cost is recorded anew.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    statement = select(CostRow).where(CostRow.id == cost_id, in_area(actor, CostRow.village_code))
    row = session.scalar(statement)
    if row is None or row.amount_fen < 0 or not reason.strip():
        raise ProblemsError([Problem("更正费用", "没有这笔费用，或没有写明原因", "请从列表中选择并写明原因")])
    correction_id = f"cost:{content_hash(['correction', cost_id])[:32]}"
    if session.get(CostRow, correction_id) is None:
        session.add(
            CostRow(
                id=correction_id,
                village_code=row.village_code,
                month=row.month,
                kind=row.kind,
                text=f"冲正：{row.text}（{reason.strip()}）",
                amount_fen=-row.amount_fen,
                incurred_on=row.incurred_on,
                paid_on=row.paid_on,
                voucher=row.voucher,
                station_id=row.station_id,
                corrects=row.id,
                recorded_at=now,
                recorded_by=actor.user_id,
            )
        )
        session.flush()
    return correction_id
