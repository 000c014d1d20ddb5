"""A batch for the bank: choosing who can be paid, making the file, and making it again byte for byte.

Owns what is refused before a file is made. Each payout of a file becomes one attempt; what is on its way,
unknown or paid is never put into another file.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from distribution.money import yuan
from distribution.payout.files import BatchFile, BatchLine, parse_template, render_batch, template_text
from distribution.payout.payouts import ALIVE, Batch, BatchOrder, Payout, batch_of, payouts_named
from distribution.payout.tables import AttemptEventRow, BankBatchRow, PayoutAttemptRow, PayoutRow
from registry.actors import Actor, Permission
from registry.households import Disclosure, PlainPayeeAccount, plain_payee_accounts
from registry.payees import member_homes, plain_accounts_named
from registry.secrets import KeyRing
from store.canonical import content_hash
from store.periods import local_date
from store.problem import Problem, ProblemsError


def create_batch(
    session: Session, actor: Actor, ring: KeyRing, order: BatchOrder, now: datetime
) -> tuple[Batch, BatchFile]:
    """Put payouts into a new file for the bank; each becomes an attempt in state `sent`.

    Payouts whose last attempt is alive are refused, so nothing is paid twice. Raises ProblemsError that
    names every payout without an account or already on its way; then nothing is written.
    """
    actor.require(Permission.EXPORT_BATCH)
    _lock(session)
    chosen = list(payouts_named(session, actor, order.payout_ids))
    on = local_date(now)
    accounts, problems = _accounts(session, actor, chosen, _registered(session, actor, ring, now))
    _refuse(chosen, problems, order)
    number = _next_number(session, on)
    template_source = template_text(order.template)
    template = parse_template(template_source)
    lines = [
        _line(place, one, accounts[one.household_id], order.summary) for place, one in enumerate(chosen, 1)
    ]
    file = render_batch(lines, template, number, on)
    batch = BankBatchRow(
        id=f"batch:{number}",
        number=number,
        area=actor.area,
        business_date=on,
        template=order.template,
        template_text=template_source,
        summary=order.summary,
        line_count=file.line_count,
        total_fen=file.total_fen,
        file_name=f"代发_{number}.{template.extension}",
        file_sha256=file.sha256,
        exported_at=now,
        exported_by=actor.user_id,
    )
    session.add(batch)
    session.flush()
    _add_attempts(session, batch, chosen, accounts, now)
    return batch_of(batch), file


def _line(place: int, payout: Payout, account: PlainPayeeAccount, summary: str) -> BatchLine:
    return BatchLine(
        place,
        _reference(payout),
        account.holder,
        account.account,
        account.bank,
        payout.amount_fen,
        f"{summary}{payout.period}",
    )


def _reference(payout: Payout) -> str:
    return content_hash([payout.id, payout.attempts + 1])[:20].upper()


def unpayable(
    session: Session, actor: Actor, ring: KeyRing, chosen: Sequence[Payout], now: datetime
) -> dict[str, Problem]:
    """Return why payouts cannot be paid as their payees are registered, by payout id; nothing is written."""
    actor.require(Permission.EXPORT_BATCH)
    return _accounts(session, actor, chosen, _registered(session, actor, ring, now))[1]


def _registered(session: Session, actor: Actor, ring: KeyRing, now: datetime) -> dict[str, PlainPayeeAccount]:
    return plain_payee_accounts(session, actor, ring, local_date(now), Disclosure("导出代发文件", now))


def _accounts(
    session: Session, actor: Actor, chosen: Sequence[Payout], registered: Mapping[str, PlainPayeeAccount]
) -> tuple[dict[str, PlainPayeeAccount], dict[str, Problem]]:
    """Return the account of each payee, and by payout why one has none that may be used.

    Money of a household goes to its account, money of a person to an account in the person's own name, and
    an account that several households name is nobody's until the registry is put right.
    """
    persons = [one.household_id for one in chosen if one.household_id not in registered]
    homes = member_homes(session, actor, persons)
    uses = Counter(one.account for one in registered.values())
    accounts: dict[str, PlainPayeeAccount] = {}
    problems: dict[str, Problem] = {}
    for one in chosen:
        payee = one.household_id
        home, name = homes.get(payee, (payee, ""))
        account = registered.get(home)
        if account is None:
            problems[one.id] = Problem(payee, "没有收款账户", "请先在台账登记该户的收款账户")
        elif name and account.holder != name:
            what = f"{name} 没有本人账户，户账户的户名是 {account.holder}，不得代领"
            problems[one.id] = Problem(payee, what, "请登记本人的收款账户")
        elif uses[account.account] > 1:
            what = f"收款账户（户名 {account.holder}）同时登记在 {uses[account.account]} 户名下"
            problems[one.id] = Problem(payee, what, "请核对一卡通归属，改正其他户的账户后再发")
        else:
            accounts[payee] = account
    return accounts, problems


def _refuse(chosen: Sequence[Payout], unpaid: Mapping[str, Problem], order: BatchOrder) -> None:
    problems = [
        Problem(
            one.household_id,
            f"{yuan(one.amount_fen)} 元“{one.state_name}”，不能再次发放",
            "失败或退回后才能重发",
        )
        for one in chosen
        if one.state in ALIVE
    ]
    problems += unpaid.values()
    missing = set(order.payout_ids) - {one.id for one in chosen}
    problems += [Problem(one, "没有这笔发放，或不在您的辖区内", "请刷新后重选") for one in sorted(missing)]
    if not order.payout_ids:
        problems.append(Problem("批次", "没有选择发放对象", "请至少选择一户"))
    if problems:
        raise ProblemsError(problems)


def _next_number(session: Session, on: date) -> str:
    prefix = f"SL{on:%Y%m%d}"
    count = session.scalar(select(func.count()).where(BankBatchRow.number.startswith(prefix))) or 0
    return f"{prefix}{count + 1:03d}"


def _add_attempts(
    session: Session,
    batch: BankBatchRow,
    chosen: list[Payout],
    accounts: Mapping[str, PlainPayeeAccount],
    now: datetime,
) -> None:
    session.execute(
        insert(PayoutAttemptRow),
        [
            {
                "payout_id": one.id,
                "n": one.attempts + 1,
                "batch_id": batch.id,
                "line": place,
                "reference": _reference(one),
                "payee_account_id": accounts[one.household_id].id,
                "holder": accounts[one.household_id].holder,
                "bank": accounts[one.household_id].bank,
                "account_hash": content_hash([accounts[one.household_id].id]),
                "amount_fen": one.amount_fen,
                "state": "sent",
                "reason": "",
                "bank_reference": "",
                "changed_at": now,
            }
            for place, one in enumerate(chosen, start=1)
        ],
    )
    sent = {"seq": 1, "state": "sent", "reason": "", "source": batch.id}
    sent |= {"changed_at": now, "changed_by": batch.exported_by}
    session.execute(
        insert(AttemptEventRow), [{"payout_id": one.id, "n": one.attempts + 1, **sent} for one in chosen]
    )


def export_again(session: Session, actor: Actor, ring: KeyRing, batch_id: str, now: datetime) -> BatchFile:
    """Render a batch's file anew, byte for byte as it was first, whatever became of the accounts since.

    Raises ProblemsError when the bytes would differ, which only touched records can bring about.
    """
    actor.require(Permission.EXPORT_BATCH)
    batch = session.get(BankBatchRow, batch_id)
    if batch is None or not batch.area.startswith(actor.area_prefix):
        raise LookupError(f"没有批次 {batch_id}")
    statement = (
        select(PayoutAttemptRow, PayoutRow.period)
        .join(PayoutRow, PayoutRow.id == PayoutAttemptRow.payout_id)
        .where(PayoutAttemptRow.batch_id == batch_id)
        .order_by(PayoutAttemptRow.line)
    )
    sent = [(row[0], row[1]) for row in session.execute(statement)]
    ids = [attempt.payee_account_id for attempt, _period in sent]
    numbers = plain_accounts_named(session, actor, ring, ids, Disclosure(f"重新导出 {batch.number}", now))
    lines = [
        BatchLine(
            attempt.line,
            attempt.reference,
            attempt.holder,
            numbers.get(attempt.payee_account_id, ""),
            attempt.bank,
            attempt.amount_fen,
            f"{batch.summary}{period}",
        )
        for attempt, period in sent
    ]
    file = render_batch(lines, parse_template(batch.template_text), batch.number, batch.business_date)
    if file.sha256 != batch.file_sha256:
        raise ProblemsError(
            [Problem(batch.number, "重新导出的文件与原文件不一致", "发放记录被改动过，请运行校验并报告审计")]
        )
    return file


def _lock(session: Session) -> None:
    """Let one export at a time choose payouts and a number; on SQLite every writer already waits."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('bank_batch', 0))"))
