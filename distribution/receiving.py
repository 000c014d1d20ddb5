"""Taking back what arrived, joined with the runs that may have given it away already.

Owns the rule that money which a run counts is not taken back behind the run's back: the run goes back first,
or, once it is booked, the difference is settled by a correction of the month.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.orm import Session

from distribution.approval.runs import live_run, used_sources
from distribution.approval.states import RunState
from distribution.settlement.bank.matching import unmatch
from distribution.settlement.bank.reads import Match, line_of_receipt, matches
from distribution.settlement.reads import Receipt, receipts
from distribution.settlement.receipts import correct_receipt
from registry.actors import Actor
from store.problem import Problem, ProblemsError

_FREE = {RunState.COMPUTED, RunState.REVISION_REQUESTED}


def take_back_match(session: Session, actor: Actor, match_id: str, reason: str, now: datetime) -> Match:
    """Take a match back with its receipts; raises ProblemsError when a run beyond computing counts one.

    Raises LookupError outside the area.
    """
    found = matches(session, actor, match_id=match_id)
    if not found:
        raise LookupError(f"辖区内没有核对 {match_id}")
    if not found[0].undone:
        ids = tuple(item.receipt_id for item in found[0].items)
        _require_free(session, receipts(session, actor, ids=ids))
    return unmatch(session, actor, match_id, reason, now)


def take_back_receipt(session: Session, actor: Actor, receipt_id: str, reason: str, now: datetime) -> str:
    """Take a receipt back by a negative one, and return its id.

    Raises ProblemsError when it came of a match (that is taken back whole), or a run counts it.
    """
    if line_of_receipt(session, (receipt_id,)):
        raise ProblemsError([Problem("更正到账", "这笔到账来自银行流水核对", "请撤销那次核对")])
    _require_free(session, receipts(session, actor, ids=(receipt_id,)))
    return correct_receipt(session, actor, receipt_id, reason, now)


def _require_free(session: Session, every: Iterable[Receipt]) -> None:
    problems = []
    for one in every:
        for village, _amount in one.shares:
            run = live_run(session, village, one.month)
            if run is not None and run.state in _FREE:
                continue
            if one.id in used_sources(session, village, "receipt"):
                what = f"{one.month} 的到账（流水号 {one.bank_reference}）已列入 {village} 的分配批次"
                how = "请先退回该批次；已入账的请在该月办理更正"
                problems.append(Problem("撤销到账", what, how))
    if problems:
        raise ProblemsError(problems)
