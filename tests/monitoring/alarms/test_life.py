"""The life of alarms under whatever happens: one open a cause, nothing reopened, nothing forgotten."""

import os
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select, text, update
from sqlalchemy.exc import DatabaseError, IntegrityError

from api.schema import all_tables
from monitoring.alarms.acknowledging import AlarmError, acknowledge
from monitoring.alarms.conditions import Finding, Standing, Subject
from monitoring.alarms.kinds import HIGHEST_LEVEL, AlarmAction, AlarmKind, AlarmSeverity, SubjectKind
from monitoring.alarms.lifecycle import Pass
from monitoring.alarms.reads import AlarmFilter, alarm, alarms, history
from monitoring.alarms.rules import rule_book
from monitoring.alarms.tables import AlarmEventRow, AlarmRow
from registry.actors import Actor, NotPermittedError, Role
from store.db import Base, open_database
from store.periods import local_date
from tests.monitoring.conftest import CADRE, CLERK, COUNTY, NOON, _register

SOAK = bool(os.environ.get("SUNLEDGER_SOAK"))
WIDE = Subject(SubjectKind.STATION, "s1", "529901101201", "s1", power_w=100_000)
NARROW = [Subject(SubjectKind.DEVICE, f"s1i{n}", "529901101201", "s1", f"s1i{n}", 50_000) for n in (1, 2)]
OPENS, CLOSES = timedelta(minutes=15), timedelta(minutes=10)
KEY = "standstill"


def found(subject, standing, covered_by="", opens=OPENS):
    return Finding(
        subject.key(KEY), AlarmKind.OUTAGE, subject, standing, AlarmSeverity.CRITICAL,
        opens_after=opens, closes_after=CLOSES, cause="停机", covered_by=covered_by,
    )  # fmt: skip


def bring(database, now, *findings, kinds=()):
    with database.transaction() as session:
        return Pass(session, rule_book(session, local_date(now)), now, kinds).read().apply(findings)


def everything(database):
    with database.reading() as session:
        return alarms(session, CLERK, AlarmFilter(grouped=True))


class Life(RuleBasedStateMachine):
    """Passes at random moments over a station and its two inverters, people, killed passes, time."""

    folder: Path

    @initialize()
    def begin(self):
        all_tables()
        self.folder = Path(tempfile.mkdtemp(prefix="sunledger-life-"))
        self.database = open_database(f"sqlite:///{self.folder / 'life.sqlite3'}")
        Base.metadata.create_all(self.database.engine)
        with self.database.transaction() as session:
            _register(session)
        self.now = NOON
        self.closed: dict[str, object] = {}
        self.acknowledged: dict[str, tuple] = {}
        self.told: dict[str, list] = {}

    def teardown(self):
        if hasattr(self, "database"):
            self.database.close()
            shutil.rmtree(self.folder)

    @rule(
        wide=st.sampled_from(Standing),
        narrow=st.tuples(st.sampled_from(Standing), st.sampled_from(Standing)),
        minutes=st.sampled_from([1, 5, 15, 60, 600]),
        killed=st.booleans(),
    )
    def look(self, wide, narrow, minutes, killed):
        self.now += timedelta(minutes=minutes)
        covered = WIDE.key(KEY) if wide is Standing.ON else ""
        findings = [
            found(WIDE, wide),
            *(found(one, how, covered) for one, how in zip(NARROW, narrow, strict=True)),
        ]
        if killed:
            with pytest.raises(KeyboardInterrupt), self.database.transaction() as session:
                Pass(session, rule_book(session, local_date(self.now)), self.now, ()).read().apply(findings)
                raise KeyboardInterrupt
        bring(self.database, self.now, *findings)
        assert bring(self.database, self.now, *findings) == ()

    @rule(which=st.integers(0, 5), role=st.sampled_from([Role.COUNTY, Role.TOWNSHIP, Role.VILLAGE]))
    def take_note(self, which, role):
        listed = everything(self.database)
        if not listed:
            return
        one = listed[which % len(listed)]
        actor = Actor("u9", "某人", role, COUNTY)
        with self.database.transaction() as session:
            try:
                acknowledge(session, actor, one.id, "知道了", self.now)
            except AlarmError:
                assert one.id in self.acknowledged
            except NotPermittedError:
                assert role is Role.VILLAGE
            else:
                assert one.id not in self.acknowledged
                self.acknowledged[one.id] = (self.now, "u9", "知道了")

    @invariant()
    def one_open_alarm_a_cause(self):
        if not hasattr(self, "database"):
            return
        with self.database.reading() as session:
            keys = list(session.scalars(select(AlarmRow.cause_key).where(AlarmRow.closed_at.is_(None))))
        assert len(keys) == len(set(keys))

    @invariant()
    def what_has_happened_stays(self):
        if not hasattr(self, "database"):
            return
        for one in everything(self.database):
            assert self.closed.setdefault(one.id, one.closed_at) in {None, one.closed_at}
            self.closed[one.id] = one.closed_at
            if one.id in self.acknowledged:
                told = (one.acknowledged_at, one.acknowledged_by, one.acknowledged_note)
                assert told == self.acknowledged[one.id]
            with self.database.reading() as session:
                events = list(history(session, CLERK, one.id))
            before = self.told.get(one.id, [])
            assert events[: len(before)] == before
            self.told[one.id] = events
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert (one.closed_at is None) == (AlarmAction.CLOSE not in {event.action for event in events})
            assert one.opened_at <= one.detected_at <= self.now
            assert one.level <= HIGHEST_LEVEL
            assert (one.closed_at is None) or one.closed_at >= one.opened_at


Life.TestCase.settings = settings(
    max_examples=500 if SOAK else 5,
    stateful_step_count=40 if SOAK else 25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestLife = pytest.mark.soak(Life.TestCase)


def test_a_signal_that_flaps_all_day_gives_few_alarms(county) -> None:
    database, now, opened = county.database, NOON, 0
    for minute in range(24 * 60):
        # Sixteen minutes on, twelve off: each is just long enough by itself.
        on = minute % 28 < 16
        now += timedelta(minutes=1)
        changes = bring(database, now, found(NARROW[0], Standing.ON if on else Standing.OFF))
        opened += sum(change.action is AlarmAction.OPEN for change in changes)
    print(f"{opened} alarms in a day of {24 * 60 // 28} flaps")
    assert 1 <= opened <= 4


def test_a_signal_that_flaps_faster_than_the_debounce_gives_none(county) -> None:
    now = NOON
    for minute in range(600):
        now += timedelta(minutes=1)
        bring(county.database, now, found(NARROW[0], Standing.ON if minute % 10 < 8 else Standing.OFF))
    assert everything(county.database) == ()


def test_an_alarm_that_nobody_takes_note_of_rises_twice_and_no_further(county) -> None:
    now = NOON
    bring(county.database, now, found(NARROW[0], Standing.ON, opens=timedelta()))
    levels = []
    for _ in range(6):
        now += timedelta(hours=13)
        bring(county.database, now, found(NARROW[0], Standing.ON))
        levels.append(everything(county.database)[0].level)
    assert levels == [0, 1, 1, 2, 2, 2]
    assert everything(county.database)[0].deadline is None


def test_taking_note_gives_the_time_of_the_repair(county) -> None:
    bring(county.database, NOON, found(NARROW[0], Standing.ON, opens=timedelta()))
    (one,) = everything(county.database)
    with county.database.transaction() as session:
        acknowledge(session, CLERK, one.id, " 已通知运维 ", NOON + timedelta(hours=20))
        (told,) = alarms(session, CLERK)
    assert told.deadline == NOON + timedelta(hours=20 + 72)
    assert (told.acknowledged_name, told.acknowledged_note) == ("县里的人", "已通知运维")
    with county.database.transaction() as session, pytest.raises(AlarmError, match="已由 县里的人 于"):
        acknowledge(session, CLERK, one.id, "", NOON + timedelta(hours=21))


def test_a_village_may_see_its_alarms_and_not_take_note(county) -> None:
    bring(county.database, NOON, found(NARROW[0], Standing.ON, opens=timedelta()))
    with county.database.transaction() as session:
        (one,) = alarms(session, CADRE)
        with pytest.raises(NotPermittedError):
            acknowledge(session, CADRE, one.id, "", NOON)


@pytest.mark.parametrize(
    ("actor", "sees"),
    [
        (Actor("a", "县", Role.COUNTY, COUNTY), True),
        (Actor("b", "镇", Role.TOWNSHIP, "529901101000"), True),
        (Actor("c", "另一个镇", Role.TOWNSHIP, "529901102000"), False),
        (Actor("d", "另一个县", Role.COUNTY, "529902000000"), False),
        (Actor("e", "乱写的", Role.COUNTY, "529901%"), False),
        (Actor("f", "运维", Role.MAINTENANCE, COUNTY, "别的公司"), False),
    ],
)
def test_who_looks_after_the_place_sees_the_alarm(county, actor, sees) -> None:
    bring(county.database, NOON, found(NARROW[0], Standing.ON, opens=timedelta()))
    with county.database.transaction() as session:
        listed = alarms(session, actor)
        assert bool(listed) is sees
        identifier = everything(county.database)[0].id
        assert (alarm(session, actor, identifier) is not None) is sees
        if not sees and actor.role is not Role.VILLAGE:
            with pytest.raises(LookupError):
                acknowledge(session, actor, identifier, "", NOON)


def test_an_alarm_of_the_county_is_seen_in_its_townships_and_nowhere_else(county) -> None:
    wide = Subject(SubjectKind.DIVISION, COUNTY, COUNTY, power_w=1)
    bring(county.database, NOON, found(wide, Standing.ON, opens=timedelta()))
    with county.database.reading() as session:
        assert alarms(session, CADRE)
        assert not alarms(session, Actor("x", "邻县", Role.COUNTY, "529902000000"))


@pytest.fixture(params=["database", "postgres"])
def one_open(request):
    opened = request.getfixturevalue(request.param)
    with opened.transaction() as session:
        _register(session)
    bring(opened, NOON, found(NARROW[0], Standing.ON, opens=timedelta()))
    return opened


def test_both_databases_refuse_a_second_open_alarm_of_a_cause(one_open) -> None:
    with one_open.reading() as session:
        held = session.scalars(select(AlarmRow)).one()
        values = {column.key: getattr(held, column.key) for column in AlarmRow.__table__.columns}
    with pytest.raises(IntegrityError), one_open.transaction() as session:
        session.add(AlarmRow(**values | {"id": "another"}))
    with pytest.raises(IntegrityError), one_open.transaction() as session:
        session.add(AlarmRow(**values | {"id": "third", "closed_at": NOON - timedelta(days=999)}))


@pytest.mark.parametrize(
    "change",
    [
        {"closed_at": NOON},
        {"level": 1},
        {"acknowledged_at": NOON, "acknowledged_by": "x"},
        {"opened_at": NOON - timedelta(days=1)},
        {"cause_key": "other"},
        {"closed_at": NOON, "event_seq": 2},
    ],
)
def test_both_databases_refuse_a_change_without_its_history(one_open, change) -> None:
    with pytest.raises((IntegrityError, DatabaseError)), one_open.transaction() as session:
        session.execute(update(AlarmRow).values(**change))


def test_both_databases_keep_what_has_happened(one_open) -> None:
    bring(one_open, NOON + timedelta(hours=1), found(NARROW[0], Standing.OFF))
    bring(one_open, NOON + timedelta(hours=2), found(NARROW[0], Standing.OFF))
    (one,) = everything(one_open)
    assert one.closed_at == NOON + timedelta(hours=1)
    again = {
        "alarm_id": one.id,
        "seq": 3,
        "at": NOON,
        "action": "open",
        "by_id": "",
        "by_name": "",
        "note": "",
    }
    for statement in (
        update(AlarmRow).values(closed_at=None, event_seq=3),
        text("DELETE FROM alarm"),
        text("DELETE FROM alarm_event"),
        text("UPDATE alarm_event SET note = 'anders'"),
    ):
        with pytest.raises((IntegrityError, DatabaseError)), one_open.transaction() as session:
            session.add(AlarmEventRow(**again))
            session.flush()
            session.execute(statement)
    bring(one_open, NOON + timedelta(hours=3), found(NARROW[0], Standing.ON, opens=timedelta()))
    assert len(everything(one_open)) == 2
