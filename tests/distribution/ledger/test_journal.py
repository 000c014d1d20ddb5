from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from distribution.ledger.balances import balances, period_state, reopen_period, set_period, verify_books
from distribution.ledger.journal import (
    AlreadyReversedError,
    Head,
    IdempotencyConflictError,
    OverdrawnError,
    PeriodClosedError,
    UnbalancedError,
    by_key,
    head,
    journals,
    post,
    reversal_of,
    reverse,
)
from distribution.types import Fund, JournalDraft, Posting
from registry.actors import SYSTEM, Actor, Role

NOW = datetime(2026, 10, 20, 3, 0, tzinfo=UTC)
BOOK = "520499101201"
COUNTY = Actor("u_county", "县", Role.COUNTY, "520499000000")
STRANGER = Actor("u_other", "外县", Role.COUNTY, "520498000000")


def draft(key="k1", amount=1000, account="bank", contra="deferred_income", **changes):
    values = {
        "book": BOOK,
        "business_date": date(2026, 10, 20),
        "kind": "test",
        "text": "测试",
        "idempotency_key": key,
        "source": f"test:{key}",
        "postings": (
            Posting(account, "", amount, Fund.ELECTRICITY),
            Posting(contra, "h1", -amount, Fund.ELECTRICITY),
        ),
    }
    return JournalDraft(**(values | changes))


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request):
    return request.getfixturevalue("database" if request.param == "sqlite" else "postgres")


def test_posting_twice_is_the_same_as_once(both):
    with both.transaction() as session:
        first = post(session, SYSTEM, draft(), NOW)
    with both.transaction() as session:
        assert post(session, SYSTEM, draft(), NOW) == first
        assert head(session, BOOK) == Head(1, first.hash)


def test_the_same_key_with_another_body_is_refused(database):
    with database.transaction() as session:
        post(session, SYSTEM, draft(), NOW)
        with pytest.raises(IdempotencyConflictError, match="已用于另一笔分录"):
            post(session, SYSTEM, draft(amount=999), NOW)


def test_an_unbalanced_fund_is_refused_in_code(database):
    legs = (Posting("bank", "", 5, Fund.ELECTRICITY), Posting("bank", "", -5, Fund.SUBSIDY))
    with database.transaction() as session, pytest.raises(UnbalancedError, match="借贷不平"):
        post(session, SYSTEM, draft(postings=legs), NOW)


def _raw(session, seq, legs, previous="0" * 64, period="2026-10"):
    for line, (account, fund, amount) in enumerate(legs, start=1):
        session.execute(
            text(
                "INSERT INTO posting (book, seq, line, account, holder, fund, amount_fen) "
                "VALUES (:book, :seq, :line, :account, '', :fund, :amount)"
            ),
            {"book": BOOK, "seq": seq, "line": line, "account": account, "fund": fund, "amount": amount},
        )
    session.execute(
        text(
            "INSERT INTO journal (book, seq, business_date, period, kind, text, idempotency_key, "
            "request_hash, source, attributes, previous_hash, hash, recorded_at, recorded_by) "
            "VALUES (:book, :seq, "
            "'2026-10-01', :period, 'x', 'x', :key, :h, '', '{}', :p, :h, '2026-10-01 00:00:00', 'x')"
        ),
        {"book": BOOK, "seq": seq, "period": period, "key": f"raw{seq}", "h": "a" * 64, "p": previous},
    )


@pytest.mark.parametrize(
    "case",
    [
        ([("bank", "electricity", 5), ("bank", "subsidy", -5)], 2, None, "2026-10", "balances in every fund"),
        ([("bank", "electricity", 5)], 2, None, "2026-10", "two postings|every fund"),
        (
            [("bank", "electricity", 5), ("cost", "electricity", -5)],
            3,
            None,
            "2026-10",
            "continues the chain",
        ),
        ([("bank", "electricity", 5), ("cost", "electricity", -5)], 2, "b" * 64, "2026-10", "continues the"),
        ([("bank", "electricity", 5), ("cost", "electricity", -5)], 2, None, "2026-09", "period is closed"),
        ([("payable_household", "subsidy", 5), ("cost", "subsidy", -5)], 2, None, "2026-10", "overdrawn"),
        ([("bank", "electricity", 5), ("cost", "electricity", -5)], 1, None, "2026-10", "sealed|duplicate"),
    ],
)
def test_the_database_itself_refuses_a_false_entry(both, case):
    legs, seq, previous, period, message = case
    with both.transaction() as session:
        first = post(session, SYSTEM, draft(), NOW)
        set_period(session, COUNTY, (BOOK, "2026-09"), "closed", NOW)
    with pytest.raises(DBAPIError, match=message), both.transaction() as session:
        _raw(session, seq, legs, previous or first.hash, period)


def test_the_database_accepts_a_true_entry_written_by_hand(both):
    with both.transaction() as session:
        first = post(session, SYSTEM, draft(), NOW)
        _raw(session, 2, [("bank", "electricity", 5), ("cost", "electricity", -5)], first.hash)


def test_orphan_postings_cannot_be_committed(both):
    with both.transaction() as session:
        post(session, SYSTEM, draft(), NOW)
    with pytest.raises(DBAPIError), both.transaction() as session:
        session.execute(
            text(
                "INSERT INTO posting (book, seq, line, account, holder, fund, amount_fen) "
                "VALUES (:book, 9, 1, 'bank', '', 'subsidy', 5)"
            ),
            {"book": BOOK},
        )


@pytest.mark.parametrize("table", ["journal", "posting", "ledger_book", "ledger_period"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET book = 'x'"])
def test_nothing_in_the_ledger_can_be_changed(both, table, statement):
    with both.transaction() as session:
        post(session, SYSTEM, draft(), NOW)
        set_period(session, COUNTY, (BOOK, "2026-09"), "closed", NOW)
    with pytest.raises(DBAPIError, match="append-only"), both.transaction() as session:
        session.execute(text(statement.format(table)))


def test_a_closed_period_takes_no_entry_until_the_county_reopens_it(database):
    with database.transaction() as session:
        post(session, SYSTEM, draft(), NOW)
        set_period(session, COUNTY, (BOOK, "2026-10"), "closed", NOW)
        with pytest.raises(PeriodClosedError, match="已结账"):
            post(session, SYSTEM, draft("k2"), NOW)
        post(session, SYSTEM, draft("k3", period="2026-11"), NOW)
        reopen_period(session, COUNTY, (BOOK, "2026-10"), "漏记一笔", NOW)
        assert period_state(session, BOOK, "2026-10") == "open"
        post(session, SYSTEM, draft("k2"), NOW)


def test_a_reversal_restores_balances_and_links_both_ways(database):
    with database.transaction() as session:
        first = post(session, SYSTEM, draft(), NOW)
        mirror = reverse(session, SYSTEM, first, reason="重复入账", now=NOW)
        assert balances(session, SYSTEM, book=BOOK) == ()
        assert mirror.reverses == first.seq
        assert reversal_of(session, first) == mirror
        assert reverse(session, SYSTEM, first, reason="重复入账", now=NOW) == mirror
        with pytest.raises(AlreadyReversedError, match="已由第 2 号冲正"):
            reverse(session, SYSTEM, first, reason="别的原因", now=NOW)


def test_a_household_is_never_paid_more_than_it_is_owed(database):
    with database.transaction() as session:
        post(session, SYSTEM, draft(contra="payable_household"), NOW)
        over = (
            Posting("payable_household", "h1", 1001, Fund.ELECTRICITY),
            Posting("payout_clearing", "h1", -1001, Fund.ELECTRICITY),
        )
        with pytest.raises(OverdrawnError, match="应付农户款（h1） 透支 0"), session.begin_nested():
            post(session, SYSTEM, draft("k2", postings=over), NOW)


def test_reads_and_writes_stay_in_the_actors_area(database):
    with database.transaction() as session:
        post(session, SYSTEM, draft(), NOW)
        with pytest.raises(PermissionError):
            post(session, STRANGER, draft("k2"), NOW)
        assert journals(session, STRANGER) == ()
        assert balances(session, STRANGER) == ()
        assert len(journals(session, COUNTY)) == 1
        assert by_key(session, "k1").postings == draft().postings


def test_both_databases_give_the_same_hash(database, postgres):
    hashes = set()
    for opened in (database, postgres):
        with opened.transaction() as session:
            post(session, SYSTEM, draft(), NOW)
            hashes.add(post(session, SYSTEM, draft("k2"), NOW).hash)
            assert verify_books(session) == []
    assert len(hashes) == 1


TAMPERINGS = {
    "an amount": ("UPDATE posting SET amount_fen = amount_fen + 1 WHERE seq = 2", "第 2 号"),
    "both legs": ("UPDATE posting SET amount_fen = amount_fen * 2 WHERE seq = 2", "第 2 号"),
    "a holder": ("UPDATE posting SET holder = 'h9' WHERE seq = 1 AND holder <> ''", "第 1 号"),
    "a text": ("UPDATE journal SET text = 'y' WHERE seq = 3", "第 3 号"),
    "a date": ("UPDATE journal SET business_date = '2026-01-01' WHERE seq = 1", "第 1 号"),
    "a missing entry": ("DELETE FROM journal WHERE seq = 2", "第 3 号"),
    "a missing leg": ("DELETE FROM posting WHERE seq = 2 AND line = 1", "第 2 号"),
    "a cut tail": ("DELETE FROM posting WHERE seq = 3; DELETE FROM journal WHERE seq = 3", "第 3 号"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_verify_names_the_first_entry_that_somebody_touched(database, name):
    statements, place = TAMPERINGS[name]
    with database.transaction() as session:
        for number in (1, 2, 3):
            post(session, SYSTEM, draft(f"k{number}"), NOW)
        printed = {BOOK: [head(session, BOOK)]}
        assert verify_books(session, printed) == []
    with database.engine.connect() as connection:
        raw = connection.connection.driver_connection
        raw.execute("PRAGMA foreign_keys=OFF")
        for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {trigger}")
        for statement in statements.split(";"):
            raw.execute(statement)
        raw.commit()
    with database.reading() as session:
        problems = verify_books(session, printed)
    assert problems
    assert place in problems[0].where
