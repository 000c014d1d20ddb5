"""Where villagers turn with an objection: offices and their telephones, printed on every public notice.

Owns the dated facts of table `notice_contact`. An office's telephone is public; no person is named.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import CheckConstraint, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.actors import CODE_LENGTH, Actor, NotPermittedError, Permission, in_area
from registry.facts import Fact, as_record, guard_facts, guard_no_overlap, holds_on, known, supersede
from store.db import Base, new_id
from store.problem import Problem, ProblemsError

_PHONE = re.compile(r"[0-9][0-9 转\-]{2,28}[0-9]")
_OFFICE_LENGTH = 40
_ANCESTORS = (12, 9, 6, 4, 2)


class NoticeContactRow(Fact, Base):
    """Table `notice_contact`: the telephone of one office of a division in one span of days."""

    __tablename__ = "notice_contact"
    __table_args__ = (
        CheckConstraint("length(division_code) = 12", name="division_code"),
        CheckConstraint("office <> '' AND phone <> ''", name="filled"),
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="dates"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    division_code: Mapped[str] = mapped_column(String(CODE_LENGTH))
    office: Mapped[str]
    phone: Mapped[str]


guard_facts(NoticeContactRow.__table__)  # type: ignore[arg-type]
guard_no_overlap(
    NoticeContactRow.__table__,  # type: ignore[arg-type]
    key=("division_code", "office"),
    what="an office has one telephone at a time",
)


@dataclass(frozen=True, slots=True)
class NoticeContact:
    """An office of a division, its telephone, and the span of days in which both hold."""

    id: str
    division_code: str
    office: str
    phone: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class NewContact:
    """An office of a division and its telephone from a day on; an empty telephone ends it."""

    division_code: str
    office: str
    phone: str
    since: date


def set_contact(session: Session, actor: Actor, new: NewContact, now: datetime) -> None:
    """Record an office's telephone; what held before ends on that day, what was planned later is superseded.

    Saying the same again changes nothing. Raises ProblemsError for a text that is no telephone, and
    NotPermittedError outside the actor's area.
    """
    actor.require(Permission.EDIT_REGISTRY)
    code, office, phone = new.division_code, new.office.strip(), new.phone.strip()
    if not actor.covers(code):
        raise NotPermittedError(f"{actor.name} 的管辖范围不包括 {code}")
    if not 0 < len(office) <= _OFFICE_LENGTH:
        raise ProblemsError([Problem("单位", "没有写，或超过 40 个字", "写单位名称，如“村务监督委员会”")])
    if phone and not _PHONE.fullmatch(phone):
        raise ProblemsError([Problem(office, f"“{phone}”不像电话号码", "写成 0855-8000001 或 12388")])
    table = NoticeContactRow
    statement = select(table).where(table.division_code == code, table.office == office, known(table))
    present = session.scalars(statement.where(table.valid_to.is_(None) | (table.valid_to > new.since))).all()
    if [(row.phone, row.valid_to) for row in present] == [(phone, None)] and present[
        0
    ].valid_from <= new.since:
        return
    for row in present:
        supersede(row, actor, now)
        session.flush()
        if row.valid_from < new.since:
            _add(session, actor, (code, office, row.phone), (row.valid_from, new.since), now)
    if phone:
        _add(session, actor, (code, office, phone), (new.since, None), now)


def _add(
    session: Session,
    actor: Actor,
    what: tuple[str, str, str],
    span: tuple[date, date | None],
    now: datetime,
) -> None:
    code, office, phone = what
    session.add(
        NoticeContactRow(
            id=new_id("contact"),
            division_code=code,
            office=office,
            phone=phone,
            valid_from=span[0],
            valid_to=span[1],
            recorded_at=now,
            recorded_by=actor.user_id,
        )
    )
    session.flush()


def contacts_for(session: Session, village_code: str, on: date) -> tuple[NoticeContact, ...]:
    """Return the offices for a village on a day: its own first, then its township's, county's and above.

    They are printed on public notices, so no actor is asked for.
    """
    codes = [village_code[:length].ljust(CODE_LENGTH, "0") for length in _ANCESTORS]
    table = NoticeContactRow
    statement = select(table).where(table.division_code.in_(codes), known(table), holds_on(table, on))
    found = [as_record(NoticeContact, row) for row in session.scalars(statement)]
    return tuple(sorted(found, key=lambda one: (codes.index(one.division_code), one.office)))


def contact_lines(session: Session, village_code: str, on: date) -> tuple[str, ...]:
    """Return what a notice prints on a day, one line for each office: its name and its telephone."""
    return tuple(f"{one.office}　{one.phone}" for one in contacts_for(session, village_code, on))


def contacts(session: Session, actor: Actor) -> tuple[NoticeContact, ...]:
    """Return what is known of every office in the actor's area, by division, office and day."""
    actor.require(Permission.VIEW_MONEY)
    table = NoticeContactRow
    statement = select(table).where(known(table), in_area(actor, table.division_code))
    order = (table.division_code, table.office, table.valid_from)
    return tuple(as_record(NoticeContact, row) for row in session.scalars(statement.order_by(*order)))
