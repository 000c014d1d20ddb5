"""Changing where a household's money goes: two people and a waiting time.

Owns table `payee_account_change`. Whoever asks for a change cannot confirm it; a confirmed change holds
from a day that lies the waiting time ahead, and is listed for the next approval. The accounts
themselves are in `registry.households`.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import CheckConstraint, ForeignKey, Index, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.actors import Actor, Permission, scope
from registry.facts import known, supersede
from registry.households import Disclosure, HouseholdRow, PayeeAccountRow
from registry.masking import mask_account
from registry.parameters import Place, value_on
from registry.secrets import KeyRing
from store.db import Base, UtcDateTime, guard, new_id
from store.periods import local_date
from store.problem import Problem, ProblemsError

_WAITING = "payee_change_wait_days"
_OPEN = "decision = ''"


class PayeeAccountChangeRow(Base):
    """Table `payee_account_change`: asked once, decided once by somebody else, never edited otherwise."""

    __tablename__ = "payee_account_change"
    __table_args__ = (
        CheckConstraint("decision IN ('', 'confirmed', 'rejected')", name="decision"),
        CheckConstraint("(decision = '') = (decided_at IS NULL)", name="decided"),
        CheckConstraint("decision <> 'confirmed' OR decided_by <> requested_by", name="two_people"),
        CheckConstraint("(decision = 'confirmed') = (effective_on IS NOT NULL)", name="effective"),
        Index(
            "ux_payee_account_change_open",
            "household_id",
            unique=True,
            sqlite_where=text(_OPEN),
            postgresql_where=text(_OPEN),
        ),
        Index(None, "household_id", "decided_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    household_id: Mapped[str] = mapped_column(ForeignKey("household.id"))
    holder: Mapped[str]
    bank: Mapped[str]
    account_encrypted: Mapped[str]
    account_hash: Mapped[str]
    account_last4: Mapped[str]
    former_last4: Mapped[str]
    reason: Mapped[str]
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    requested_by: Mapped[str]
    decision: Mapped[str]
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_by: Mapped[str]
    effective_on: Mapped[date | None]


_ASKED = (
    "id, household_id, holder, bank, account_hash, account_last4, former_last4, reason, requested_at, "
    "requested_by"
)
_DECIDED = "decision, decided_at, decided_by, effective_on"
guard(
    PayeeAccountChangeRow.__table__,  # type: ignore[arg-type]
    sqlite=(
        (
            f"CREATE TRIGGER payee_account_change_asked BEFORE UPDATE OF {_ASKED} ON payee_account_change "
            "BEGIN SELECT RAISE(ABORT, 'a change of account is not edited'); END"
        ),
        (
            f"CREATE TRIGGER payee_account_change_decided BEFORE UPDATE OF {_DECIDED} "
            "ON payee_account_change WHEN OLD.decision <> '' BEGIN "
            "SELECT RAISE(ABORT, 'a change of account is decided once'); END"
        ),
        (
            "CREATE TRIGGER payee_account_change_kept BEFORE DELETE ON payee_account_change "
            "BEGIN SELECT RAISE(ABORT, 'a change of account is kept'); END"
        ),
    ),
    postgresql=(
        (
            "CREATE OR REPLACE FUNCTION payee_account_change_kept() RETURNS trigger AS $$ "
            "BEGIN RAISE EXCEPTION 'a change of account is decided once and kept'; END $$ LANGUAGE plpgsql"
        ),
        (
            f"CREATE TRIGGER payee_account_change_asked BEFORE UPDATE OF {_ASKED} ON payee_account_change "
            "FOR EACH ROW EXECUTE FUNCTION payee_account_change_kept()"
        ),
        (
            f"CREATE TRIGGER payee_account_change_decided BEFORE UPDATE OF {_DECIDED} "
            "ON payee_account_change FOR EACH ROW WHEN (OLD.decision <> '') "
            "EXECUTE FUNCTION payee_account_change_kept()"
        ),
        (
            "CREATE TRIGGER payee_account_change_kept BEFORE DELETE ON payee_account_change "
            "FOR EACH ROW EXECUTE FUNCTION payee_account_change_kept()"
        ),
    ),
)


@dataclass(frozen=True, slots=True, repr=False)
class WantedAccount:
    """The account that a household wants its money to go to, with its plain number; never printed."""

    household_id: str
    holder: str
    bank: str
    account: str


@dataclass(frozen=True, slots=True)
class AccountChange:
    """A change of account as an office's screen shows it: both numbers masked, who, when, from when."""

    id: str
    household_id: str
    village_code: str
    number: str
    name: str
    former_masked: str
    wanted_masked: str
    bank: str
    holder: str
    reason: str
    requested_at: datetime
    requested_by: str
    decision: str
    decided_at: datetime | None
    decided_by: str
    effective_on: date | None


def request_change(
    session: Session, actor: Actor, ring: KeyRing, wanted: WantedAccount, disclosure: Disclosure
) -> str:
    """Ask for another payee account, with a reason; return the id of the change.

    Raises ProblemsError when it is the present account, or another change is still open.
    """
    home = _home(session, actor, wanted.household_id)
    where = f"户 {home.number} 的收款账户"
    present = _present(session, home.id)
    hashed = ring.lookup_hash("account", wanted.account)
    if present is not None and present.account_hash == hashed:
        raise ProblemsError([Problem(where, "与现在的账户相同", "不必变更")])
    open_change = select(PayeeAccountChangeRow.id).where(
        PayeeAccountChangeRow.household_id == home.id, PayeeAccountChangeRow.decision == ""
    )
    if session.scalar(open_change) is not None:
        raise ProblemsError([Problem(where, "已有一个未复核的变更", "先复核或退回那一个")])
    row = PayeeAccountChangeRow(
        id=new_id("change"),
        household_id=home.id,
        holder=wanted.holder,
        bank=wanted.bank,
        account_encrypted=ring.encrypt("account", wanted.account),
        account_hash=hashed,
        account_last4=wanted.account[-4:],
        former_last4="" if present is None else present.account_last4,
        reason=disclosure.reason,
        requested_at=disclosure.at,
        requested_by=actor.user_id,
        decision="",
        decided_at=None,
        decided_by="",
        effective_on=None,
    )
    session.add(row)
    session.flush()
    entry = audit.Entry("request", "payee_account_change", row.id, reason=disclosure.reason)
    audit.record(session, actor, entry, disclosure.at)
    return row.id


def ask_for_change(
    session: Session, actor: Actor, ring: KeyRing, wanted: WantedAccount, reason: tuple[str, datetime]
) -> str:
    """Ask for another payee account with a written reason and its moment, as a page does.

    Raises ProblemsError also where no reason is written.
    """
    if not reason[0].strip():
        raise ProblemsError([Problem("理由", "没有写理由", "例如：原卡遗失，本人申请")])
    return request_change(session, actor, ring, wanted, Disclosure(*reason))


def confirm_change(session: Session, actor: Actor, change_id: str, now: datetime) -> date:
    """Confirm another person's change and return the day from which the new account holds.

    The present account holds until then. Raises ProblemsError for one's own change or a decided one.
    """
    row, home = _change(session, actor, change_id)
    if row.requested_by == actor.user_id:
        raise ProblemsError(
            [Problem(f"户 {home.number} 的收款账户", "申请人不能复核自己的变更", "请另一位经办人复核")]
        )
    today = local_date(now)
    waiting = value_on(_WAITING, today, Place(home.village_code), session=session).value
    effective = today + timedelta(days=int(waiting))
    present = _present(session, home.id)
    if present is not None:
        supersede(present, actor, now)
        session.flush()
        if present.valid_from < effective:
            session.add(_account(present, actor, now, (present.valid_from, effective)))
    session.add(_account(row, actor, now, (effective, None)))
    _decide(session, actor, row, ("confirmed", effective), now)
    return effective


def reject_change(session: Session, actor: Actor, change_id: str, now: datetime) -> None:
    """Reject a change, or take back one's own; the present account stays."""
    row, _ = _change(session, actor, change_id)
    _decide(session, actor, row, ("rejected", None), now)


def account_changes(
    session: Session, actor: Actor, village_code: str | None = None, *, since: datetime | None = None
) -> tuple[AccountChange, ...]:
    """Return open changes and those decided since an instant, in the actor's area, the oldest first.

    What was confirmed since the last approval of a village is what the next one must show.
    """
    actor.require(Permission.VIEW_HOUSEHOLDS)
    statement = scope(select(PayeeAccountChangeRow).join(HouseholdRow), actor, HouseholdRow.village_code)
    if village_code is not None:
        statement = statement.where(HouseholdRow.village_code == village_code)
    if since is not None:
        decided = PayeeAccountChangeRow.decided_at
        statement = statement.where(decided.is_(None) | (decided >= since))
    statement = statement.order_by(PayeeAccountChangeRow.requested_at, PayeeAccountChangeRow.id)
    rows = session.scalars(statement).all()
    return tuple(_shown(row, session.get_one(HouseholdRow, row.household_id)) for row in rows)


def _shown(row: PayeeAccountChangeRow, home: HouseholdRow) -> AccountChange:
    return AccountChange(
        row.id,
        home.id,
        home.village_code,
        home.number,
        home.name,
        mask_account(row.former_last4) if row.former_last4 else "",
        mask_account(row.account_last4),
        row.bank,
        row.holder,
        row.reason,
        row.requested_at,
        row.requested_by,
        row.decision,
        row.decided_at,
        row.decided_by,
        row.effective_on,
    )


def _home(session: Session, actor: Actor, household_id: str) -> HouseholdRow:
    actor.require(Permission.EDIT_REGISTRY)
    row = session.get(HouseholdRow, household_id)
    if row is None or row.withdrawn_at is not None or not actor.covers(row.village_code):
        raise LookupError(f"{actor.name} 的辖区内没有户 {household_id}")
    return row


def _present(session: Session, household_id: str) -> PayeeAccountRow | None:
    statement = select(PayeeAccountRow).where(
        PayeeAccountRow.household_id == household_id,
        known(PayeeAccountRow),
        PayeeAccountRow.valid_to.is_(None),
    )
    return session.scalar(statement)


def _change(session: Session, actor: Actor, change_id: str) -> tuple[PayeeAccountChangeRow, HouseholdRow]:
    row = session.get(PayeeAccountChangeRow, change_id)
    if row is None:
        raise LookupError(f"没有账户变更 {change_id}")
    home = _home(session, actor, row.household_id)
    if row.decision:
        raise ProblemsError([Problem(f"户 {home.number} 的收款账户", "这个变更已经处理过", "刷新页面")])
    return row, home


def _account(
    source: PayeeAccountRow | PayeeAccountChangeRow,
    actor: Actor,
    now: datetime,
    span: tuple[date, date | None],
) -> PayeeAccountRow:
    return PayeeAccountRow(
        id=new_id("payee"),
        household_id=source.household_id,
        holder=source.holder,
        bank=source.bank,
        account_encrypted=source.account_encrypted,
        account_hash=source.account_hash,
        account_last4=source.account_last4,
        valid_from=span[0],
        valid_to=span[1],
        recorded_at=now,
        recorded_by=actor.user_id,
    )


def _decide(
    session: Session,
    actor: Actor,
    row: PayeeAccountChangeRow,
    decision: tuple[str, date | None],
    now: datetime,
) -> None:
    row.decision, row.effective_on = decision
    row.decided_at, row.decided_by = now, actor.user_id
    session.flush()
    audit.record(session, actor, audit.Entry(decision[0], "payee_account_change", row.id), now)
