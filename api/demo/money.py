"""Plays the county's past months through the real services, from the statement to the bank's answer.

Owns the simulated calendar of a month's gates and who passes them. The last month is left where people
are asked for: some villages before the vote, some in public notice, some waiting for township or county.
Everything is done by played people with their own users, through the same functions as real work.
"""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO

from sqlalchemy.orm import Session

from api.demo.history import Progress
from api.demo.office import Office, bring_papers, on_day, publish_plan
from api.demo.photo import board_photo
from api.demo.receiving import bring_evidence, spend_from_purses
from api.demo.story import FactKind
from distribution.approval.noticing.notices import (
    Complaint,
    NoticeTerms,
    close_notice,
    decide_objection,
    open_notice,
    raise_objection,
)
from distribution.approval.runs import Run, live_run, submit
from distribution.approval.states import RunState
from distribution.approval.voting.votes import Ballot, vote
from distribution.closing.month import advance, close_village
from distribution.disbursing import ready_payouts, send_batch, take_return
from distribution.matching import match_month
from distribution.payout.payouts import BatchOrder
from documents.attachments import store_attachment
from registry.actors import SYSTEM
from registry.secrets import open_key_ring
from store.periods import Period
from store.series import SeriesStore

CLOSE_DAY, VOTE_DAY, NOTICE_DAY, TOWNSHIP_DAY, COUNTY_DAY, PAY_DAY, ANSWER_DAY = 9, 10, 11, 20, 21, 22, 24
NOTICE_DAYS = 7
ATTACHMENTS = "attachments"


@dataclass(frozen=True, slots=True)
class _Month:
    """One month being played: who plays it, until when, and the pictures of the boards."""

    office: Office
    month: Period
    until: datetime
    evidence: dict[str, str]

    def day(self, day: int) -> datetime:
        """Return the instant of a day of the following month, never later than the present."""
        return min(on_day(self.month, day), self.until)


def played_months(office: Office, until: datetime) -> tuple[Period, ...]:
    """Return the months whose calendar has run out before `until`; the last one is left open."""
    found = []
    month = Period.month_of(office.county.story.epoch)
    while on_day(month, COUNTY_DAY) <= until:
        found.append(month)
        month = month.next()
    return tuple(found)


def play_months(office: Office, until: datetime, progress: Progress) -> None:
    """Play every past month that is not played yet; played months are left as they are.

    The energy of a month is compared afterwards, by `compare_months`: it may be loading meanwhile.
    """
    publish_plan(office)
    months = played_months(office, until)
    evidence = _evidence(office)
    for number, month in enumerate(months):
        progress("结算与分配", number, len(months))
        one = _Month(office, month, until, evidence)
        if month == months[-1]:
            play_open_month(one)
        else:
            play_whole_month(one)
    if months:
        bring_papers(office, months[-1].next(), until)
        bring_evidence(office, months[-1], until)
        spend_from_purses(office, months[-1], until)
    progress("结算与分配", len(months), len(months))


def compare_months(office: Office, series: SeriesStore, until: datetime, progress: Progress) -> None:
    """Compare the bills of every played month with the energy of the inverters, as closing it does."""
    months = played_months(office, until)
    for number, month in enumerate(months, start=1):
        match_month(office.database, series, SYSTEM, str(month), min(on_day(month, CLOSE_DAY), until))
        progress("电量核对", number, len(months))


def play_whole_month(one: _Month) -> None:
    """Play a month from its papers to the bank's answer."""
    bring_papers(one.office, one.month, one.until)
    _close(one, CLOSE_DAY)
    everyone = one.office.county.village_codes
    _each(one, everyone, RunState.COMPUTED, _submit)
    _each(one, everyone, RunState.VILLAGE_SUBMITTED, _vote_in_village)
    _each(one, everyone, RunState.VILLAGE_AGREED, _open_notice)
    _object(one)
    _each(one, everyone, RunState.NOTICE_OPEN, _take_down)
    _each(one, everyone, RunState.NOTICE_CLOSED, _vote_in_township)
    _each(one, everyone, RunState.TOWNSHIP_APPROVED, _vote_in_county)
    _each(one, everyone, RunState.COUNTY_APPROVED, _book)
    _pay(one)


def play_open_month(one: _Month) -> None:
    """Play a month only as far as each village's gate: a fifth each, the first village before its vote."""
    bring_papers(one.office, one.month, one.until)
    _close(one, CLOSE_DAY)
    villages = one.office.county.village_codes
    _each(one, villages, RunState.COMPUTED, _submit)
    _each(one, _from(villages, 1), RunState.VILLAGE_SUBMITTED, _vote_in_village)
    _each(one, _from(villages, 3), RunState.VILLAGE_AGREED, _open_notice)
    _each(one, _from(villages, 3), RunState.NOTICE_OPEN, _take_down)
    _each(one, _from(villages, 4), RunState.NOTICE_CLOSED, _vote_in_township)
    _each(one, _only(villages, 2), RunState.VILLAGE_AGREED, _open_notice_late)


def _from(villages: Sequence[str], stage: int) -> list[str]:
    return [code for place, code in enumerate(villages) if place % 5 >= stage]


def _only(villages: Sequence[str], stage: int) -> list[str]:
    return [code for place, code in enumerate(villages) if place % 5 == stage]


def _close(one: _Month, day: int) -> None:
    """Close the month for every village as the service does, but in one transaction: one disk flush."""
    with one.office.database.transaction() as session:
        for village in one.office.county.village_codes:
            close_village(session, SYSTEM, (village, str(one.month)), one.day(day))


Act = Callable[[Session, _Month, Run], None]


def _each(one: _Month, villages: Iterable[str], state: RunState, act: Act) -> None:
    """Let somebody act on every village's run that stands in a state; others are passed over."""
    with one.office.database.transaction() as session:
        for village in villages:
            run = live_run(session, village, str(one.month))
            if run is not None and run.state is state:
                act(session, one, run)


def _submit(session: Session, one: _Month, run: Run) -> None:
    clerk = one.office.actor("demo_clerk")
    submit(session, clerk, run.id, run.content_hash, one.day(CLOSE_DAY))


def _vote_in_village(session: Session, one: _Month, run: Run) -> None:
    ballot = Ballot(run.content_hash, reason="村民代表会议表决通过", evidence=(one.evidence[run.book],))
    vote(session, one.office.village_actor(run.book), run.id, ballot, one.day(VOTE_DAY))


def _open_notice(session: Session, one: _Month, run: Run) -> None:
    _hang(session, one, run, one.day(NOTICE_DAY))


def _open_notice_late(session: Session, one: _Month, run: Run) -> None:
    _hang(session, one, run, one.until)


def _hang(session: Session, one: _Month, run: Run, now: datetime) -> None:
    terms = NoticeTerms(run.content_hash, (one.evidence[run.book],), NOTICE_DAYS)
    open_notice(session, one.office.village_actor(run.book), run.id, terms, now)


def _object(one: _Month) -> None:
    for fact in one.office.county.story.of(FactKind.OBJECTION):
        village = one.office.county.village_in(fact)
        if Period.month_of(fact.start) != one.month:
            continue
        with one.office.database.transaction() as session:
            run = live_run(session, village, str(one.month))
            if run is None or run.state is not RunState.NOTICE_OPEN:
                continue
            complaint = Complaint("匿名村民", fact.text, channel="意见箱")
            cadre, clerk = one.office.village_actor(village), one.office.township_actor(village)
            raised = raise_objection(session, cadre, run.id, complaint, one.day(NOTICE_DAY + 1))
            decision = ("rejected", "核对考勤表无误，已当面说明")
            decide_objection(session, clerk, raised.id, decision, one.day(NOTICE_DAY + 3))


def _take_down(session: Session, one: _Month, run: Run) -> None:
    close_notice(session, SYSTEM, run.id, one.day(TOWNSHIP_DAY))


def _book(session: Session, one: _Month, run: Run) -> None:
    advance(session, SYSTEM, run, one.day(COUNTY_DAY))


def _vote_in_township(session: Session, one: _Month, run: Run) -> None:
    ballot = Ballot(run.content_hash, reason="审核无误")
    vote(session, one.office.township_actor(run.book), run.id, ballot, one.day(TOWNSHIP_DAY))


def _vote_in_county(session: Session, one: _Month, run: Run) -> None:
    vote(session, one.office.actor("demo_leader"), run.id, Ballot(run.content_hash), one.day(COUNTY_DAY))


def _pay(one: _Month) -> None:
    """Send what is due to the bank in one file, and take in its answer two days later."""
    cashier = one.office.actor("demo_cashier")
    ring = open_key_ring(one.office.data_dir)
    with one.office.database.transaction() as session:
        ready = ready_payouts(session, cashier, period=str(one.month))
        if not ready:
            return
        order = BatchOrder(tuple(payout.id for payout in ready), summary="光伏收益")
        batch, file = send_batch(session, cashier, ring, order, one.day(PAY_DAY))
    answer = _bank_answer(file.content.decode("gb18030"), _closed_account(one))
    with one.office.database.transaction() as session:
        take_return(session, cashier, (answer, f"回盘_{batch.number}.csv"), batch.id, one.day(ANSWER_DAY))


def _bank_answer(sent: str, closed_account: str) -> bytes:
    """Return the bank's answer to a batch file: everything is paid, but for the account that is closed."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(("批内编号", "金额", "结果", "失败原因", "银行流水号"))
    for row in csv.DictReader(StringIO(sent), delimiter="|"):
        if not row["批内编号"] or row["序号"].startswith("合计"):
            continue
        failed = row["账号"] == closed_account
        result = ("失败", "账户已销户", "") if failed else ("成功", "", f"Y{row['批内编号']}")
        writer.writerow((row["批内编号"], row["金额"], *result))
    return text.getvalue().encode("utf-8-sig")


def _closed_account(one: _Month) -> str:
    for fact in one.office.county.story.of(FactKind.PAYMENT_FAILED):
        if Period.month_of(fact.start) == one.month:
            village = one.office.county.village_in(fact)
            return one.office.people.enrolled_in(village, fact.member).account.account
    return ""


def _evidence(office: Office) -> dict[str, str]:
    """Keep a picture of every village's board and return its hash by village."""
    folder = office.data_dir / ATTACHMENTS
    seed = office.county.seed
    return {
        village: store_attachment(folder, board_photo(seed, place))
        for place, village in enumerate(office.county.village_codes)
    }
