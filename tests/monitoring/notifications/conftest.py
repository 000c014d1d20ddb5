"""A county whose people have logins, and alarms made to order."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from monitoring.alarms.conditions import Finding, Standing, Subject
from monitoring.alarms.kinds import AlarmKind, AlarmSeverity, SubjectKind
from monitoring.alarms.lifecycle import Pass
from monitoring.alarms.rules import rule_book
from monitoring.notifications.outbox import claim, compose, queue
from monitoring.notifications.subscriptions import Channel, Wish, subscribe
from registry.actors import Actor, Role
from registry.users import NewUser, create_user, users
from store.periods import local_date
from tests.monitoring.conftest import CLERK, COUNTY, NOON, TOWNSHIP, County

LOGINS = {
    "xian": (Role.COUNTY, COUNTY),
    "zhen": (Role.TOWNSHIP, TOWNSHIP),
    "cun": (Role.VILLAGE, "529901101201"),
}
VILLAGES = {"s1": "529901101201", "s2": "529901101202", "s3": "529901102201"}


@dataclass
class Office:
    """The county, its people's actors by login, and what can be done with alarms and news."""

    county: County
    people: dict[str, Actor]
    now: object = NOON

    def subscribe(self, login, **wish):
        with self.county.database.transaction() as session:
            actor = self.people[login]
            made = Wish(
                **{"channel": Channel.EMAIL, "target": f"{login}@example.cn", "digest_minutes": 0} | wish
            )
            return subscribe(session, actor, actor.user_id, made, self.now)

    def change(self, standing, *subjects, severity=AlarmSeverity.CRITICAL, kind=AlarmKind.OUTAGE):
        """Bring alarms of subjects up to a standing, and queue what happened."""
        with self.county.database.transaction() as session:
            turn = Pass(session, rule_book(session, local_date(self.now)), self.now, ()).read()
            found = [
                Finding(one.key("standstill"), kind, one, standing, severity, cause="设备报故障停机")
                for one in subjects
            ]
            changes = turn.apply(found)
            queue(session, changes)
            return changes

    def open(self, *subjects, **how):
        return self.change(Standing.ON, *subjects, **how)

    def close(self, *subjects):
        return self.change(Standing.OFF, *subjects)

    def compose(self, worth=lambda *_: {}):
        with self.county.database.transaction() as session:
            return compose(session, worth, "测试账本", self.now)

    def claim(self):
        with self.county.database.transaction() as session:
            return claim(session, self.now)

    def later(self, **span):
        self.now += timedelta(**span)


def device(name, station="s1"):
    return Subject(SubjectKind.DEVICE, name, VILLAGES[station], station, name, 50_000)


def station(name):
    return Subject(SubjectKind.STATION, name, VILLAGES[name], name, power_w=100_000)


@pytest.fixture
def office(county: County) -> Office:
    with county.database.transaction() as session:
        for login, (role, area) in LOGINS.items():
            create_user(session, CLERK, NewUser(login, f"{login}的人", role, area), NOON)
        listed = {one.login: one for one in users(session, CLERK)}
    people = {
        login: replace(CLERK, user_id=listed[login].id, name=listed[login].name, role=role, area=area)
        for login, (role, area) in LOGINS.items()
    }
    return Office(county, people)
