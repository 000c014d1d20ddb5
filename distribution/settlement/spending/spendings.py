"""What a village pays out of its own purses: once, with a voucher, within a limit or by a decision.

Owns the record and its papers. How much a purse holds is the ledger's, and asked by
`distribution.spending`.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.money import yuan
from distribution.settlement.spending.tables import SpendingRow, VoucherPhotoRow
from registry import audit
from registry.actors import Actor, Permission, in_area
from registry.parameters import ParameterValue, Place, value_on
from store.canonical import content_hash
from store.periods import local_date
from store.problem import Problem, ProblemsError

USES = {
    "works": "小型公益事业",
    "labour": "劳务支出",
    "award": "奖励补助",
    "relief": "临时救助",
    "upkeep": "电站及设施维护",
    "industry": "产业发展",
    "other": "其他集体支出",
}
PURSE_ACCOUNTS = ("village_collective", "purse", "reserve")
_FEN_PER_YUAN = 100


@dataclass(frozen=True, slots=True)
class SpendingFact:
    """A payment [fen] out of a purse (ledger account and holder) of a village, with its papers.

    `voucher` names the document; `decision_document` the village's decision, needed above the limit.
    """

    village_code: str
    account: str
    holder: str
    use: str
    text: str
    payee: str
    amount_fen: int
    spent_on: date
    voucher: str
    decision_document: str = ""


@dataclass(frozen=True, slots=True)
class Spending:
    """A recorded spending [fen]; a correction is negative and names the one that it takes back."""

    id: str
    fact: SpendingFact
    limit_fen: int
    corrects: str
    recorded_at: datetime
    recorded_by: str

    @property
    def use_word(self) -> str:
        """The use in Chinese."""
        return USES.get(self.fact.use, self.fact.use)


def limit_on(session: Session, village_code: str, on: date) -> ParameterValue:
    """Return how much a village may spend at once without a decision, on a day, and by which document."""
    return value_on("spending_limit_yuan", on, Place(village_code), session=session)


def record_spending(session: Session, actor: Actor, fact: SpendingFact, now: datetime) -> str:
    """Record a spending and return its id; the same voucher, purse, day and amount only once.

    Raises ProblemsError for missing papers, a village outside the area, or more than the limit without a
    decision.
    """
    actor.require(Permission.RECORD_SPENDING)
    limit = limit_on(session, fact.village_code, fact.spent_on)
    limit_fen = int(limit.value * _FEN_PER_YUAN)
    problems = _problems(actor, fact, now)
    if fact.amount_fen > limit_fen and not fact.decision_document.strip():
        what = f"{yuan(fact.amount_fen)} 元超过单笔限额 {yuan(limit_fen)} 元（{limit.source}），没有决议"
        problems.append(Problem("村级支出", what, "请填写村民（代表）会议决议的文件或编号"))
    if problems:
        raise ProblemsError(problems)
    key = [fact.village_code, fact.account, fact.holder, fact.voucher, fact.spent_on, fact.amount_fen]
    spending_id = f"spending:{content_hash(key)[:32]}"
    if session.get(SpendingRow, spending_id) is None:
        _write(session, actor, (spending_id, None, limit_fen), fact, now)
    return spending_id


def _problems(actor: Actor, fact: SpendingFact, now: datetime) -> list[Problem]:
    problems = []
    if not actor.covers(fact.village_code) or fact.account not in PURSE_ACCOUNTS or fact.use not in USES:
        problems.append(Problem("村级支出", "村、钱袋或用途不对", "请从列表中选择"))
    if fact.amount_fen <= 0:
        problems.append(Problem("支出金额", "须大于零", "请填写凭证上的金额"))
    if not fact.voucher.strip() or not fact.payee.strip() or not fact.text.strip():
        problems.append(Problem("支出凭证", "没有凭证、收款人或事由", "白条不能入账，请填写凭证号并拍照"))
    if fact.spent_on > local_date(now):
        problems.append(Problem("支出日期", f"{fact.spent_on} 还没有到", "请填写实际付款的日期"))
    return problems


def _write(
    session: Session, actor: Actor, key: tuple[str, str | None, int], fact: SpendingFact, now: datetime
) -> None:
    spending_id, corrects, limit_fen = key
    session.add(
        SpendingRow(
            id=spending_id,
            village_code=fact.village_code,
            account=fact.account,
            holder=fact.holder,
            use=fact.use,
            text=fact.text,
            payee=fact.payee,
            amount_fen=fact.amount_fen,
            limit_fen=limit_fen,
            spent_on=fact.spent_on,
            voucher=fact.voucher,
            decision_document=fact.decision_document,
            corrects=corrects,
            recorded_at=now,
            recorded_by=actor.user_id,
        )
    )
    session.flush()
    action = "correct" if corrects else "record"
    audit.record(session, actor, audit.Entry(action, "spending", corrects or spending_id, after=fact), now)


def correct_spending(session: Session, actor: Actor, spending_id: str, reason: str, now: datetime) -> str:
    """Take a spending back by a negative row that names it, and return the new row's id; once.

    Raises ProblemsError without a reason, or for a spending outside the area.
    """
    actor.require(Permission.RECORD_SPENDING)
    found = [one for one in spendings(session, actor) if one.id == spending_id and not one.corrects]
    if not found or not reason.strip():
        raise ProblemsError([Problem("更正支出", "没有这笔支出，或没有写明原因", "请从列表中选择并写明原因")])
    old = found[0].fact
    correction_id = f"spending:{content_hash(['correction', spending_id])[:32]}"
    if session.get(SpendingRow, correction_id) is None:
        text = f"冲正：{old.text}（{reason.strip()}）"
        negative = replace(old, text=text, amount_fen=-old.amount_fen)
        _write(session, actor, (correction_id, spending_id, found[0].limit_fen), negative, now)
    return correction_id


def spendings(session: Session, actor: Actor, *, village_code: str = "") -> tuple[Spending, ...]:
    """Return the spendings of the actor's villages, the latest first, corrections included."""
    actor.require(Permission.VIEW_MONEY)
    statement = select(SpendingRow).where(in_area(actor, SpendingRow.village_code))
    if village_code:
        statement = statement.where(SpendingRow.village_code == village_code)
    order = (SpendingRow.spent_on.desc(), SpendingRow.recorded_at.desc(), SpendingRow.id)
    return tuple(
        Spending(
            row.id,
            SpendingFact(
                *(row.village_code, row.account, row.holder, row.use, row.text, row.payee),
                *(row.amount_fen, row.spent_on, row.voucher, row.decision_document),
            ),
            row.limit_fen,
            row.corrects or "",
            row.recorded_at,
            row.recorded_by,
        )
        for row in session.scalars(statement.order_by(*order))
    )


def add_photo(session: Session, actor: Actor, subject: tuple[str, str], sha256: str, now: datetime) -> None:
    """Tie a kept photo to the voucher of a cost or spending, given as (id, village code); once.

    Raises ProblemsError for a village outside the area.
    """
    subject_id, village_code = subject
    if not actor.covers(village_code):
        raise ProblemsError([Problem("凭证照片", "不在您的辖区内", "请从列表中选择")])
    if session.get(VoucherPhotoRow, (subject_id, sha256)) is None:
        row = VoucherPhotoRow(
            subject_id=subject_id,
            sha256=sha256,
            village_code=village_code,
            recorded_at=now,
            recorded_by=actor.user_id,
        )
        session.add(row)
        session.flush()


def photos(session: Session, actor: Actor, *, sha256: str = "") -> dict[str, tuple[str, ...]]:
    """Return the photos of vouchers of the actor's villages by the id of the cost or spending."""
    actor.require(Permission.VIEW_MONEY)
    statement = select(VoucherPhotoRow).where(in_area(actor, VoucherPhotoRow.village_code))
    if sha256:
        statement = statement.where(VoucherPhotoRow.sha256 == sha256)
    found: dict[str, list[str]] = defaultdict(list)
    for row in session.scalars(statement.order_by(VoucherPhotoRow.recorded_at, VoucherPhotoRow.sha256)):
        found[row.subject_id].append(row.sha256)
    return {subject: tuple(every) for subject, every in found.items()}
