"""Writes the demo county into the registry: divisions, stations, people, users.

Owns the order and the recorded dates. Rows go through the registry's functions where there are few, and
in bulk through its tables (with the same guards of the database) where there are thousands.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.demo import names
from api.demo.county import County
from api.demo.people import Departure, People
from registry.actors import SYSTEM, Actor, Role
from registry.contacts import NewContact, set_contact
from registry.divisions import add_division
from registry.enrolment import Attendance, AttendanceRow, EnrolmentRow, PostRow, end_enrolment
from registry.facts import as_columns, known
from registry.households import (
    HouseholdClassRow,
    HouseholdMemberRow,
    HouseholdRow,
    NewMember,
    NewPayeeAccount,
    PayeeAccountRow,
    leave,
)
from registry.secrets import KeyRing
from registry.stations import (
    DeviceRow,
    add_revenue_meter,
    add_station,
    set_shares,
)
from registry.users import NewUser, UserRow, create_user
from store.db import Base, new_id
from store.periods import Period, local_midnight

REGISTRAR = Actor("demo_registrar", "演示数据录入", Role.COUNTY)
"""Stands for the office that filled the registry before the demo begins."""


@dataclass(frozen=True, slots=True)
class Login:
    """A login made for the demo, with the one-time password that must be changed at the first use."""

    login: str
    role: str
    password: str
    name: str = ""


def register_county(session: Session, county: County) -> None:
    """Record divisions, stations, shares, devices and revenue meters, as of the day before the epoch."""
    now = local_midnight(county.story.epoch - timedelta(days=1))
    for division in county.divisions:
        add_division(session, REGISTRAR, division, now)
    for station in county.stations:
        add_station(session, REGISTRAR, station, now)
    for station_id in sorted({share.station_id for share in county.shares}):
        parts = [share for share in county.shares if share.station_id == station_id]
        set_shares(session, REGISTRAR, station_id, parts, now)
    for device in county.devices:
        installed = local_midnight(device.installed_on) if device.replaces else now
        session.add(DeviceRow(**as_columns(device), recorded_at=installed, recorded_by=REGISTRAR.user_id))
    session.flush()
    for meter in county.meters:
        add_revenue_meter(session, REGISTRAR, meter, now)


def register_people(session: Session, county: County, people: People, ring: KeyRing) -> None:
    """Record households, members, classes, accounts, enrolments and posts, then those who left."""
    now = local_midnight(county.story.epoch - timedelta(days=1))
    stamp = {"recorded_at": now, "recorded_by": REGISTRAR.user_id}
    families = people.families
    _add(session, (HouseholdRow(**as_columns(one.household), **stamp) for one in families))
    _add(session, (_member(ring, one, stamp) for family in families for one in family.members))
    _add(
        session,
        (
            HouseholdClassRow(id=new_id("class"), **as_columns(one), **stamp)
            for family in families
            for one in family.classes
        ),
    )
    _add(session, (_account(ring, one.account, stamp) for one in families))
    enrolled = (one.enrolment for one in families if one.enrolment is not None)
    _add(
        session,
        (EnrolmentRow(id=new_id("enrolment"), **as_columns(one), **stamp) for one in enrolled),
    )
    _add(session, (PostRow(**as_columns(one), **stamp) for one in people.posts))
    for departure in people.departures:
        _depart(session, departure)


def register_contacts(session: Session, county: County, now: datetime) -> None:
    """Record the offices that notices name; the telephones are made up and ring nowhere."""
    since = county.story.epoch
    offices = [(county.code, "县农业农村局", "0999-0000001")]
    offices += [
        (code, "乡镇纪委", f"0999-00001{number:02d}") for number, code in enumerate(county.township_codes)
    ]
    offices += [
        (code, "村务监督委员会", f"0999-0002{number:03d}") for number, code in enumerate(county.village_codes)
    ]
    for code, office, phone in offices:
        set_contact(session, REGISTRAR, NewContact(code, office, phone, since), now)


def _add(session: Session, rows: Iterable[Base]) -> None:
    session.add_all(list(rows))
    session.flush()
    session.expunge_all()


def _member(ring: KeyRing, member: NewMember, stamp: dict[str, object]) -> HouseholdMemberRow:
    return HouseholdMemberRow(
        id=new_id("member"),
        household_id=member.household_id,
        name=member.name,
        id_number_encrypted=ring.encrypt("id_number", member.id_number),
        id_number_hash=ring.lookup_hash("id_number", member.id_number),
        phone_encrypted=ring.encrypt("phone", member.phone),
        is_head=member.is_head,
        labour_class=member.labour_class,
        valid_from=member.valid_from,
        valid_to=member.valid_to,
        **stamp,
    )


def _account(ring: KeyRing, account: NewPayeeAccount, stamp: dict[str, object]) -> PayeeAccountRow:
    return PayeeAccountRow(
        id=new_id("payee"),
        household_id=account.household_id,
        holder=account.holder,
        bank=account.bank,
        account_encrypted=ring.encrypt("account", account.account),
        account_hash=ring.lookup_hash("account", account.account),
        account_last4=account.account[-4:],
        valid_from=account.valid_from,
        valid_to=account.valid_to,
        **stamp,
    )


def _depart(session: Session, departure: Departure) -> None:
    now = local_midnight(departure.on)
    leave(session, REGISTRAR, departure.household_id, departure.on, now)
    statement = select(EnrolmentRow.id).where(
        EnrolmentRow.household_id == departure.household_id, known(EnrolmentRow)
    )
    for enrolment_id in session.scalars(statement).all():
        end_enrolment(session, REGISTRAR, enrolment_id, departure.on, now)


def visitors(county: County) -> tuple[NewUser, ...]:
    """Return the logins that are handed to whoever looks at the demo: one of each role, two of the county."""
    village, township = county.village_codes[0], county.township_codes[0]
    place = {division.code: division.name for division in county.divisions}
    return (
        NewUser("county", "县乡村振兴局经办", Role.COUNTY, county.code),
        NewUser("leader", "县乡村振兴局负责人", Role.COUNTY, county.code),
        NewUser("township", f"{place[township]}经办", Role.TOWNSHIP, township),
        NewUser("village", f"{place[village]}村干部", Role.VILLAGE, village),
        NewUser("finance", "县财政局结算岗", Role.FINANCE, county.code),
        NewUser("maintenance", "光伏运维公司", Role.MAINTENANCE, county.code, names.COMPANY),
        NewUser("auditor", "县审计局", Role.AUDITOR, county.code),
    )


def register_visitors(session: Session, county: County, now: datetime) -> tuple[Login, ...]:
    """Make the visitors' logins with fresh one-time passwords; those that exist are left alone."""
    taken = set(session.scalars(select(UserRow.login)))
    made = []
    maker = Actor(SYSTEM.user_id, SYSTEM.name, Role.COUNTY)
    for new in visitors(county):
        if new.login not in taken:
            password = create_user(session, maker, new, now)
            made.append(Login(new.login, new.role, password, new.name))
    return tuple(made)


def played(county: County) -> tuple[Actor, ...]:
    """Return the people who did the county's past work; they are played, and nobody can log in as them."""
    place = {division.code: division.name for division in county.divisions}
    office = (
        Actor("demo_clerk", "县结转机构 王会计", Role.COUNTY, county.code),
        Actor("demo_leader", "县乡村振兴局 李主任", Role.COUNTY, county.code),
        Actor("demo_cashier", "县财政局 赵出纳", Role.FINANCE, county.code),
        Actor("demo_settler", "供电公司结算 孙专责", Role.FINANCE, county.code),
        Actor("demo_worker", "惠民光伏运维 吴师傅", Role.MAINTENANCE, county.code, names.COMPANY),
    )
    townships = tuple(
        Actor(f"demo_township_{code[6:9]}", f"{place[code]} 分管副镇长", Role.TOWNSHIP, code)
        for code in county.township_codes
    )
    villages = tuple(
        Actor(f"demo_village_{code[6:]}", f"{place[code]} 村主任", Role.VILLAGE, code)
        for code in county.village_codes
    )
    return (*office, *townships, *villages)


def register_played(session: Session, county: County) -> None:
    """Record the played people as disabled users, so that votes and records name somebody who exists."""
    now = local_midnight(county.story.epoch - timedelta(days=1))
    for actor in played(county):
        session.add(
            UserRow(
                id=actor.user_id,
                login=actor.user_id.replace("_", "-"),
                name=actor.name,
                role=actor.role,
                area=actor.area,
                password_hash="!",  # noqa: S106, no password has this hash
                password_set_at=now,
                disabled=True,
                must_change_password=True,
                failed_count=0,
                locked_until=None,
                recorded_at=now,
                recorded_by=REGISTRAR.user_id,
            )
        )
    session.flush()


def register_attendance(session: Session, records: Iterable[Attendance], now: datetime) -> None:
    """Record what was served on posts in a month that has no attendance yet."""
    thousand = 1000
    _add(
        session,
        (
            AttendanceRow(
                id=new_id("attendance"),
                post_id=record.post_id,
                month=record.month,
                units=int(record.units * thousand),
                coefficient=int(record.coefficient * thousand),
                document=record.document,
                valid_from=Period.parse(record.month).start,
                valid_to=Period.parse(record.month).end,
                recorded_at=now,
                recorded_by=REGISTRAR.user_id,
            )
            for record in records
        ),
    )
