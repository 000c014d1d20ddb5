"""Votes by number and by delegate: how many pass a gate, who votes for whom, what the database refuses."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from distribution.approval.noticing.filings import FILING, RESULT, Filing, file_run, filings_of
from distribution.approval.noticing.notices import NoticeTerms, open_notice
from distribution.approval.noticing.working_days import WorkingDay, set_working_day
from distribution.approval.runs import ApprovalError, WrongStateError, run, submit
from distribution.approval.voting.delegations import DelegationOrder, delegate, delegations, end_delegation
from distribution.approval.voting.votes import (
    Ballot,
    MakerIsCheckerError,
    VotedAlreadyError,
    tally_of,
    vote,
    votes_of,
)
from distribution.plans.document import load_plan
from distribution.plans.tables import publish, retire
from distribution.plans.templates import template_path
from distribution.verification import verify
from registry.actors import SYSTEM, Actor, NotPermittedError, Role
from registry.users import NewUser, UserRow, acting_as, create_user, disable_user

FIRST, TOWN_CODE, COUNTY_CODE = "520499101201", "520499101000", "520499000000"
NOW, OVER = datetime(2026, 11, 17, 2, 0, tzinfo=UTC), datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
ADMIN = Actor("u_admin", "管理员", Role.COUNTY, COUNTY_CODE)
PLAN = template_path("default_county")
TERMS = """
[[step]]
kind = "approval"
gates = ["village", "notice", "township", "filing", "county"]
votes = [
  { gate = "village", needed = 2 },
  { gate = "township", needed = "all" },
  { gate = "county", needed = 2, from = 5000 },
  { gate = "county", needed = 3, from = 100000 },
]
clause = "县〔2026〕3 号"
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request):
    made = request.getfixturevalue("county" if request.param == "sqlite" else "county_postgres")
    kept = (
        PLAN.read_text(encoding="utf-8")
        .split("[[case]]", maxsplit=1)[0]
        .replace("version = 1", "version = 2")
    )
    text_ = kept.replace("valid_from = 2021-01-01", "valid_from = 2026-01-01") + TERMS
    with made.database.transaction() as session:
        retire(session, ADMIN, load_plan(PLAN), on=date(2026, 1, 1), now=NOW)
        publish(session, ADMIN, text_, NOW)
        for login, role, area in (
            ("cun1", Role.VILLAGE, FIRST),
            ("cun2", Role.VILLAGE, FIRST),
            ("cun3", Role.VILLAGE, FIRST),
            ("zhen1", Role.TOWNSHIP, TOWN_CODE),
            ("zhen2", Role.TOWNSHIP, TOWN_CODE),
            ("xian1", Role.COUNTY, COUNTY_CODE),
            ("xian2", Role.COUNTY, COUNTY_CODE),
            ("caiwu", Role.FINANCE, COUNTY_CODE),
        ):
            create_user(session, ADMIN, NewUser(login, login, role, area), NOW, "Aa123456!xyz")
    made.october()
    made.close()
    return made


def who(county, login):
    with county.database.reading() as session:
        return acting_as(session, session.scalars(select(UserRow.id).where(UserRow.login == login)).one())


def cast(county, actor, now=NOW, **changes):
    made = county.run()
    with county.database.transaction() as session:
        return vote(session, actor, made.id, Ballot(made.content_hash, **changes), now)


def give(county, gate, giver, taker, days=(date(2026, 11, 1), date(2026, 12, 1))):
    order = DelegationOrder(gate, giver.user_id, taker.user_id, *days, "委托书 1 号")
    with county.database.transaction() as session:
        return delegate(session, giver, order, NOW)


def to_township(county):
    made = county.run()
    with county.database.transaction() as session:
        submit(session, who(county, "cun1"), made.id, made.content_hash, NOW)
    cast(county, who(county, "cun2"))
    cast(county, who(county, "cun3"))
    with county.database.transaction() as session:
        terms = NoticeTerms(made.content_hash, ("a" * 64,), 7)
        open_notice(session, who(county, "cun1"), made.id, terms, NOW)
    county.close(now=OVER)
    return made


def test_a_gate_is_passed_by_as_many_as_the_plan_asks_for_the_total(both):
    made = both.run()
    with both.database.transaction() as session:
        submit(session, who(both, "cun1"), made.id, made.content_hash, NOW)
    assert cast(both, who(both, "cun2")).state == "village_submitted"
    with both.database.reading() as session:
        tally = tally_of(session, SYSTEM, made.id)
    assert (tally.gate, tally.cast, tally.needed) == ("village", 1, 2)
    assert cast(both, who(both, "cun3")).state == "village_agreed"


def test_all_means_everybody_in_office_and_one_who_leaves_no_longer_counts(both):
    made = to_township(both)
    assert cast(both, who(both, "zhen1"), OVER).state == "notice_closed"
    with both.database.reading() as session:
        assert tally_of(session, SYSTEM, made.id).needed == 2
    second = who(both, "zhen2")
    with both.database.transaction() as session:
        disable_user(session, ADMIN, second.user_id, OVER)
    with both.database.reading() as session:
        assert tally_of(session, SYSTEM, made.id).needed == 1


def test_a_delegate_votes_in_the_name_of_the_delegator_and_is_recorded(both):
    made = to_township(both)
    give(both, "township", who(both, "zhen2"), who(both, "zhen1"))
    cast(both, who(both, "zhen1"), OVER)
    with pytest.raises(VotedAlreadyError):
        cast(both, who(both, "zhen1"), OVER, for_user=who(both, "zhen2").user_id, reason="代")
    finance = who(both, "caiwu")
    with pytest.raises(NotPermittedError):
        cast(both, finance, OVER)
    give(both, "township", who(both, "zhen2"), finance)
    assert cast(both, finance, OVER).state == "township_approved"
    with both.database.reading() as session:
        last = next(one for one in votes_of(session, SYSTEM, made.id) if one.delegator_id)
        assert (last.voter_name, last.delegator_id) == ("zhen2（caiwu代）", who(both, "zhen2").user_id)
        assert verify(session) == []
    with pytest.raises((VotedAlreadyError, WrongStateError, NotPermittedError)):
        cast(both, who(both, "zhen2"), OVER)


def test_a_maker_is_no_delegator_and_no_delegate_and_days_and_recall_hold(both):
    one, two, finance = who(both, "cun1"), who(both, "cun2"), who(both, "caiwu")
    made = both.run()
    with both.database.transaction() as session:
        submit(session, one, made.id, made.content_hash, NOW)
    give(both, "village", one, finance)
    with pytest.raises(MakerIsCheckerError, match="不能委托"):
        cast(both, finance, for_user=one.user_id)
    given = give(both, "village", two, finance, (date(2026, 11, 18), date(2026, 11, 20)))
    with pytest.raises(NotPermittedError):
        cast(both, finance, for_user=two.user_id)
    with both.database.transaction() as session:
        end_delegation(session, two, given.id, NOW)
        assert {item.id for item in delegations(session, two)} == {given.id}
    with pytest.raises(NotPermittedError):
        cast(both, finance, datetime(2026, 11, 18, 2, 0, tzinfo=UTC), for_user=two.user_id)


def test_the_database_itself_refuses_a_proxy_without_right_and_a_vote_after_the_delegates(both):
    made = to_township(both)
    finance, second = who(both, "caiwu"), who(both, "zhen2")
    given = give(both, "township", second, finance)
    cast(both, finance, OVER)
    columns = "run_id, gate, voter_id, voter_name, decision, content_hash, reason, evidence, at"
    with pytest.raises(DBAPIError, match="delegate has voted"), both.database.transaction() as session:
        session.execute(
            text(
                f"INSERT INTO vote ({columns}) SELECT run_id, gate, :voter, voter_name, decision, "  # noqa: S608, constants
                "content_hash, reason, evidence, at FROM vote WHERE voter_id = :delegate"
            ),
            {"voter": second.user_id, "delegate": finance.user_id},
        )
    cast(both, who(both, "zhen1"), OVER)
    with pytest.raises(DBAPIError, match="a delegate votes for"), both.database.transaction() as session:
        session.execute(
            text("INSERT INTO vote_proxy VALUES (:run, :voter, 'township', :maker, 'x', :given)"),
            {
                "run": made.id,
                "voter": who(both, "zhen1").user_id,
                "maker": who(both, "cun1").user_id,
                "given": given.id,
            },
        )


def test_nobody_delegates_a_right_that_he_has_not_or_without_a_document(both):
    finance, town = who(both, "caiwu"), who(both, "zhen1")
    with pytest.raises(ApprovalError, match="没有这一步"):
        give(both, "township", finance, town)
    with pytest.raises(ApprovalError, match="辖区"):
        give(both, "township", town, who(both, "cun1"))
    order = DelegationOrder("township", town.user_id, finance.user_id, NOW.date(), date(2026, 12, 1), " ")
    with both.database.transaction() as session, pytest.raises(ApprovalError, match="依据"):
        delegate(session, town, order, NOW)


def test_a_run_whose_terms_ask_for_filing_waits_for_it_before_it_is_booked(both):
    made = to_township(both)
    cast(both, who(both, "zhen1"), OVER)
    cast(both, who(both, "zhen2"), OVER)
    filing = Filing(FILING, date(2026, 11, 25), "县农业农村局", "备〔2026〕7号")
    with both.database.transaction() as session, pytest.raises(WrongStateError):
        file_run(session, who(both, "zhen1"), made.id, filing, OVER)
    cast(both, who(both, "xian1"), OVER)
    cast(both, who(both, "xian2"), OVER)
    waiting = both.close(now=OVER)[FIRST]
    assert (waiting.state, waiting.gate) == ("county_approved", "filing")
    with both.database.transaction() as session:
        file_run(session, who(both, "zhen1"), made.id, filing, OVER)
        assert filings_of(session, SYSTEM, made.id) == (filing,)
    assert both.close(now=OVER)[FIRST].state == "posted"
    result = Filing(RESULT, date(2026, 11, 26), "村公示栏", "", ("b" * 64,))
    with both.database.transaction() as session:
        assert file_run(session, who(both, "cun1"), made.id, result, OVER) == result
        assert run(session, SYSTEM, made.id).state == "posted"


def test_a_countys_own_days_off_lengthen_a_notice_of_working_days_and_the_narrower_place_wins(both):
    made = both.run()
    with both.database.transaction() as session:
        for code, day, working in (
            (COUNTY_CODE, date(2026, 11, 18), False),
            (COUNTY_CODE, date(2026, 11, 19), False),
            (FIRST, date(2026, 11, 19), True),
        ):
            set_working_day(session, ADMIN, WorkingDay(code, day, working, "县政府通知"), NOW)
        with pytest.raises(ApprovalError, match="依据"):
            set_working_day(session, ADMIN, WorkingDay(COUNTY_CODE, date(2026, 11, 20), False, " "), NOW)
        submit(session, who(both, "cun1"), made.id, made.content_hash, NOW)
    cast(both, who(both, "cun2"))
    cast(both, who(both, "cun3"))
    terms = NoticeTerms(made.content_hash, ("a" * 64,), 5, working_days=True)
    with both.database.transaction() as session:
        opened = open_notice(session, who(both, "cun1"), made.id, terms, NOW)
    # From Tuesday 17th: 17, 19, 20, 23, 24; the 18th is off, the weekend does not count.
    assert (opened.opens_on, opened.closes_on) == (date(2026, 11, 17), date(2026, 11, 24))
