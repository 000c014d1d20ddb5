"""Alarms, subscriptions and rules from the command line and over HTTP, on the seeded county."""

from datetime import timedelta

import pytest

from api.operations import OPERATIONS
from api.outcome import Exit
from dashboards.sessions import session_cookie
from dashboards.web import Services
from monitoring.alarms.conditions import Finding, Standing, Subject
from monitoring.alarms.kinds import AlarmKind, AlarmSeverity, SubjectKind
from monitoring.alarms.lifecycle import Pass
from monitoring.alarms.losses import keep_estimates
from monitoring.alarms.rules import rule_book
from monitoring.notifications.outbox import queue
from registry.actors import SYSTEM
from registry.stations import devices, stations
from registry.users import open_session
from store.periods import local_date
from store.problem import ProblemsError
from tests.api.conftest import V1, County


def stopped(services: Services, severity=AlarmSeverity.CRITICAL):
    """Open an alarm of an inverter that has stood still for 76 hours; returns its station's id."""
    now = services.clock()
    with services.database.transaction() as session:
        inverter = next(one for one in devices(session, SYSTEM) if one.kind == "inverter")
        place = next(one for one in stations(session, SYSTEM) if one.id == inverter.station_id)
        subject = Subject(
            SubjectKind.DEVICE,
            inverter.id,
            place.division_code,
            place.id,
            inverter.id,
            inverter.rated_power_w,
        )
        found = Finding(
            "test:" + subject.id, AlarmKind.OUTAGE, subject, Standing.ON, severity,
            cause="设备报故障停机", since=now - timedelta(hours=76),
        )  # fmt: skip
        changes = Pass(session, rule_book(session, local_date(now)), now, ()).read().apply([found])
        queue(session, changes)
        keep_estimates(session, {changes[0].alarm_id: 465_000})
    return changes[0].alarm_id, place.id


def do(services: Services, operation: str, /, **arguments):
    return OPERATIONS[operation](services, **arguments)


def test_the_list_says_in_a_sentence_what_an_outage_cost(services: Services) -> None:
    alarm_id, station_id = stopped(services)
    listed = do(services, "alarms", station_id=station_id, kind=["停机"], severity=["紧急"])
    row = next(one for one in listed.rows if one["id"] == alarm_id)
    assert "停机 3 天 4 小时，约少收 " in row["sentence"]
    assert row["sentence"].endswith(" 元")
    assert (row["lost_energy_wh"], row["standing"]) == (465_000, "未确认")
    assert row["lost_fen"] > 0
    assert listed.exit_code is Exit.FOUND
    assert do(services, "alarms", area="529999000000").exit_code is Exit.DONE
    with pytest.raises(ProblemsError, match="没有这一类"):
        do(services, "alarms", kind=["停摆"])


def test_an_operator_makes_and_ends_subscriptions_and_sees_the_outbox(
    services: Services, county: County
) -> None:
    login = "a-county"
    made = do(
        services,
        "notify-subscribe",
        login=login,
        target="xian@example.cn",
        severity="一般",
        quiet="22:00-07:00",
    )
    (row,) = made.rows
    assert (row["channel"], row["quiet"], row["severity"]) == ("email", "22:00-07:00", "minor")
    stopped(services)
    assert do(services, "notify-status").rows[0]["news"] == 1
    do(services, "notify-unsubscribe", subscription_id=row["id"])
    assert do(services, "notify-list", login=login).rows == ()
    for wrong in ({"target": "kein_name!"}, {"target": "a@b.cn", "quiet": "abends"}):
        with pytest.raises(ProblemsError):
            do(services, "notify-subscribe", login=login, **wrong)
    with pytest.raises(ProblemsError, match="没有 niemand"):
        do(services, "notify-list", login="niemand")


def test_a_county_sets_a_threshold_with_its_source_and_sees_it(services: Services) -> None:
    about = {"since": "2026-01-01", "source": "县能源局〔2026〕1号"}
    do(services, "parameters-set", name="alarm_temperature_c", value="75", **about)
    listed = do(services, "parameters-list", prefix="alarm_temperature_c", on="2026-06-01")
    assert {row["name"]: row["value"] for row in listed.rows}["alarm_temperature_c"] == "75"
    do(services, "parameters-set", name="alarm_open_minutes", key="outage", value="30", **about)
    with services.database.reading() as session:
        rules = rule_book(session, local_date(services.clock())).of("520000000000")
    assert rules.opens_after(AlarmKind.OUTAGE) == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("name", "value", "more", "word"),
    [
        ("alarm_temperature_c", "60", {}, "不大于"),
        ("alarm_temperature_c", "500", {}, "超出"),
        ("alarm_temperature_c", "heiss", {}, "不是数字"),
        ("alarm_temperature_c", "75", {"source": " "}, "没有写明依据"),
        ("alarm_temperature_c", "75", {"since": "gestern"}, "不是日期"),
        ("alarm_nichts", "1", {}, "没有名为"),
    ],
)
def test_a_threshold_that_does_not_fit_is_refused_and_leaves_nothing(
    services, name, value, more, word
) -> None:
    about = {"since": "2026-01-01", "source": "文件", **more}
    with pytest.raises(ProblemsError, match=word):
        do(services, "parameters-set", name=name, value=value, **about)
    listed = do(services, "parameters-list", prefix="alarm_temperature_c")
    assert all("系统默认" in row["source"] for row in listed.rows)


def test_an_alarm_is_listed_shown_and_noted_once_over_http(services: Services, http) -> None:
    alarm_id, station_id = stopped(services)
    listed = http(
        "county", "GET", "/alarms", params={"station_id": station_id, "severity": "critical"}
    ).json()
    assert alarm_id in {one["id"] for one in listed}
    assert http("village", "POST", f"/alarms/{alarm_id}/acknowledge", json={"note": ""}).status_code in {
        403,
        404,
    }
    noted = http("county", "POST", f"/alarms/{alarm_id}/acknowledge", json={"note": "已派人"})
    assert noted.status_code == 200
    assert [one["action"] for one in noted.json()["history"]] == ["open", "acknowledge"]
    again = http("county", "POST", f"/alarms/{alarm_id}/acknowledge", json={"note": "再来"})
    assert again.status_code == 422
    assert "已由" in again.json()["problems"][0]["what"]
    assert http("county", "GET", f"/alarms/{alarm_id}").json()["acknowledged_note"] == "已派人"
    assert http("county", "GET", "/alarms/nichts").status_code == 404


def test_a_login_keeps_its_own_subscriptions_over_http(http) -> None:
    wish = {"channel": "email", "target": "zhen@example.cn", "quiet": "22:00-06:30", "digest_minutes": 60}
    made = http("township", "POST", "/subscriptions", json=wish)
    assert made.status_code == 201
    identifier = made.json()["id"]
    assert made.json()["quiet"] == "22:00-06:30"
    assert [one["id"] for one in http("township", "GET", "/subscriptions").json()] == [identifier]
    assert http("county", "DELETE", f"/subscriptions/{identifier}").status_code == 404
    assert http("township", "DELETE", f"/subscriptions/{identifier}").status_code == 204
    assert http("township", "GET", "/subscriptions").json() == []
    wrong = http("township", "POST", "/subscriptions", json={**wish, "target": "http://evil.example"})
    assert wrong.status_code == 422


def test_a_change_with_a_cookie_alone_is_refused(services: Services, programs, county: County) -> None:
    alarm_id, _station = stopped(services)
    with services.database.transaction() as session:
        token = open_session(session, county.actors["county"], services.clock()).token
    cookies = {"Cookie": f"{session_cookie(services)}={token}"}
    path = f"{V1}/alarms/{alarm_id}"
    assert programs["public"].get(path, headers=cookies).status_code == 200
    answer = programs["public"].ask("POST", f"{path}/acknowledge", json={"note": ""}, headers=cookies)
    assert answer.status_code == 403
