"""The demo's past months, played by people through the real services: the books agree and the story shows."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from api.demo.county import SMALL, County, CountySize, build_county
from api.demo.people import build_people
from api.demo.seeding import seed
from api.demo.story import FactKind
from api.schema import all_tables
from distribution.approval.runs import RunState, live_run
from distribution.approval.voting.votes import votes_of
from distribution.closing.month import close_month
from distribution.payout.payouts import payouts
from distribution.settlement.tables import DiscrepancyRow, ReceiptRow, SettlementRow
from distribution.verification import verify
from documents.attachments import read_attachment
from registry.actors import SYSTEM
from registry.users import UserRow
from store.db import Base, Database, open_database
from store.series import open_series

NOW = datetime(2026, 11, 25, 4, 2, 30, tzinfo=UTC)
SIZE = CountySize(villages=4, joint_stations=1, households=24, months=3)
SEED = 7


@dataclass(frozen=True)
class Played:
    database: Database
    data_dir: Path
    county: County


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    all_tables()
    folder = tmp_path_factory.mktemp("demo")
    database = open_database(f"sqlite:///{folder / 'demo.sqlite3'}")
    Base.metadata.create_all(database.engine)
    series = open_series(f"duckdb:///{folder / 'series.duckdb'}")
    seed(database, series, folder, NOW, seed=SEED, size=SIZE, progress=lambda *_: None)
    yield Played(database, folder, build_county(SEED, SIZE, date(2026, 11, 25)))
    series.close()
    database.close()


def states(played: Played, month: str) -> Counter[str]:
    with played.database.reading() as session:
        runs = [live_run(session, village, month) for village in played.county.village_codes]
        return Counter(run.state.value for run in runs if run is not None)


def test_past_months_are_paid_and_the_last_one_waits_for_people(played: Played) -> None:
    assert set(states(played, "2026-08")) <= {RunState.CLOSED, RunState.SETTLED}
    assert states(played, "2026-09") == {RunState.CLOSED: 4}
    assert states(played, "2026-10") == {
        RunState.VILLAGE_SUBMITTED: 1,
        RunState.VILLAGE_AGREED: 1,
        RunState.NOTICE_OPEN: 1,
        RunState.NOTICE_CLOSED: 1,
    }


def test_closing_the_open_month_again_says_whom_it_waits_for_and_changes_nothing(played: Played) -> None:
    before = states(played, "2026-10")
    report = close_month(played.database, None, SYSTEM, "2026-10", NOW)
    assert states(played, "2026-10") == before
    assert all(one.waiting_for for one in report.villages)


def test_the_books_verify(played: Played) -> None:
    with played.database.reading() as session:
        assert verify(session) == []


def test_every_vote_was_cast_by_somebody_who_exists_and_no_one_twice(played: Played) -> None:
    with played.database.reading() as session:
        users = set(session.scalars(select(UserRow.id)))
        for village in played.county.village_codes:
            run = live_run(session, village, "2026-09")
            assert run is not None
            voters = [vote.voter_id for vote in votes_of(session, SYSTEM, run.id)]
            assert len(voters) == len(set(voters)) == 3
            assert set(voters) <= users
            assert run.made_by not in voters


def test_the_pictures_of_the_boards_can_be_opened(played: Played) -> None:
    with played.database.reading() as session:
        run = live_run(session, played.county.village_codes[0], "2026-09")
        assert run is not None
        (evidence,) = {vote.evidence for vote in votes_of(session, SYSTEM, run.id) if vote.evidence}
    assert read_attachment(played.data_dir / "attachments", evidence).startswith(b"\x89PNG")


def test_the_statement_that_disagrees_is_found_and_no_other_month_of_that_station(played: Played) -> None:
    (fact,) = played.county.story.of(FactKind.STATEMENT_DISAGREES)
    station = played.county.station_in(fact)
    with played.database.reading() as session:
        found = session.execute(select(DiscrepancyRow.station_id, DiscrepancyRow.month)).all()
    assert (station.id, "2026-08") in [tuple(row) for row in found]
    assert (station.id, "2026-09") not in [tuple(row) for row in found]


def test_subsidy_in_arrears_is_owed_and_not_distributed(played: Played) -> None:
    with played.database.reading() as session:
        components = set(session.scalars(select(ReceiptRow.component)))
        owed = sum(session.scalars(select(SettlementRow.subsidy_fen)))
    assert components == {"electricity"}
    assert owed > 0


def test_the_failed_payment_is_still_owed(played: Played) -> None:
    (fact,) = played.county.story.of(FactKind.PAYMENT_FAILED)
    village = played.county.village_in(fact)
    household = build_people(played.county).enrolled_in(village, fact.member).household.id
    with played.database.reading() as session:
        failed = [one for one in payouts(session, SYSTEM) if one.state == "failed"]
    assert [(one.household_id, one.period) for one in failed] == [(household, "2026-08")]
    assert failed[0].reason == "账户已销户"


def test_who_left_gets_nothing_afterwards(played: Played) -> None:
    (departure,) = build_people(played.county).departures
    with played.database.reading() as session:
        paid = [one.period for one in payouts(session, SYSTEM) if one.household_id == departure.household_id]
    assert all(period <= f"{departure.on:%Y-%m}" for period in paid)


def test_an_anchor_early_in_a_month_leaves_an_older_month_open(tmp_path: Path) -> None:
    all_tables()
    database = open_database(f"sqlite:///{tmp_path / 'demo.sqlite3'}")
    Base.metadata.create_all(database.engine)
    series = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}")
    early = datetime(2026, 11, 3, 2, 0, tzinfo=UTC)
    seed(database, series, tmp_path, early, seed=SEED, size=SMALL, progress=lambda *_: None)
    with database.reading() as session:
        county = build_county(SEED, SMALL, date(2026, 11, 3))
        runs = [live_run(session, village, "2026-09") for village in county.village_codes]
    assert all(run is not None and run.state != RunState.CLOSED for run in runs)
    series.close()
    database.close()
