"""A village spends out of its purses: checked against what the purse holds, recorded and posted together.

Owns the transaction in which a spending and its journal entry happen; papers and limits are
`settlement.spending`'s, the entry is `closing`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from distribution.closing.facts import book_facts, purse_by_fund
from distribution.ledger.accounts import account_name
from distribution.ledger.balances import balances
from distribution.money import yuan
from distribution.plans.tables import NoPlanPublishedError, plan_for
from distribution.settlement.spending.spendings import (
    PURSE_ACCOUNTS,
    SpendingFact,
    correct_spending,
    record_spending,
    spendings,
)
from registry.actors import SYSTEM, Actor
from store.problem import Problem, ProblemsError


@dataclass(frozen=True, slots=True)
class Purse:
    """What a village may spend: a ledger account and holder, its name, and what it holds [fen]."""

    village_code: str
    account: str
    holder: str
    name: str
    amount_fen: int


def purses(session: Session, actor: Actor, on: date, *, village_code: str = "") -> tuple[Purse, ...]:
    """Return the purses of the actor's villages that hold money, named as the plan of a day names them."""
    sums: dict[tuple[str, str, str], int] = {}
    for one in balances(session, actor, book=village_code, accounts=PURSE_ACCOUNTS):
        key = (one.book, one.account, one.holder)
        sums[key] = sums.get(key, 0) - one.amount_fen
    labels = {village: _labels(session, village, on) for village in {key[0] for key in sums}}
    return tuple(
        Purse(*key, _name(key, labels[key[0]]), amount) for key, amount in sorted(sums.items()) if amount > 0
    )


def _labels(session: Session, village: str, on: date) -> dict[str, str]:
    try:
        plan = plan_for(session, village, on)
    except NoPlanPublishedError:
        return {}
    steps = {getattr(step, "name", ""): step.label for step in plan.steps if step.label}
    return steps | {purse.name: purse.label for purse in plan.purses}


def _name(key: tuple[str, str, str], labels: Mapping[str, str]) -> str:
    village, account, holder = key
    if holder in {"", village}:
        return account_name(account)
    return f"{account_name(account)}·{labels.get(holder, '旧方案的钱袋')}"


def spend(session: Session, actor: Actor, fact: SpendingFact, now: datetime) -> str:
    """Record a spending and post it; returns its id, the same for the same voucher.

    Raises ProblemsError when the purse does not hold so much, and what `record_spending` raises.
    """
    if not actor.covers(fact.village_code):
        raise ProblemsError([Problem("村级支出", "不在您的辖区内", "请从列表中选择")])
    book_facts(session, SYSTEM, fact.village_code, now)
    known = {one.id for one in spendings(session, actor, village_code=fact.village_code)}
    held = sum(purse_by_fund(session, actor, fact.village_code, (fact.account, fact.holder)).values())
    spending_id = record_spending(session, actor, fact, now)
    if spending_id in known:
        return spending_id
    if fact.amount_fen > held:
        what = f"这个钱袋还有 {yuan(held)} 元，支出 {yuan(fact.amount_fen)} 元"
        raise ProblemsError([Problem("村级支出", what, "请核对钱袋和金额；不得先支后补")])
    book_facts(session, SYSTEM, fact.village_code, now)
    return spending_id


def take_back_spending(session: Session, actor: Actor, spending_id: str, reason: str, now: datetime) -> str:
    """Take a spending back by a negative one, and reverse its entry; returns the new row's id."""
    correction_id = correct_spending(session, actor, spending_id, reason, now)
    village = next(one.fact.village_code for one in spendings(session, actor) if one.id == correction_id)
    book_facts(session, SYSTEM, village, now)
    return correction_id
