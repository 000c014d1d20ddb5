"""How long arrived money takes to the village: held by the county, under way by the township, arrived.

Owns the days and the limits of passing money on. Money passed on is taken to be the oldest that had arrived
for the village; limits are dated parameters of the place.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from distribution.settlement.reads import Receipt, Remittance, receipts, remittances, uncorrected
from distribution.settlement.receivables.advances import advances
from distribution.settlement.receivables.remittances import SENT, TOWNSHIP, VILLAGE, stages_of
from registry.actors import Actor
from registry.parameters import Place, value_on


@dataclass(frozen=True, slots=True)
class Passage:
    """A remittance on its way: `days` from the county's account to the village's, or until today.

    A straight one is there on the day it was sent.
    """

    remittance: Remittance
    by_township: bool
    township_on: date | None
    village_on: date | None
    days: int
    limit_days: int

    @property
    def is_late(self) -> bool:
        """Whether it took, or is taking, longer than the limit."""
        return self.days > self.limit_days

    @property
    def word(self) -> str:
        """Where the money is, in Chinese."""
        if self.village_on is not None:
            return "已到村"
        return "在乡镇账户" if self.township_on is not None else "县已拨出，乡镇未到账"


@dataclass(frozen=True, slots=True)
class HeldMoney:
    """What arrived for a village and what of it was passed on [fen]; the oldest rest waits `days`.

    `late_fen` is what waits, or waited before it was passed on, longer than the limit.
    """

    village_code: str
    received_fen: int
    remitted_fen: int
    arrived_fen: int
    oldest_on: date | None
    days: int
    limit_days: int
    late_fen: int

    @property
    def held_fen(self) -> int:
        """What the county still holds [fen]."""
        return self.received_fen - self.remitted_fen

    @property
    def in_transit_fen(self) -> int:
        """What left the county and has not come to the village [fen]."""
        return self.remitted_fen - self.arrived_fen

    @property
    def is_late(self) -> bool:
        """Whether money still held waits longer than the limit."""
        return self.held_fen > 0 and self.days > self.limit_days


def passages(session: Session, actor: Actor, today: date, *, village_code: str = "") -> tuple[Passage, ...]:
    """Return the remittances to the actor's villages, where each is and how long it took, latest first."""
    sent = remittances(session, actor, village_code=village_code)
    stages = stages_of(session, [one.id for one in sent])
    found = []
    for one in sent:
        known = stages.get(one.id, {})
        by_township = SENT in known
        village_on = known.get(VILLAGE) if by_township else one.remitted_on
        days = ((village_on or today) - one.remitted_on).days
        limit = _limit(session, "transit_limit_days", one.remitted_on, one.village_code)
        found.append(Passage(one, by_township, known.get(TOWNSHIP), village_on, days, limit))
    return tuple(sorted(found, key=lambda one: (one.remittance.remitted_on, one.remittance.id), reverse=True))


def held_money(session: Session, actor: Actor, today: date) -> tuple[HeldMoney, ...]:
    """Return, village by village, what arrived, what was passed on, and how long the rest has waited."""
    arrived: dict[str, list[tuple[date, int]]] = defaultdict(list)
    for receipt in uncorrected(receipts(session, actor)):
        for village, amount in _own_parts(receipt, actor):
            arrived[village].append((receipt.received_on, amount))
    passed: dict[str, list[Passage]] = defaultdict(list)
    for one in passages(session, actor, today):
        passed[one.remittance.village_code].append(one)
    repaid: dict[str, int] = defaultdict(int)
    for advance in advances(session, actor):
        repaid[advance.fact.village_code] += sum(one.amount_fen for one in advance.clearings)
    return tuple(
        _held(session, village, (arrived[village], passed[village], repaid[village]), today)
        for village in sorted({*arrived, *passed})
    )


def _own_parts(receipt: Receipt, actor: Actor) -> Iterable[tuple[str, int]]:
    return ((village, amount) for village, amount in receipt.shares if actor.covers(village))


def _held(
    session: Session,
    village: str,
    money: tuple[Sequence[tuple[date, int]], Sequence[Passage], int],
    today: date,
) -> HeldMoney:
    came, went, repaid_fen = money
    payments = sorted((one.remittance.remitted_on, one.remittance.amount_fen) for one in went)
    rests = first_in_first_out(sorted(came), payments, repaid_fen)
    limits = {on: _limit(session, "remittance_limit_days", on, village) for on, _passed, _amount in rests}
    waiting = [on for on, passed, amount in rests if passed is None and amount]
    oldest = min(waiting, default=None)
    late = sum(amount for on, passed, amount in rests if ((passed or today) - on).days > limits[on])
    return HeldMoney(
        village,
        sum(amount for _on, amount in came) - repaid_fen,
        sum(amount for _on, amount in payments),
        sum(one.remittance.amount_fen for one in went if one.village_on is not None),
        oldest,
        0 if oldest is None else (today - oldest).days,
        limits.get(oldest, 0) if oldest is not None else 0,
        late,
    )


def first_in_first_out(
    came: Sequence[tuple[date, int]], went: Sequence[tuple[date, int]], repaid_fen: int = 0
) -> list[tuple[date, date | None, int]]:
    """Pair money that came with money that went [day, fen], oldest first; both in order of their day.

    Returns (day it came, day it was passed on or None, fen). `repaid_fen` of the oldest money went back to
    somebody who had advanced it, and waits for nobody.
    """
    pairs: list[tuple[date, date | None, int]] = []
    payments = [*went]
    skip = repaid_fen
    for on, amount in came:
        left = amount - min(skip, amount)
        skip -= amount - left
        while left > 0 and payments:
            day, sum_fen = payments[0]
            part = min(left, sum_fen)
            pairs.append((on, max(day, on), part))
            left -= part
            payments[0] = (day, sum_fen - part)
            if sum_fen == part:
                payments.pop(0)
        if left > 0:
            pairs.append((on, None, left))
    return pairs


def _limit(session: Session, name: str, on: date, village: str) -> int:
    return int(value_on(name, on, Place(village), session=session).value)
