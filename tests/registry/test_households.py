"""Personal data: encrypted at rest, masked when read, opened only against a reason."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from registry import audit, households, rotation
from registry.actors import Actor, NotPermittedError, Role
from registry.households import Disclosure, HouseholdClass, NewPayeeAccount

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
TODAY = date(2026, 11, 20)
START = date(2020, 1, 1)
CLERK = Actor("clerk", "县经办", Role.COUNTY)
FINANCE = Actor("finance", "县财政", Role.FINANCE)


def dump(world) -> str:
    with world.database.reading() as session:
        names = [
            row[0] for row in session.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
        ]
        return "\n".join(
            repr(tuple(row))
            for name in names
            for row in session.execute(text(f'SELECT * FROM "{name}"'))  # noqa: S608
        )


def test_no_id_number_account_or_phone_is_readable_in_the_database_file(world) -> None:
    everything = dump(world)
    for plain in (*world.id_number_of.values(), *world.account_of.values(), "13800001234"):
        assert plain not in everything
        assert plain[:-4] not in everything


def test_members_and_accounts_are_read_masked(world) -> None:
    home = world.households[0]
    with world.database.reading() as session:
        (member,) = households.members(session, CLERK, world.ring, home)
        (account,) = households.payee_accounts(session, CLERK, home)
    assert member.id_number_masked == world.id_number_of[home][:3] + "*" * 11 + world.id_number_of[home][-4:]
    assert member.phone_masked == "138****1234"
    assert account.account_masked == "**** " + world.account_of[home][-4:]


def test_records_with_plain_values_do_not_print_them(world) -> None:
    home = world.households[0]
    plain = world.account_of[home]
    assert plain not in repr(NewPayeeAccount(home, "张三", "农信社", plain, START))
    with world.database.transaction() as session:
        found = households.plain_payee_accounts(session, FINANCE, world.ring, TODAY, Disclosure("导出", NOW))
    assert found[home].account == plain
    assert plain not in repr(found)


def test_opening_an_id_number_needs_a_reason_a_permission_and_leaves_a_trace(filled) -> None:
    member, home = filled.members[0], filled.households[0]
    with filled.database.transaction() as session:
        plain = households.unmask_id_number(session, CLERK, filled.ring, member, Disclosure("核对证件", NOW))
        event = audit.events(session, Actor("a", "审计", Role.AUDITOR), object_kind="household_member")[0]
        with pytest.raises(NotPermittedError):
            households.unmask_id_number(session, FINANCE, filled.ring, member, Disclosure("好奇", NOW))
    assert plain == filled.id_number_of[home]
    assert (event.action, event.object_id, event.reason) == ("unmask", member, "核对证件")
    assert plain not in repr(event)
    with pytest.raises(ValueError, match="理由"):
        Disclosure("  ", NOW)


def test_a_bank_file_needs_the_right_to_export_and_leaves_a_trace(filled) -> None:
    with filled.database.transaction() as session:
        before = audit.head(session).seq
        with pytest.raises(NotPermittedError):
            households.plain_payee_accounts(session, CLERK, filled.ring, TODAY, Disclosure("导出", NOW))
        households.plain_payee_accounts(session, FINANCE, filled.ring, TODAY, Disclosure("导出", NOW))
        assert audit.head(session).seq == before + 1


def test_a_person_is_found_by_number_however_the_letter_is_written(filled) -> None:
    home = filled.households[0]
    with filled.database.transaction() as session:
        new = households.NewMember(home, "李四", "52049119600101123x", START)
        households.add_member(session, CLERK, filled.ring, new, NOW)
        assert households.find_by_id_number(session, CLERK, filled.ring, " 52049119600101123X") == (home,)


def test_a_household_has_one_account_and_each_class_once_at_a_time(filled) -> None:
    home = filled.households[0]
    second = NewPayeeAccount(home, "张三", "邮储", "6210000000000001", TODAY)
    with pytest.raises(DBAPIError, match="one payee account"), filled.database.transaction() as session:
        households.add_payee_account(session, CLERK, filled.ring, second, NOW)
    with pytest.raises(DBAPIError, match="once at a time"), filled.database.transaction() as session:
        households.add_class(session, CLERK, HouseholdClass(home, "脱贫户", TODAY), NOW)
    with filled.database.transaction() as session:
        (old,) = households.payee_accounts(session, CLERK, home)
        households.withdraw_account(session, CLERK, old.id, NOW)
        households.add_payee_account(session, CLERK, filled.ring, second, NOW)
        assert [one.bank for one in households.payee_accounts(session, CLERK, home)] == ["邮储"]


def test_new_ciphertexts_may_be_written_under_a_new_key_and_nothing_else(filled) -> None:
    rotated = filled.ring.with_new_key()
    with filled.database.transaction() as session:
        assert rotation.encrypt_anew(session, CLERK, rotated, NOW) == 3 * len(filled.members)
        assert rotation.encrypt_anew(session, CLERK, rotated, NOW) == 0
        (member,) = households.members(session, CLERK, rotated, filled.households[0])
        found = households.find_by_id_number(
            session, CLERK, rotated, filled.id_number_of[filled.households[0]]
        )
    assert member.phone_masked == "138****1234"
    assert found == (filled.households[0],)
    with pytest.raises(DBAPIError), filled.database.transaction() as session:
        session.execute(text("UPDATE household_member SET id_number_hash = ''"))


def test_a_household_that_left_is_listed_until_it_left(filled) -> None:
    home, left = filled.households[0], date(2026, 6, 1)
    with filled.database.transaction() as session:
        households.leave(session, CLERK, home, left, NOW + timedelta(hours=1))
        listed = {one.id for one in households.households(session, CLERK, on=left - timedelta(days=1))}
        after = {one.id for one in households.households(session, CLERK, on=left)}
    assert home in listed
    assert home not in after
