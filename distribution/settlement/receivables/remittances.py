"""Money passed on from the county's account to a village's, straight or by way of the township.

Owns the record of a remittance and of the stages it passes; how long that took is `transit`'s.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.money import yuan
from distribution.settlement.receivables.tables import RemittanceStageRow
from distribution.settlement.tables import RemittanceRow
from registry.actors import Actor, Permission, in_area
from store.canonical import content_hash
from store.periods import local_date
from store.problem import Problem, ProblemsError

SENT, TOWNSHIP, VILLAGE = "sent", "township", "village"


@dataclass(frozen=True, slots=True)
class RemittanceFact:
    """Money passed on from the county's account to a village's [fen], with the bank's reference.

    `by_township` says that it first goes to the township's account, and arrives later.
    """

    village_code: str
    amount_fen: int
    remitted_on: date
    bank_reference: str
    by_township: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    """A remittance came to a stage, `township` or `village`, on a day, with that bank's reference."""

    remittance_id: str
    stage: str
    on: date
    bank_reference: str = ""


def record_remittance(session: Session, actor: Actor, fact: RemittanceFact, now: datetime) -> str:
    """Record money passed on to a village and return its id; the same bank reference only once.

    Raises ProblemsError for a village outside the area, or the same reference with another amount.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    village, amount_fen, reference = fact.village_code, fact.amount_fen, fact.bank_reference
    if not actor.covers(village) or amount_fen <= 0 or not reference:
        raise ProblemsError([Problem("拨付", "村、金额或流水号不完整", "请填写辖区内的村、金额和银行流水号")])
    statement = select(RemittanceRow).where(
        RemittanceRow.village_code == village, RemittanceRow.bank_reference == reference
    )
    present = session.scalar(statement)
    if present is not None:
        if present.amount_fen != amount_fen:
            what = f"流水号 {reference} 已登记为 {yuan(present.amount_fen)} 元"
            raise ProblemsError([Problem("拨付", what, "请核对流水号")])
        return present.id
    remittance_id = f"remittance:{content_hash([village, reference])[:32]}"
    session.add(
        RemittanceRow(
            id=remittance_id,
            village_code=village,
            amount_fen=amount_fen,
            remitted_on=fact.remitted_on,
            bank_reference=reference,
            recorded_at=now,
            recorded_by=actor.user_id,
        )
    )
    session.flush()
    if fact.by_township:
        sent = Arrival(remittance_id, SENT, fact.remitted_on, reference)
        _write_stage(session, actor, sent, f"{village[:6]}000000", now)
    return remittance_id


def record_arrival(session: Session, actor: Actor, arrival: Arrival, now: datetime) -> None:
    """Record that a remittance by way of the township arrived there, or in the village; once each.

    Raises ProblemsError for a remittance outside the area or that goes straight, a day before the stage
    before it, or one that has not come yet.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    statement = select(RemittanceRow).where(
        RemittanceRow.id == arrival.remittance_id, in_area(actor, RemittanceRow.village_code)
    )
    row = session.scalar(statement)
    stages = {} if row is None else stages_of(session, [row.id]).get(row.id, {})
    if row is None or SENT not in stages or arrival.stage not in {TOWNSHIP, VILLAGE}:
        raise ProblemsError([Problem("在途拨付", "没有这笔经乡镇转拨的款项", "请从在途列表中选择")])
    if arrival.stage in stages:
        return
    if arrival.on < max(stages.values()) or arrival.on > local_date(now):
        what = f"{arrival.on} 早于上一环节或晚于今天"
        raise ProblemsError([Problem("到账日期", what, "请按银行回单填写")])
    place = row.village_code if arrival.stage == VILLAGE else f"{row.village_code[:9]}000"
    _write_stage(session, actor, arrival, place, now)


def _write_stage(session: Session, actor: Actor, arrival: Arrival, place: str, now: datetime) -> None:
    session.add(
        RemittanceStageRow(
            remittance_id=arrival.remittance_id,
            stage=arrival.stage,
            division_code=place,
            on=arrival.on,
            bank_reference=arrival.bank_reference,
            recorded_at=now,
            recorded_by=actor.user_id,
        )
    )
    session.flush()


def stages_of(session: Session, ids: list[str]) -> dict[str, dict[str, date]]:
    """Return the day of every stage of remittances, by id and stage; unscoped. Straight ones are absent."""
    found: dict[str, dict[str, date]] = {}
    for start in range(0, len(ids), 500):
        wanted = RemittanceStageRow.remittance_id.in_(ids[start : start + 500])
        for row in session.scalars(select(RemittanceStageRow).where(wanted)):
            found.setdefault(row.remittance_id, {})[row.stage] = row.on
    return found
