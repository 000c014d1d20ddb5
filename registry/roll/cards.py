"""The roll as books show it: every household of an area in a line, and one household's whole card.

Owns reading only. Numbers of people come masked; money is not known here.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.account_changes import AccountChange, account_changes
from registry.actors import Actor, Permission, area_prefix, scope
from registry.enrolment import Enrolment, EnrolmentRow, Post, PostRow
from registry.facts import as_record, holds_on, known
from registry.households import (
    Disclosure,
    Household,
    HouseholdClass,
    HouseholdClassRow,
    HouseholdMemberRow,
    HouseholdRow,
    Member,
    PayeeAccount,
    PayeeAccountRow,
    household,
    unmask_id_number,
)
from registry.masking import mask_account, mask_id_number, mask_phone
from registry.revisions import known_at, known_of_all
from registry.roll.lifecycle import HouseholdEvent, household_events
from registry.roll.measures import Measure, measures
from registry.secrets import KeyRing
from store.problem import Problem, ProblemsError


@dataclass(frozen=True, slots=True)
class RollEntry:
    """A household in a village's book on a day: who, how many persons, which classes and components."""

    household_id: str
    village_code: str
    number: str
    name: str
    village_group: str
    persons: int
    classes: tuple[str, ...]
    components: tuple[str, ...]
    weight: int
    registered_on: date
    left_on: date | None

    def present(self, on: date) -> bool:
        """Tell whether the household is on the roll on a day."""
        return self.registered_on <= on and (self.left_on is None or self.left_on > on)


@dataclass(frozen=True, slots=True)
class HouseholdCard:
    """All that the registry knows of a household, as known at an instant, masked."""

    household: Household
    members: tuple[Member, ...]
    classes: tuple[HouseholdClass, ...]
    enrolments: tuple[Enrolment, ...]
    posts: tuple[Post, ...]
    accounts: tuple[PayeeAccount, ...]
    changes: tuple[AccountChange, ...]
    events: tuple[HouseholdEvent, ...]
    measures: tuple[Measure, ...]


def roll_entries(
    session: Session, actor: Actor, area: str, on: date, *, at: datetime | None = None
) -> tuple[RollEntry, ...]:
    """Return every household of an area inside the actor's, as known now or `at` an instant, by number.

    Classes, persons and components are those of the day `on`; households that left are listed too.
    """
    actor.require(Permission.VIEW_HOUSEHOLDS)
    statement = _homes(actor, area)
    persons = _counted(session, actor, area, (on, at))
    classes = _words(session, actor, area, (on, at))
    parts = _parts(session, actor, area, (on, at))
    rows = session.scalars(
        statement.order_by(HouseholdRow.village_code, HouseholdRow.number, HouseholdRow.id)
    ).all()
    homes = _homes_as_known(session, rows, statement, at)
    found = []
    for row in rows:
        columns = homes.get(row.id)
        if columns is None:
            continue
        enrolled = parts.get(row.id, [])
        found.append(
            RollEntry(
                row.id,
                row.village_code,
                columns.number,
                columns.name,
                columns.village_group,
                persons.get(row.id, 0),
                tuple(classes.get(row.id, ())),
                tuple(dict.fromkeys(one.component for one in enrolled)),
                sum(one.weight or 0 for one in enrolled),
                columns.registered_on,
                columns.left_on,
            )
        )
    return tuple(found)


def _homes(actor: Actor, area: str) -> Any:
    return scope(select(HouseholdRow), actor, HouseholdRow.village_code).where(
        HouseholdRow.village_code.startswith(area_prefix(area)), HouseholdRow.withdrawn_at.is_(None)
    )


def _homes_as_known(
    session: Session, rows: Sequence[HouseholdRow], homes: Any, at: datetime | None
) -> dict[str, Household]:
    """Return the households by id as known now or at an instant, in one question."""
    changed = [row for row in rows if at is not None and row.recorded_at > at]
    former: dict[str, Mapping[str, Any]] = {}
    if at is not None and changed:
        former = known_of_all(session, changed, homes.with_only_columns(HouseholdRow.id), at)
    found = {row.id: as_record(Household, row) for row in rows if at is None or row.recorded_at <= at}
    return found | {row.id: _former(row, former[row.id]) for row in changed if row.id in former}


def _as_known(session: Session, row: HouseholdRow, at: datetime | None) -> Household | None:
    if at is None or row.recorded_at <= at:
        return as_record(Household, row)
    former = known_at(session, row, at)
    return None if former is None else _former(row, former)


def _former(row: HouseholdRow, former: Mapping[str, Any]) -> Household:
    left = former["left_on"]
    return Household(
        row.id,
        row.village_code,
        former["number"],
        former["name"],
        date.fromisoformat(former["registered_on"]),
        former["village_group"],
        None if left is None else date.fromisoformat(left),
    )


def _of_area(table: Any, actor: Actor, area: str, when: tuple[date, datetime | None]) -> Any:
    statement = select(table).join(HouseholdRow, HouseholdRow.id == table.household_id)
    statement = scope(statement, actor, HouseholdRow.village_code)
    return statement.where(
        HouseholdRow.village_code.startswith(area_prefix(area)),
        known(table, when[1]),
        holds_on(table, when[0]),
    )


def _counted(session: Session, actor: Actor, area: str, when: tuple[date, datetime | None]) -> dict[str, int]:
    inner = _of_area(HouseholdMemberRow, actor, area, when)
    statement = inner.with_only_columns(HouseholdMemberRow.household_id, func.count())
    return {row[0]: row[1] for row in session.execute(statement.group_by(HouseholdMemberRow.household_id))}


def _words(
    session: Session, actor: Actor, area: str, when: tuple[date, datetime | None]
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    statement = _of_area(HouseholdClassRow, actor, area, when)
    for row in session.scalars(
        statement.order_by(HouseholdClassRow.valid_from, HouseholdClassRow.class_name)
    ):
        found[row.household_id].append(row.class_name)
    return found


def _parts(
    session: Session, actor: Actor, area: str, when: tuple[date, datetime | None]
) -> dict[str, list[Enrolment]]:
    found: dict[str, list[Enrolment]] = defaultdict(list)
    statement = _of_area(EnrolmentRow, actor, area, when)
    for row in session.scalars(statement.order_by(EnrolmentRow.component, EnrolmentRow.valid_from)):
        found[row.household_id].append(as_record(Enrolment, row))
    return found


def household_card(
    session: Session, actor: Actor, ring: KeyRing, household_id: str, *, at: datetime | None = None
) -> HouseholdCard | None:
    """Return a household's card as known now or `at` an instant; None outside the actor's area."""
    present = household(session, actor, household_id)
    if present is None:
        return None
    home = _as_known(session, session.get_one(HouseholdRow, household_id), at)
    if home is None:
        return None

    def facts(table: Any) -> Any:
        statement = select(table).where(table.household_id == household_id, known(table, at))
        return session.scalars(statement.order_by(table.valid_from, table.id)).all()

    changes = account_changes(session, actor, present.village_code)
    return HouseholdCard(
        home,
        tuple(_member(ring, row) for row in _head_first(facts(HouseholdMemberRow))),
        tuple(as_record(HouseholdClass, row) for row in facts(HouseholdClassRow)),
        tuple(as_record(Enrolment, row) for row in facts(EnrolmentRow)),
        tuple(as_record(Post, row) for row in facts(PostRow)),
        tuple(_account(row) for row in facts(PayeeAccountRow)),
        tuple(one for one in changes if one.household_id == household_id),
        household_events(session, actor, household_id, at=at),
        measures(session, actor, household_id=household_id, at=at),
    )


def _head_first(rows: Sequence[HouseholdMemberRow]) -> list[HouseholdMemberRow]:
    return sorted(rows, key=lambda row: not row.is_head)


def _member(ring: KeyRing, row: HouseholdMemberRow) -> Member:
    return Member(
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


def _account(row: PayeeAccountRow) -> PayeeAccount:
    shown = mask_account(row.account_last4)
    return PayeeAccount(row.id, row.household_id, row.holder, row.bank, shown, row.valid_from, row.valid_to)


def open_id_number(
    session: Session, actor: Actor, ring: KeyRing, member_id: str, reason: tuple[str, datetime]
) -> str:
    """Return a member's whole ID number against a written reason and moment; audited.

    Raises ProblemsError without a reason, LookupError outside the actor's area.
    """
    if not reason[0].strip():
        raise ProblemsError([Problem("理由", "没有写理由", "写明为什么要看完整号码，会记入审计")])
    return unmask_id_number(session, actor, ring, member_id, Disclosure(*reason))
