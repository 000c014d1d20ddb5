from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from distribution.approval.frozen import thaw
from distribution.approval.noticing.calendar import is_working_day, last_day
from distribution.approval.noticing.notices import (
    Complaint,
    NoticeStillOpenError,
    NoticeTerms,
    ObjectionOpenError,
    close_notice,
    decide_objection,
    held_lines,
    notice_of,
    open_notice,
    raise_objection,
)
from distribution.approval.runs import (
    ApprovalError,
    Change,
    StaleVersionError,
    WrongStateError,
    allocation_of,
    events_of,
    inputs_of,
    move,
    runs,
    submit,
)
from distribution.approval.states import RunState, is_approved, next_gate, route
from distribution.approval.voting.votes import Ballot, MakerIsCheckerError, VotedAlreadyError, vote, votes_of
from distribution.types import Allocation, PlanInput
from registry.actors import SYSTEM, Actor, NotPermittedError, Role
from store.canonical import canonical_json, content_hash

FIRST, SECOND = "520499101201", "520499101202"
NOW = datetime(2026, 11, 17, 2, 0, tzinfo=UTC)
AFTER = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
PHOTO = ("a" * 64,)
ONE = Actor("u_1", "村干部一", Role.VILLAGE, FIRST)
TWO = Actor("u_2", "村干部二", Role.VILLAGE, FIRST)
TOWN = Actor("u_town", "镇办", Role.TOWNSHIP, "520499101000")
COUNTY = Actor("u_county", "县局", Role.COUNTY, "520499000000")


@pytest.fixture
def computed(county):
    county.october()
    county.cost()
    county.close()
    return county


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request):
    made = request.getfixturevalue("county" if request.param == "sqlite" else "county_postgres")
    made.october()
    made.cost()
    made.close()
    return made


def terms(run, **changes):
    return replace(NoticeTerms(run.content_hash, PHOTO, 7), **changes)


def submitted(county, session):
    run = county.run()
    submit(session, ONE, run.id, run.content_hash, NOW)
    return run


def test_what_is_frozen_thaws_to_the_same_record(computed):
    with computed.database.reading() as session:
        run = computed.run()
        result = allocation_of(session, SYSTEM, run.id)
        inputs = inputs_of(session, SYSTEM, run.id)
    assert isinstance(result, Allocation)
    assert thaw(canonical_json(result), Allocation) == result
    assert content_hash(inputs) == run.input_hash
    assert thaw(canonical_json(inputs), PlanInput) == inputs


def test_the_whole_way_on_both_databases_gives_the_same_run(both):
    both.to_notice()
    both.close(now=AFTER)
    both.approve()
    assert both.close(now=AFTER)[FIRST].state == "posted"
    run = both.run()
    with both.database.reading() as session:
        states = [event.state for event in events_of(session, SYSTEM, run.id)]
    assert states == [
        RunState.COMPUTED,
        RunState.VILLAGE_SUBMITTED,
        RunState.VILLAGE_AGREED,
        RunState.NOTICE_OPEN,
        RunState.NOTICE_CLOSED,
        RunState.TOWNSHIP_APPROVED,
        RunState.COUNTY_APPROVED,
        RunState.POSTED,
    ]


def test_who_submits_may_not_vote(computed):
    with computed.database.transaction() as session:
        run = submitted(computed, session)
        with pytest.raises(MakerIsCheckerError, match="须由他人审核"):
            vote(session, ONE, run.id, Ballot(run.content_hash), NOW)


def test_who_computed_may_not_vote(county):
    from distribution.closing.runs import compute

    county.october()
    with county.database.transaction() as session:
        from distribution.closing.facts import book_facts

        book_facts(session, COUNTY, FIRST, NOW)
        run = compute(session, COUNTY, (FIRST, "2026-10"), NOW)
        submit(session, ONE, run.id, run.content_hash, NOW)
        vote(session, TWO, run.id, Ballot(run.content_hash), NOW)
        open_notice(session, ONE, run.id, terms(run), NOW)
        close_notice(session, SYSTEM, run.id, AFTER)
        vote(session, TOWN, run.id, Ballot(run.content_hash), AFTER)
        with pytest.raises(MakerIsCheckerError):
            vote(session, COUNTY, run.id, Ballot(run.content_hash), AFTER)


def test_nobody_votes_at_two_gates(computed):
    two_hats = Actor(TWO.user_id, "兼职", Role.TOWNSHIP, "520499101000")
    with computed.database.transaction() as session:
        run = submitted(computed, session)
        vote(session, TWO, run.id, Ballot(run.content_hash), NOW)
        open_notice(session, ONE, run.id, terms(run), NOW)
        close_notice(session, SYSTEM, run.id, AFTER)
        with pytest.raises(VotedAlreadyError, match="不能再次表决"):
            vote(session, two_hats, run.id, Ballot(run.content_hash, "reject", "不同意"), AFTER)


def test_a_double_click_is_one_vote(computed):
    with computed.database.transaction() as session:
        run = submitted(computed, session)
        for _ in range(2):
            again = vote(session, TWO, run.id, Ballot(run.content_hash), NOW)
        assert again.state is RunState.VILLAGE_AGREED
        assert len(votes_of(session, SYSTEM, run.id)) == 1


def test_a_vote_on_another_content_is_refused(computed):
    with computed.database.transaction() as session:
        run = submitted(computed, session)
        with pytest.raises(StaleVersionError, match="请刷新页面"):
            vote(session, TWO, run.id, Ballot("0" * 64), NOW)


def test_each_gate_needs_its_own_right_and_area(computed):
    neighbour = Actor("u_n", "邻村", Role.VILLAGE, SECOND)
    with computed.database.transaction() as session:
        run = submitted(computed, session)
        with pytest.raises(NotPermittedError):
            vote(session, TOWN, run.id, Ballot(run.content_hash), NOW)
        with pytest.raises(LookupError):
            vote(session, neighbour, run.id, Ballot(run.content_hash), NOW)


def test_a_return_needs_a_reason_and_leads_to_a_new_version(computed):
    with computed.database.transaction() as session:
        run = submitted(computed, session)
        with pytest.raises(ApprovalError, match="须写明原因"):
            vote(session, TWO, run.id, Ballot(run.content_hash, "return"), NOW)
        vote(session, TWO, run.id, Ballot(run.content_hash, "return", "张小一已搬走"), NOW)
    assert "已退回" in computed.close()[FIRST].waiting_for
    computed.cost("land_rent", 80_000, voucher="收据 2")
    progress = computed.close()[FIRST]
    assert progress.state == "computed"
    assert computed.run().version == 2
    with computed.database.reading() as session:
        every = runs(session, SYSTEM, book=FIRST, live_only=False)
    assert [one.state for one in every] == [RunState.SUPERSEDED, RunState.COMPUTED]
    assert every[1].supersedes == every[0].id


def test_a_notice_needs_a_photo_and_its_days(computed):
    with computed.database.transaction() as session:
        run = submitted(computed, session)
        with pytest.raises(WrongStateError):
            open_notice(session, ONE, run.id, terms(run), NOW)
        vote(session, TWO, run.id, Ballot(run.content_hash), NOW)
        with pytest.raises(ApprovalError, match="请上传公示栏照片"):
            open_notice(session, ONE, run.id, terms(run, evidence=()), NOW)
        notice = open_notice(session, ONE, run.id, terms(run), NOW)
        assert (notice.opens_on, notice.closes_on) == (date(2026, 11, 17), date(2026, 11, 23))
        assert open_notice(session, ONE, run.id, terms(run), AFTER) == notice
        with pytest.raises(NoticeStillOpenError, match="2026-11-23"):
            close_notice(session, SYSTEM, run.id, datetime(2026, 11, 23, 15, 59, tzinfo=UTC))
        close_notice(session, SYSTEM, run.id, datetime(2026, 11, 23, 16, 0, tzinfo=UTC))


def test_an_objection_to_the_whole_stops_the_run_until_somebody_else_decides(computed):
    with computed.database.transaction() as session:
        run = submitted(computed, session)
        vote(session, TWO, run.id, Ballot(run.content_hash), NOW)
        open_notice(session, ONE, run.id, terms(run), NOW)
        raised = raise_objection(session, TOWN, run.id, Complaint("李某", "金额不对"), NOW)
    assert "等待处理针对整批的异议" in computed.close(now=AFTER)[FIRST].waiting_for
    with computed.database.transaction() as session:
        with pytest.raises(ObjectionOpenError):
            close_notice(session, SYSTEM, run.id, AFTER)
        with pytest.raises(ApprovalError, match="以外的人处理"):
            decide_objection(session, TOWN, raised.id, ("rejected", "核对无误"), AFTER)
        decide_objection(session, COUNTY, raised.id, ("rejected", "核对无误"), AFTER)
    assert computed.close(now=AFTER)[FIRST].waiting_for == "等待乡镇审核"


def test_an_upheld_objection_sends_the_run_back(computed):
    with computed.database.transaction() as session:
        run = submitted(computed, session)
        vote(session, TWO, run.id, Ballot(run.content_hash), NOW)
        open_notice(session, ONE, run.id, terms(run), NOW)
        raised = raise_objection(session, TOWN, run.id, Complaint("李某", "少算一天", line_no=1), NOW)
        assert held_lines(session, SYSTEM, run.id) == {1}
        decide_objection(session, COUNTY, raised.id, ("upheld", "属实"), AFTER)
        assert held_lines(session, SYSTEM, run.id) == frozenset()
    assert computed.run().state is RunState.REVISION_REQUESTED


def test_the_board_shows_no_full_name_and_the_list_is_frozen(computed):
    computed.to_notice()
    with computed.database.reading() as session:
        notice, content = notice_of(session, SYSTEM, computed.run().id)
    assert {line.name for line in content.lines} == {"张*一", "张*二", "张*三"}
    assert content_hash(content) == notice.list_hash
    assert content.total_fen == sum(line.amount_fen for line in content.lines)


VOTE = (
    "INSERT INTO vote (run_id, gate, voter_id, voter_name, decision, content_hash, reason, evidence, at) "
    "SELECT {run}, '{gate}', {voter}, 'x', 'approve', {digest}, '', '', '2026-11-17 00:00:00' FROM {table}"
)
SECOND_RUN = (
    "INSERT INTO run SELECT id || 'x', book, village_code, period, kind, version + 1, supersedes, "
    "plan_id, plan_version, plan_hash, input_hash, content_hash, inputs, content, amount_fen, "
    "household_count, state, made_at, made_by FROM run"
)
A_RUN = {"run": "id", "table": "run", "gate": "township"}
REFUSED = {
    "a maker's vote": (
        VOTE.format(**A_RUN, voter="'system'", digest="content_hash"),
        "a maker is never a checker",
    ),
    "a vote on another content": (VOTE.format(**A_RUN, voter="'u_9'", digest="'z'"), "the present content"),
    "a second vote": (
        VOTE.format(run="run_id", gate="county", voter="voter_id", digest="content_hash", table="vote"),
        "(?i)unique",
    ),
    "a changed vote": ("UPDATE vote SET decision = 'approve'", "append-only"),
    "a changed amount": ("UPDATE run SET amount_fen = 0", "a run is frozen"),
    "a jump": ("UPDATE run SET state = 'settled'", "a run cannot move so"),
    "posting without a closed notice": (
        f"UPDATE run SET state = 'posted' WHERE book = '{FIRST}'",  # noqa: S608, a test
        "closed notice",
    ),
    "a removed run": ("DELETE FROM run", "never deleted|foreign key"),
    "a changed line": ("UPDATE allocation_line SET amount_fen = 0", "append-only"),
    "a second live run": (SECOND_RUN, "(?i)unique"),
}


def test_the_database_itself_refuses_what_no_service_would_do(both):
    with both.database.transaction() as session:
        run = submitted(both, session)
        vote(session, TWO, run.id, Ballot(run.content_hash), NOW)
    for statement, message in REFUSED.values():
        with pytest.raises(DBAPIError, match=message), both.database.transaction() as session:
            session.execute(text(statement))


def test_a_transition_that_does_not_exist_is_refused(computed):
    with computed.database.transaction() as session, pytest.raises(WrongStateError, match="不能改为“已记账”"):
        move(session, SYSTEM, computed.run().id, Change(RunState.POSTED), NOW)


@pytest.mark.parametrize(
    ("gates", "way"),
    [
        (("village", "township", "county"), ("village", "notice", "township", "county")),
        (("village", "township", "notice", "county"), ("village", "township", "notice", "county")),
        (
            ("village_assembly", "township", "county", "notice", "filing"),
            ("village", "township", "county", "notice"),
        ),
        (("township",), ("notice", "township")),
        (("village_draft", "village_assembly", "notice", "result_notice"), ("village", "notice")),
    ],
)
def test_the_order_of_gates_is_the_plans(gates, way):
    assert route(gates) == way
    state, passed = RunState.VILLAGE_SUBMITTED, []
    names = {"village": RunState.VILLAGE_AGREED, "notice": RunState.NOTICE_CLOSED}
    names |= {"township": RunState.TOWNSHIP_APPROVED, "county": RunState.COUNTY_APPROVED}
    while (gate := next_gate(gates, state)) is not None:
        passed.append(gate)
        state = names[gate]
    assert tuple(passed) == way
    assert is_approved(gates, state)


def test_working_days_follow_the_published_calendar_and_the_countys_changes():
    assert not is_working_day(date(2026, 10, 1))
    assert last_day(date(2026, 9, 30), 2, working=True) == date(2026, 10, 8)
    assert last_day(date(2026, 9, 30), 2, working=True, overrides={date(2026, 10, 2): True}) == date(
        2026, 10, 2
    )
    assert is_working_day(date(2031, 3, 3))
    assert last_day(date(2026, 11, 17), 7, working=False) == date(2026, 11, 23)
    with pytest.raises(ValueError, match="at least one day"):
        last_day(date(2026, 11, 17), 0, working=False)
