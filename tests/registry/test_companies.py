"""A login of an O&M company sees what its company looks after, and nothing else."""

import pytest

from registry import users
from registry.actors import Actor, Role
from registry.stations import devices, station, stations
from registry.users import NewUser
from store.problem import ProblemsError
from tests.monitoring.work_orders.conftest import NOW, OFFICER, WORKER, register


def test_a_login_of_a_company_sees_only_its_stations(database):
    register(database)
    new = NewUser("worker", "吴军", Role.MAINTENANCE, OFFICER.area, WORKER.company)
    with database.transaction() as session:
        users.create_user(session, OFFICER, new, NOW, "x")
        made = next(one for one in users.users(session, OFFICER) if one.login == "worker")
        opened = users.open_session(session, Actor(made.id, "吴军", Role.MAINTENANCE, made.area), NOW)
        seen = users.actor_of_session(session, opened.token, NOW).actor
        assert seen.company == WORKER.company
        assert [one.id for one in stations(session, seen)] == ["s1"]
        assert [one.station_id for one in devices(session, seen)] == ["s1"]
        assert station(session, seen, "s2") is None


def test_only_a_maintenance_login_belongs_to_a_company(database):
    new = NewUser("cadre", "李强", Role.VILLAGE, OFFICER.area, WORKER.company)
    with database.transaction() as session, pytest.raises(ProblemsError, match="只有运维角色"):
        users.create_user(session, OFFICER, new, NOW)
