"""A change of a payee account takes a second person and a waiting time."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from registry import households, rotation
from registry.account_changes import (
    WantedAccount,
    account_changes,
    confirm_change,
    reject_change,
    request_change,
)
from registry.actors import Actor, NotPermittedError, Role
from registry.households import Disclosure
from store.problem import ProblemsError

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
TODAY = date(2026, 11, 20)
FIRST = Actor("first", "县经办甲", Role.COUNTY, "520491000000")
SECOND = Actor("second", "县经办乙", Role.COUNTY, "520491000000")
FINANCE = Actor("finance", "县财政", Role.FINANCE)
WHY = Disclosure("存折丢失，本人申请", NOW)
NEW = "6210000000000077"


def ask(world, account: str = NEW) -> str:
    with world.database.transaction() as session:
        wanted = WantedAccount("h0-1", "张小明", "邮储", account)
        return request_change(session, FIRST, world.ring, wanted, WHY)


def account_on(world, on: date) -> str:
    with world.database.transaction() as session:
        found = households.plain_payee_accounts(session, FINANCE, world.ring, on, Disclosure("导出", NOW))
    return found["h0-1"].account


def test_the_new_account_holds_after_the_waiting_time_and_the_old_one_until_then(filled_both) -> None:
    old = filled_both.account_of["h0-1"]
    change = ask(filled_both)
    assert account_on(filled_both, TODAY + timedelta(days=30)) == old
    with filled_both.database.transaction() as session:
        effective = confirm_change(session, SECOND, change, NOW)
    assert effective == TODAY + timedelta(days=3)
    assert account_on(filled_both, effective - timedelta(days=1)) == old
    assert account_on(filled_both, effective) == NEW


def test_nobody_confirms_an_own_change(filled_both) -> None:
    change = ask(filled_both)
    with filled_both.database.transaction() as session, pytest.raises(ProblemsError, match="申请人不能复核"):
        confirm_change(session, FIRST, change, NOW)
    statement = (
        "UPDATE payee_account_change SET decision = 'confirmed', decided_at = requested_at, "
        "decided_by = requested_by, effective_on = '2026-11-20'"
    )
    with pytest.raises(DBAPIError), filled_both.database.transaction() as session:
        session.execute(text(statement))


def test_a_decided_change_stays_as_it_is(filled_both) -> None:
    change = ask(filled_both)
    with filled_both.database.transaction() as session:
        reject_change(session, SECOND, change, NOW)
        with pytest.raises(ProblemsError, match="已经处理过"):
            confirm_change(session, SECOND, change, NOW)
    for statement in (
        "UPDATE payee_account_change SET decision = ''",
        "UPDATE payee_account_change SET bank = 'x'",
        "DELETE FROM payee_account_change",
    ):
        with pytest.raises(DBAPIError), filled_both.database.transaction() as session:
            session.execute(text(statement))
    assert account_on(filled_both, TODAY) == filled_both.account_of["h0-1"]
    assert ask(filled_both)


def test_one_change_is_open_at_a_time_and_the_present_account_is_none(filled) -> None:
    with pytest.raises(ProblemsError, match="相同"):
        ask(filled, filled.account_of["h0-1"])
    ask(filled)
    with pytest.raises(ProblemsError, match="未复核"):
        ask(filled, "6210000000000088")


def test_open_and_recently_decided_changes_are_listed_masked_inside_the_area(filled) -> None:
    change = ask(filled)
    elsewhere = Actor("x", "外县", Role.COUNTY, "520492000000")
    with filled.database.transaction() as session:
        (shown,) = account_changes(session, SECOND, "520491100200")
        assert change not in {one.id for one in account_changes(session, elsewhere)}
        with pytest.raises(LookupError):
            confirm_change(session, elsewhere, change, NOW)
        with pytest.raises(NotPermittedError):
            confirm_change(session, FINANCE, change, NOW)
        confirm_change(session, SECOND, change, NOW)
        village = "520491100200"
        assert len(account_changes(session, SECOND, village, since=NOW)) == 1
        assert account_changes(session, SECOND, village, since=NOW + timedelta(seconds=1)) == ()
    assert (shown.former_masked, shown.wanted_masked) == ("**** 0001", "**** 0077")
    assert NEW not in repr(shown)
    assert NEW not in repr(WantedAccount("h", "张", "邮储", NEW))


def test_a_rotated_key_opens_changes_too(filled) -> None:
    change = ask(filled)
    rotated = filled.ring.with_new_key()
    with filled.database.transaction() as session:
        rotation.encrypt_anew(session, Actor("a", "管理员", Role.COUNTY), rotated, NOW)
        confirm_change(session, SECOND, change, NOW)
        found = households.plain_payee_accounts(
            session, FINANCE, rotated, TODAY + timedelta(days=9), Disclosure("导出", NOW)
        )
        assert (
            session.scalar(text("SELECT count(*) FROM payee_account WHERE account_encrypted LIKE 'k1:%'"))
            == 0
        )
    assert found["h0-1"].account == NEW
