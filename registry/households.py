"""Households, their members, classes and payee accounts: the only personal data there is.

Owns what is known of people. ID numbers, bank accounts and phones are stored encrypted, looked up by
keyed hash and handed out masked; `unmask_*` gives a plain value against a reason and an audit entry.
What a household takes part in is `registry.enrolment`'s.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.actors import CODE_LENGTH, Actor, Permission, scope
from registry.facts import (
    Fact,
    Recorded,
    as_columns,
    as_record,
    guard_facts,
    guard_no_overlap,
    holds_on,
    known,
    supersede,
)
from registry.masking import mask_account, mask_id_number, mask_name, mask_phone
from registry.revisions import revise
from registry.secrets import KeyRing
from store.db import Base, UtcDateTime, new_id
from store.seals import put_under_seal


class LabourClass(StrEnum):
    """Whether a person can work: 有劳动力, 弱劳动力, 无劳动能力."""

    ABLE = "able"
    WEAK = "weak"
    UNABLE = "unable"


HOUSEHOLD_CLASSES = (
    "脱贫户",
    "监测对象",
    "低保",
    "低保边缘",
    "特困供养",
    "建档立卡",
    "残疾人家庭",
    "其他低收入",
)
"""The classes that a county keeps, by their usual words."""


class HouseholdRow(Recorded, Base):
    """Table `household`."""

    __tablename__ = "household"
    __table_args__ = (
        CheckConstraint("length(village_code) = 12", name="village_code"),
        CheckConstraint("left_on IS NULL OR left_on >= registered_on", name="dates"),
        Index(None, "village_code", "number", unique=True),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    village_code: Mapped[str] = mapped_column(String(CODE_LENGTH))
    number: Mapped[str]
    village_group: Mapped[str]
    name: Mapped[str]
    registered_on: Mapped[date]
    left_on: Mapped[date | None]
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class HouseholdMemberRow(Fact, Base):
    """Table `household_member`; ciphertexts may be written anew under a new key, nothing else changes."""

    __tablename__ = "household_member"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        CheckConstraint("labour_class IN ('able', 'weak', 'unable', '')", name="labour_class"),
        Index(None, "household_id"),
        Index(None, "id_number_hash"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    household_id: Mapped[str] = mapped_column(ForeignKey("household.id"))
    name: Mapped[str]
    id_number_encrypted: Mapped[str]
    id_number_hash: Mapped[str]
    phone_encrypted: Mapped[str]
    is_head: Mapped[bool]
    labour_class: Mapped[str]


class HouseholdClassRow(Fact, Base):
    """Table `household_class`: 脱贫户, 监测对象, 低保, 五保 …"""

    __tablename__ = "household_class"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        Index(None, "household_id", "class_name"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    household_id: Mapped[str] = mapped_column(ForeignKey("household.id"))
    class_name: Mapped[str]


class PayeeAccountRow(Fact, Base):
    """Table `payee_account`: where a household's money goes, one account at a time."""

    __tablename__ = "payee_account"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        CheckConstraint("length(account_last4) <= 4", name="last4"),
        Index(None, "household_id"),
        Index(None, "account_hash"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    household_id: Mapped[str] = mapped_column(ForeignKey("household.id"))
    holder: Mapped[str]
    bank: Mapped[str]
    account_encrypted: Mapped[str]
    account_hash: Mapped[str]
    account_last4: Mapped[str]


guard_facts(HouseholdMemberRow.__table__, mutable=("id_number_encrypted", "phone_encrypted"))  # type: ignore[arg-type]
guard_facts(HouseholdClassRow.__table__)  # type: ignore[arg-type]
guard_facts(PayeeAccountRow.__table__, mutable=("account_encrypted",))  # type: ignore[arg-type]
put_under_seal(PayeeAccountRow.__table__, "收款账户", group="household_id", since="recorded_at")
guard_no_overlap(
    HouseholdClassRow.__table__,  # type: ignore[arg-type]
    key=("household_id", "class_name"),
    what="a household has a class once at a time",
)
guard_no_overlap(
    HouseholdMemberRow.__table__,  # type: ignore[arg-type]
    key=("household_id",),
    what="a household has one head at a time",
    only="is_head",
)
guard_no_overlap(
    PayeeAccountRow.__table__,  # type: ignore[arg-type]
    key=("household_id",),
    what="a household has one payee account at a time",
)


@dataclass(frozen=True, slots=True)
class Household:
    """A household: its village, its number there, its group (村民小组), the head's full name, its dates."""

    id: str
    village_code: str
    number: str
    name: str
    registered_on: date
    village_group: str = ""
    left_on: date | None = None

    @property
    def masked_name(self) -> str:
        """The name as the public may see it, such as 张*明."""
        return mask_name(self.name)


@dataclass(frozen=True, slots=True, repr=False)
class NewMember:
    """A member to be recorded, with plain ID number and phone; never kept, never printed."""

    household_id: str
    name: str
    id_number: str
    valid_from: date
    phone: str = ""
    is_head: bool = False
    labour_class: str = LabourClass.ABLE
    valid_to: date | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A member as an office's screen shows it: ID number and phone masked."""

    id: str
    household_id: str
    name: str
    id_number_masked: str
    phone_masked: str
    is_head: bool
    labour_class: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class HouseholdClass:
    """A class of a household in [valid_from, valid_to)."""

    household_id: str
    class_name: str
    valid_from: date
    valid_to: date | None = None


@dataclass(frozen=True, slots=True, repr=False)
class NewPayeeAccount:
    """A payee account to be recorded, with its plain number; never kept, never printed."""

    household_id: str
    holder: str
    bank: str
    account: str
    valid_from: date
    valid_to: date | None = None


@dataclass(frozen=True, slots=True)
class PayeeAccount:
    """A payee account as a screen shows it: only the last four digits."""

    id: str
    household_id: str
    holder: str
    bank: str
    account_masked: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True, repr=False)
class PlainPayeeAccount:
    """A payee account with its whole number, for a bank file only; never printed, never logged."""

    id: str
    household_id: str
    holder: str
    bank: str
    account: str


@dataclass(frozen=True, slots=True)
class Disclosure:
    """Why a plain personal value is opened, and when; raises ValueError without a reason."""

    reason: str
    at: datetime

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError("查看完整个人信息必须写明理由")


def households(
    session: Session, actor: Actor, village_code: str | None = None, *, on: date | None = None
) -> tuple[Household, ...]:
    """Return the households of the actor's area, or of one village in it, by village and number.

    `on` leaves out households that were not registered yet, or had left, on that day.
    """
    actor.require(Permission.VIEW_HOUSEHOLDS)
    statement = scope(select(HouseholdRow), actor, HouseholdRow.village_code).where(
        HouseholdRow.withdrawn_at.is_(None)
    )
    if village_code is not None:
        statement = statement.where(HouseholdRow.village_code == village_code)
    if on is not None:
        statement = statement.where(
            HouseholdRow.registered_on <= on, HouseholdRow.left_on.is_(None) | (HouseholdRow.left_on > on)
        )
    statement = statement.order_by(HouseholdRow.village_code, HouseholdRow.number, HouseholdRow.id)
    return tuple(as_record(Household, row) for row in session.scalars(statement))


def household(session: Session, actor: Actor, household_id: str) -> Household | None:
    """Return a household of the actor's area, or None where there is none (or it lies outside)."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    statement = scope(select(HouseholdRow), actor, HouseholdRow.village_code).where(
        HouseholdRow.withdrawn_at.is_(None)
    )
    row = session.scalar(statement.where(HouseholdRow.id == household_id))
    return None if row is None else as_record(Household, row)


def members(session: Session, actor: Actor, ring: KeyRing, household_id: str) -> tuple[Member, ...]:
    """Return what is known of a household's members, masked, the head first."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    statement = (
        scope(select(HouseholdMemberRow).join(HouseholdRow), actor, HouseholdRow.village_code)
        .where(HouseholdMemberRow.household_id == household_id, known(HouseholdMemberRow))
        .order_by(HouseholdMemberRow.is_head.desc(), HouseholdMemberRow.valid_from, HouseholdMemberRow.id)
    )
    return tuple(
        Member(
            row.id,
            row.household_id,
            row.name,
            mask_id_number(ring.decrypt("id_number", row.id_number_encrypted)),
            mask_phone(ring.decrypt("phone", row.phone_encrypted)),
            row.is_head,
            row.labour_class,
            row.valid_from,
            row.valid_to,
        )
        for row in session.scalars(statement)
    )


def classes(session: Session, actor: Actor, household_id: str) -> tuple[HouseholdClass, ...]:
    """Return what is known of a household's classes, by date."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    statement = scope(select(HouseholdClassRow).join(HouseholdRow), actor, HouseholdRow.village_code)
    statement = statement.where(HouseholdClassRow.household_id == household_id, known(HouseholdClassRow))
    statement = statement.order_by(HouseholdClassRow.valid_from, HouseholdClassRow.class_name)
    return tuple(as_record(HouseholdClass, row) for row in session.scalars(statement))


def payee_accounts(session: Session, actor: Actor, household_id: str) -> tuple[PayeeAccount, ...]:
    """Return what is known of a household's payee accounts, masked, by date."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    statement = scope(select(PayeeAccountRow).join(HouseholdRow), actor, HouseholdRow.village_code)
    statement = statement.where(PayeeAccountRow.household_id == household_id, known(PayeeAccountRow))
    return tuple(
        PayeeAccount(
            row.id,
            row.household_id,
            row.holder,
            row.bank,
            mask_account(row.account_last4),
            row.valid_from,
            row.valid_to,
        )
        for row in session.scalars(statement.order_by(PayeeAccountRow.valid_from, PayeeAccountRow.id))
    )


def plain_payee_accounts(
    session: Session, actor: Actor, ring: KeyRing, on: date, disclosure: Disclosure
) -> dict[str, PlainPayeeAccount]:
    """Return the whole account numbers that hold on a day, by household, for a bank file.

    Needs the permission to export a batch; the access is audited with its reason.
    """
    actor.require(Permission.EXPORT_BATCH)
    statement = scope(select(PayeeAccountRow).join(HouseholdRow), actor, HouseholdRow.village_code)
    rows = session.scalars(statement.where(known(PayeeAccountRow), holds_on(PayeeAccountRow, on))).all()
    detail = {"accounts": len(rows), "on": on}
    entry = audit.Entry("unmask", "payee_account", actor.area, reason=disclosure.reason, detail=detail)
    audit.record(session, actor, entry, disclosure.at)
    return {
        row.household_id: PlainPayeeAccount(
            row.id,
            row.household_id,
            row.holder,
            row.bank,
            ring.decrypt("account", row.account_encrypted),
        )
        for row in rows
    }


def unmask_id_number(
    session: Session, actor: Actor, ring: KeyRing, member_id: str, disclosure: Disclosure
) -> str:
    """Return a member's whole ID number; audited with the reason.

    Raises LookupError where the member is unknown or outside the actor's area.
    """
    actor.require(Permission.UNMASK_PERSONAL_DATA)
    statement = scope(select(HouseholdMemberRow).join(HouseholdRow), actor, HouseholdRow.village_code)
    row = session.scalar(statement.where(HouseholdMemberRow.id == member_id))
    if row is None:
        raise LookupError(f"辖区内没有成员 {member_id}")
    entry = audit.Entry("unmask", "household_member", member_id, reason=disclosure.reason)
    audit.record(session, actor, entry, disclosure.at)
    return ring.decrypt("id_number", row.id_number_encrypted)


def find_by_id_number(session: Session, actor: Actor, ring: KeyRing, id_number: str) -> tuple[str, ...]:
    """Return the ids of the households of the actor's area in which a person is known to be a member."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    hashed = ring.lookup_hash("id_number", id_number.strip().upper())
    statement = select(HouseholdMemberRow.household_id).join(HouseholdRow).distinct()
    statement = scope(statement, actor, HouseholdRow.village_code).where(
        HouseholdMemberRow.id_number_hash == hashed, known(HouseholdMemberRow)
    )
    return tuple(session.scalars(statement.order_by(HouseholdMemberRow.household_id)))


def add_household(session: Session, actor: Actor, record: Household, now: datetime) -> None:
    """Record a household of the actor's area."""
    actor.require(Permission.EDIT_REGISTRY)
    if not actor.covers(record.village_code):
        raise PermissionError(f"{record.village_code} 不在 {actor.name} 的辖区内")
    session.add(HouseholdRow(**as_columns(record), recorded_at=now, recorded_by=actor.user_id))
    session.flush()


def leave(session: Session, actor: Actor, household_id: str, left_on: date, now: datetime) -> None:
    """Record that a household left on a day; its enrolments end by their own decision, not by this."""
    revise(session, actor, _own(session, actor, household_id), {"left_on": left_on}, now)


def update_household(session: Session, actor: Actor, record: Household, now: datetime) -> bool:
    """Change a household to what the record says; the state before is kept. Tell whether it changed."""
    row = _own(session, actor, record.id)
    if row.village_code != record.village_code:
        raise ValueError(f"户 {record.id} 换村须先在原村登记迁出")
    return revise(session, actor, row, as_columns(record), now)


def add_member(session: Session, actor: Actor, ring: KeyRing, record: NewMember, now: datetime) -> str:
    """Record a member and return the fact's id; the ID number is stored encrypted and hashed."""
    _own(session, actor, record.household_id)
    id_number = record.id_number.strip().upper()
    row = HouseholdMemberRow(
        id=new_id("member"),
        household_id=record.household_id,
        name=record.name,
        id_number_encrypted=ring.encrypt("id_number", id_number),
        id_number_hash=ring.lookup_hash("id_number", id_number),
        phone_encrypted=ring.encrypt("phone", record.phone),
        is_head=record.is_head,
        labour_class=record.labour_class,
        valid_from=record.valid_from,
        valid_to=record.valid_to,
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    return row.id


def add_class(session: Session, actor: Actor, record: HouseholdClass, now: datetime) -> str:
    """Record a class of a household and return the fact's id."""
    _own(session, actor, record.household_id)
    row = HouseholdClassRow(
        id=new_id("class"), **as_columns(record), recorded_at=now, recorded_by=actor.user_id
    )
    session.add(row)
    session.flush()
    return row.id


def add_payee_account(
    session: Session, actor: Actor, ring: KeyRing, record: NewPayeeAccount, now: datetime
) -> str:
    """Record a payee account and return the fact's id; the number is stored encrypted and hashed."""
    _own(session, actor, record.household_id)
    row = PayeeAccountRow(
        id=new_id("payee"),
        household_id=record.household_id,
        holder=record.holder,
        bank=record.bank,
        account_encrypted=ring.encrypt("account", record.account),
        account_hash=ring.lookup_hash("account", record.account),
        account_last4=record.account[-4:],
        valid_from=record.valid_from,
        valid_to=record.valid_to,
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    return row.id


def withdraw_account(session: Session, actor: Actor, account_id: str, now: datetime) -> None:
    """Mark a payee account as no longer what is known; the next one can then be recorded."""
    row = session.get(PayeeAccountRow, account_id)
    if row is None:
        raise LookupError(f"没有收款账户 {account_id}")
    _own(session, actor, row.household_id)
    supersede(row, actor, now)
    session.flush()


def _own(session: Session, actor: Actor, household_id: str) -> HouseholdRow:
    actor.require(Permission.EDIT_REGISTRY)
    row = session.get(HouseholdRow, household_id)
    if row is None or row.withdrawn_at is not None or not actor.covers(row.village_code):
        raise LookupError(f"{actor.name} 的辖区内没有户 {household_id}")
    return row
