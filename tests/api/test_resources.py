"""The HTTP API over a seeded county: right figures, right refusals, and nobody's personal data."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from api.app import create_app
from api.demo.people import build_people
from api.demo.seeding import open_county
from dashboards.web import access_rules, open_to_all, requires
from distribution.ledger.journal import journal
from distribution.money import uppercase
from distribution.settlement.reads import settlements
from registry.actors import PERMISSIONS, SYSTEM, Permission, Role
from registry.households import households
from registry.stations import DeviceKind, devices, shares
from store.energy import EnergyQuestion, answer
from store.periods import Period
from tests.api.conftest import BOOKED_MONTH, MONTH, NOON, PASSWORD, County, Program, things_of

V1 = "/api/v1"
COMMON = f"{V1}/plans/"  # what has no area: a plan is public, whoever it applies to
ROLES = ("county", "township", "village", "finance", "maintenance", "auditor", "public")


def leaves(routes: Any) -> Iterator[Any]:
    for route in routes:
        if hasattr(route, "effective_candidates"):
            yield from leaves(route.effective_candidates())
        else:
            yield route


def all_routes() -> list[Any]:
    return list(leaves(create_app(None).routes))  # type: ignore[arg-type]


def name_of(route: Any) -> str:
    return f"{min(route.methods)} {route.path}"


READS = [route for route in all_routes() if route.path.startswith(V1) and "GET" in route.methods]


def filled(county: County, path: str) -> str:
    """Return an address of the first village, so that every role but the public may find it there."""
    own = next(one for one in county.stations if one.division_code == county.villages[0])
    with county.database.reading() as session:
        household = next(one for one in households(session, SYSTEM) if one.village_code == county.villages[0])
    parts = {
        **things_of(county, county.villages[0]),
        "station_id": own.id,
        "run_id": county.run(county.villages[0]).id,
        "line_no": "1",
        "village_code": county.villages[0],
        "month": BOOKED_MONTH,
        "settlement_id": f"settlement:{county.stations[0].id}:{BOOKED_MONTH}:1",
        "household_id": household.id,
        "period": BOOKED_MONTH,
        "plan_id": "default-county",
        "version": "1",
        "code": county.villages[0],
    }
    address = re.sub(r"\{(\w+)\}", lambda found: parts[found[1]], path)
    monthly = (
        "settlements match-results differences statement-lines bank-lines costs spendings remittances "
        "meter-readings allocations trial indicators energy-adjustments"
    )
    question = {f"/{name}": f"?month={MONTH}" for name in monthly.split()} | {
        "/energy": f"?period={MONTH}",
        f"/books/{county.villages[0]}": "?year=2026",
    }
    return address + next((text for end, text in question.items() if address.endswith(end)), "")


def problem_of(reply: Any, status: int) -> Any:
    """Return the problem that an answer is; it has the form of RFC 9457 and words for a person."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    found = reply.json()
    assert found["status"] == status
    assert found["type"] == "about:blank"
    assert re.search(r"[一-鿿]", found["title"] + found["detail"])
    return found


# Access


@pytest.mark.parametrize("route", all_routes(), ids=name_of)
def test_every_route_of_the_application_has_exactly_one_access_rule(route):
    if route.path.startswith("/control/"):
        assert not route.include_in_schema  # guarded by the token of the data directory instead
    else:
        assert len(access_rules(route)) == 1


def test_only_the_login_is_open_to_all_below_the_api():
    open_ones = [
        name_of(route)
        for route in all_routes()
        if route.path.startswith("/api/") and isinstance(access_rules(route)[0], open_to_all)
    ]
    assert open_ones == ["POST /api/v1/session"]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("route", READS, ids=name_of)
def test_a_resource_answers_those_whose_role_allows_it(county, role, route):
    rule = access_rules(route)[0]
    assert isinstance(rule, requires)
    reply = county[role].get(filled(county, route.path))
    if rule.permission in PERMISSIONS[Role(role)]:
        assert reply.status_code == 200, reply.text
    else:
        problem_of(reply, 401 if role == "public" else 403)


def foreign_addresses(county: County) -> dict[str, str]:
    """Return each address that names a thing of the last village, which lies in another township."""
    other = county.villages[-1]
    with county.database.reading() as session:
        household = next(one for one in households(session, SYSTEM) if one.village_code == other)
        owners = {
            one.id: {share.village_code[:9] for share in shares(session, one.id, NOON.date())}
            for one in county.stations
        }
    station = next(one for one in county.stations if owners[one.id] == {other[:9]})
    wholly = {one for one, townships in owners.items() if townships == {other[:9]}}
    things = things_of(county, other, wholly)
    return {
        "/work-orders/{order_id}": f"/work-orders/{things['order_id']}",
        "/books/{code}": f"/books/{other}?year=2026",
        "/alarms/{alarm_id}": f"/alarms/{things['alarm_id']}",
        "/stations/{station_id}": f"/stations/{station.id}",
        "/stations/{station_id}/energy": f"/stations/{station.id}/energy?period={MONTH}",
        "/allocations/{run_id}": f"/allocations/{county.run(other).id}",
        "/allocations/{run_id}/correction": f"/allocations/{county.run(other).id}/correction",
        "/allocations/{run_id}/lines/{line_no}/trace": f"/allocations/{county.run(other).id}/lines/1/trace",
        "/settlements/{settlement_id}/trace": f"/settlements/settlement:{station.id}:{MONTH}:1/trace",
        "/statements/villages/{village_code}/{month}": f"/statements/villages/{other}/{BOOKED_MONTH}",
        "/statements/households/{household_id}/{period}": f"/statements/households/{household.id}/2026",
    }


@pytest.mark.parametrize("role", ["township", "village"])
@pytest.mark.parametrize(
    "path", [one.path for one in READS if "{" in one.path and not one.path.startswith(COMMON)]
)
def test_what_lies_outside_the_area_is_not_there(county, role, path):
    address = foreign_addresses(county)[path.removeprefix(V1)]
    assert county["county"].get(V1 + address).status_code == 200
    outside = problem_of(county[role].get(V1 + address), 404)
    nobody = "9" * 12 if "{code}" in path else "x"
    absent_address = re.sub(
        r"(/[\w-]+/(?:villages/|households/)?)[^/?]+", rf"\g<1>{nobody}", address, count=1
    )
    absent = problem_of(county[role].get(V1 + absent_address), 404)
    assert (outside["title"], outside["detail"]) == (absent["title"], absent["detail"])


@pytest.mark.parametrize("role", ["township", "village"])
def test_lists_hold_the_own_area_only(county, role):
    prefix = county.actors[role].area_prefix
    listed = county[role].json(f"{V1}/stations")
    assert 0 < len(listed) < len(county.stations)
    runs = county[role].json(f"{V1}/allocations?month={BOOKED_MONTH}")
    assert [one["village_code"] for one in runs] == [
        code for code in county.villages if code.startswith(prefix)
    ]
    allowed = {one["station_id"] for one in listed}
    assert {one["station_id"] for one in county[role].json(f"{V1}/settlements?month={MONTH}")} <= allowed
    assert len(county[role].json(f"{V1}/settlements?month={MONTH}")) > 0


def test_connections_are_shown_of_the_own_area_only(county):
    assert len(county["county"].json(f"{V1}/connections")) == len(
        county.application.state.collector.connections()
    )
    problem_of(county["village"].get(f"{V1}/connections"), 403)


def test_a_process_that_does_not_collect_shows_what_the_collector_reported(county, api_loop):
    without = create_app(county.services)
    token = county["county"].client.headers["authorization"].removeprefix("Bearer ")
    program = Program(without, api_loop, token)
    assert program.json(f"{V1}/connections") == county["county"].json(f"{V1}/connections")
    assert program.json(f"{V1}/collector/refused-callers") == []
    problem_of(program.get(f"{V1}/collector/balance"), 404)


# Sessions


def test_a_program_logs_in_with_a_bearer_token_and_out_again(county, api_loop):
    stranger = county["public"]
    opened = stranger.ask("POST", f"{V1}/session", json={"login": "A-County ", "password": PASSWORD})
    assert opened.status_code == 201
    assert "set-cookie" not in opened.headers
    assert opened.json()["expires_at"].endswith("Z")
    program = Program(county.application, api_loop, opened.json()["token"])
    assert len(program.json(f"{V1}/stations")) == len(county.stations)
    assert program.ask("DELETE", f"{V1}/session").status_code == 204
    problem_of(program.get(f"{V1}/stations"), 401)
    problem_of(program.ask("DELETE", f"{V1}/session"), 401)


@pytest.mark.parametrize("login", ["a-finance", "nobody"])
def test_a_wrong_password_and_an_unknown_login_are_refused_in_the_same_words(county, monkeypatch, login):
    waits: list[float] = []

    async def hold_back(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("api.resources.session.asyncio.sleep", hold_back)
    reply = county["public"].ask("POST", f"{V1}/session", json={"login": login, "password": "wrong"})
    found = problem_of(reply, 401)
    assert "登录名或口令不对" in found["detail"]
    assert waits
    assert waits[0] > 0


def test_after_five_failures_even_the_right_password_waits(county, monkeypatch):
    async def hold_back(_seconds: float) -> None:
        return None

    monkeypatch.setattr("api.resources.session.asyncio.sleep", hold_back)
    given = {"login": "a-auditor", "password": "wrong"}
    statuses = [county["public"].ask("POST", f"{V1}/session", json=given).status_code for _ in range(5)]
    assert set(statuses) <= {401, 429}
    reply = county["public"].ask("POST", f"{V1}/session", json={**given, "password": PASSWORD})
    problem_of(reply, 429)


def test_a_one_time_password_opens_nothing_but_its_own_change(county, api_loop):
    with county.database.transaction() as session:
        session.connection().exec_driver_sql(
            "UPDATE \"user\" SET must_change_password = 1 WHERE login = 'a-finance'"
        )
    try:
        problem_of(county["finance"].get(f"{V1}/settlements?month={MONTH}"), 403)
    finally:
        with county.database.transaction() as session:
            session.connection().exec_driver_sql(
                "UPDATE \"user\" SET must_change_password = 0 WHERE login = 'a-finance'"
            )


def test_a_token_is_of_no_use_outside_the_api(county):
    assert county["county"].get("/stations").status_code == 303
    problem_of(Program(county.application, county["county"]._loop, "x" * 5000).get(f"{V1}/stations"), 401)


# Bad requests


@pytest.mark.parametrize(
    "address",
    [
        "/settlements",
        "/settlements?month=2026-13",
        "/settlements?month=0000-01",
        "/settlements?month=٢٠٢٦-10",
        "/stations/{station}/energy?period=9999-12-31",
        "/allocations?month=十月",
        "/stations/{station}/energy",
        "/stations/{station}/energy?period=2026-02-30",
        "/stations/{station}/energy?period=0000",
        "/stations/{station}/energy?period=2026-10&daily=perhaps",
        "/statements/villages/{village}/2026-00",
        "/statements/households/x/2026-1",
        "/allocations/x/lines/one/trace",
    ],
)
def test_a_request_that_cannot_be_meant_is_answered_with_its_place(county, address):
    place = address.format(station=county.stations[0].id, village=county.villages[0])
    found = problem_of(county["county"].get(V1 + place), 422)
    assert found["problems"]
    for problem in found["problems"]:
        assert problem["where"]
        assert re.search(r"[一-鿿]", problem["what"]), problem
        assert re.search(r"[一-鿿]", problem["how_to_fix"])


@pytest.mark.parametrize(
    "body",
    [{}, {"login": "x"}, {"login": "x" * 65, "password": "y"}, {"login": 1, "password": None}, [], "x"],
)
def test_a_login_of_another_form_is_refused(county, body):
    found = problem_of(county["public"].ask("POST", f"{V1}/session", json=body), 422)
    assert all(re.search(r"[一-鿿]", problem["what"]) for problem in found["problems"])
    assert "x" * 65 not in json.dumps(found)


def test_a_broken_body_and_a_wrong_method_are_answered_as_problems(county):
    broken = county["public"].ask(
        "POST", f"{V1}/session", content=b"{", headers={"content-type": "application/json"}
    )
    problem_of(broken, 422)
    unreadable = county["public"].ask(
        "POST", f"{V1}/session", content=b"\xff{", headers={"content-type": "application/json"}
    )
    problem_of(unreadable, 400)
    problem_of(county["county"].ask("PUT", f"{V1}/stations"), 405)
    problem_of(county["county"].get(f"{V1}/nothing"), 404)
    problem_of(county["public"].get(f"{V1}/nothing"), 404)


def test_answers_are_not_kept_by_caches_and_carry_the_headers(county):
    reply = county["county"].get(f"{V1}/stations")
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"


# Figures


def test_stations_stand_as_they_are_registered_with_todays_energy(county):
    listed = {one["station_id"]: one for one in county["county"].json(f"{V1}/stations")}
    assert set(listed) == {one.id for one in county.stations}
    for station in county.stations:
        shown = listed[station.id]
        assert (shown["name"], shown["rated_power_w"]) == (station.name, station.rated_power_w)
        assert shown["state"]["word"]
        assert shown["month_wh"] is None or shown["month_wh"] >= (shown["today_wh"] or 0)
    assert sum(one["today_wh"] or 0 for one in listed.values()) > 0


def test_a_station_is_the_sum_of_its_inverters(county):
    for station in county.stations:
        shown = county["county"].json(f"{V1}/stations/{station.id}")
        # A value that has grown old is shown at its inverter, but says nothing of the station's present.
        fresh = [
            one["active_power_w"]
            for one in shown["inverters"]
            if one["active_power_w"] is not None
            and datetime.fromisoformat(one["last_time"]) > NOON - timedelta(minutes=10)
        ]
        assert shown["active_power_w"] == (pytest.approx(sum(fresh)) if fresh else None)
        todays = [one["today_wh"] for one in shown["inverters"] if one["today_wh"] is not None]
        assert shown["today_wh"] == (sum(todays) if todays else None)


def test_energy_is_that_of_the_counters_and_its_days_add_up_to_the_month(county):
    station = county.stations[0]
    month = county["county"].json(f"{V1}/stations/{station.id}/energy?period={MONTH}")
    days = county["county"].json(f"{V1}/stations/{station.id}/energy?period={MONTH}&daily=true")
    sums: dict[str, int] = defaultdict(int)
    for one in days:
        sums[one["device_id"]] += one["energy_wh"] or 0
    assert len(days) == 31 * len(month)
    assert {one["device_id"]: one["energy_wh"] for one in month} == dict(sums)
    with county.database.reading() as session:
        own = [one for one in devices(session, SYSTEM, station.id) if one.kind == DeviceKind.INVERTER]
    rated = {one.id: one.rated_power_w for one in own}
    question = EnergyQuestion(list(rated), [Period.parse(MONTH)], "generated_energy_wh", rated, until=NOON)
    counted = {one.device_id: one.energy_wh for one in answer(county.series, question)}
    assert {one["device_id"]: one["energy_wh"] for one in month if one["kind"] == "inverter"} == counted
    assert all(0 <= one["completeness"] <= 1 for one in days)


def test_settlements_are_the_bills_line_by_line(county):
    listed = county["finance"].json(f"{V1}/settlements?month={MONTH}")
    with county.database.reading() as session:
        bills = {one.id: one for one in settlements(session, SYSTEM, month=MONTH)}
    assert {one["id"] for one in listed} == set(bills)
    for one in listed:
        assert one["electricity_fen"] == sum(line["electricity_fen"] for line in one["lines"])
        assert one["subsidy_fen"] == sum(line["subsidy_fen"] for line in one["lines"])
        assert one["exported_energy_wh"] == sum(line["exported_energy_wh"] for line in one["lines"])
        for line in one["lines"]:
            assert isinstance(line["electricity_fen"], int)
            turned = float(line["current_reading"]) - float(line["previous_reading"])
            assert turned * line["meter_multiplier"] * 1000 == pytest.approx(line["exported_energy_wh"])
    assert county["finance"].json(f"{V1}/settlements?month=2001-01") == []


@pytest.mark.parametrize("month", [BOOKED_MONTH, MONTH])
def test_an_allocation_gives_out_exactly_what_is_distributable(county, month):
    listed = county["county"].json(f"{V1}/allocations?month={month}")
    assert [one["village_code"] for one in listed] == list(county.villages)
    for one in listed:
        shown = county["county"].json(f"{V1}/allocations/{one['id']}")
        assert {key: shown[key] for key in one} == one
        assert sum(line["amount_fen"] for line in shown["lines"]) == shown["amount_fen"]
        assert shown["distributable_fen"] == shown["amount_fen"]
        assert [line["line_no"] for line in shown["lines"]] == list(range(1, len(shown["lines"]) + 1))
        assert all(line["explanation"] for line in shown["lines"])


def test_a_line_leads_back_to_rule_entry_receipt_bill_and_meter(county):
    run = county.run(county.villages[0])
    shown = county["auditor"].json(f"{V1}/allocations/{run.id}")
    for line in shown["lines"]:
        steps = county["auditor"].json(f"{V1}/allocations/{run.id}/lines/{line['line_no']}/trace")
        kinds = [step["kind"] for step in steps]
        assert kinds[0] == "line"
        assert steps[0]["amount_fen"] == line["amount_fen"]
        assert {"line", "rule", "entry", "receipt", "settlement", "reading"} <= set(kinds)
    problem_of(county["auditor"].get(f"{V1}/allocations/{run.id}/lines/9999/trace"), 404)
    problem_of(county["auditor"].get(f"{V1}/allocations/{run.id}/lines/-1/trace"), 422)
    problem_of(county["auditor"].get(f"{V1}/allocations/{run.id}/lines/999/trace"), 404)


@pytest.mark.parametrize("month", [BOOKED_MONTH, MONTH])
def test_a_villages_statement_adds_up_by_hand_and_agrees_with_the_ledger(county, month):
    for village in county.villages:
        shown = county["county"].json(f"{V1}/statements/villages/{village}/{month}")
        income = sum(one["amount_fen"] for one in shown["income"])
        deducted = sum(one["amount_fen"] for one in shown["deductions"])
        carried = shown["carried_in"]["amount_fen"] if shown["carried_in"] else 0
        assert income - deducted + carried == shown["distributable"]["amount_fen"]
        assert sum(one["amount_fen"] for one in shown["lines"]) == shown["total_fen"]
        assert (
            shown["total_fen"]
            == shown["distributable"]["amount_fen"]
            == county.run(village, month).amount_fen
        )
        assert shown["difference_fen"] == 0
        assert shown["total_uppercase"] == uppercase(shown["total_fen"])
        assert shown["is_booked"] is (month == BOOKED_MONTH)
        if shown["is_booked"]:
            entries = {name for line in shown["lines"] for name in line["entries"]}
            assert entries
            with county.database.reading() as session:
                for book, _, number in (name.partition("/") for name in entries):
                    assert journal(session, SYSTEM, book, int(number)) is not None


def test_a_households_year_is_the_sum_of_its_lines_in_the_villages_statements(county):
    owed: dict[str, int] = defaultdict(int)
    for month in (BOOKED_MONTH, MONTH):
        for line in county["county"].json(f"{V1}/statements/villages/{county.villages[0]}/{month}")["lines"]:
            if line["household_id"]:
                owed[line["household_id"]] += line["amount_fen"]
    assert owed
    for household, amount in owed.items():
        year = county["county"].json(f"{V1}/statements/households/{household}/2026")
        booked = sum(one["amount_fen"] for one in year["lines"] if one["is_booked"])
        assert year["total_fen"] == booked == amount - year["pending_fen"]
        assert all(one["steps"] for one in year["lines"])
        assert year["paid_fen"] + year["owed_fen"] == year["total_fen"]
        month = county["county"].json(f"{V1}/statements/households/{household}/{BOOKED_MONTH}")
        assert {one["period"] for one in month["lines"]} <= {BOOKED_MONTH}


# Personal data


@pytest.fixture(scope="session")
def secrets_of_people(county) -> set[str]:
    """Every name, ID number, card and phone of the county's people, and the phones of its stations."""
    held = set()
    for family in build_people(open_county(county.folder)).families:
        held |= {family.household.name, family.account.holder, family.account.account}
        for member in family.members:
            held |= {member.name, member.id_number, member.phone}
    held |= {one.maintenance_phone for one in county.stations}
    return {one for one in held if one}


def walk_the_api(county: County, role: str) -> Iterator[tuple[str, str]]:
    program = county[role]
    addresses = [f"{V1}/stations", f"{V1}/connections", f"{V1}/collector/balance", f"{V1}/openapi.json"]
    addresses += [f"{V1}/stations/{one.id}" for one in county.stations]
    for month in (BOOKED_MONTH, MONTH):
        addresses += [f"{V1}/settlements?month={month}", f"{V1}/allocations?month={month}"]
        for village in county.villages:
            run = county.run(village, month)
            addresses += [f"{V1}/statements/villages/{village}/{month}", f"{V1}/allocations/{run.id}"]
            shown = program.get(f"{V1}/allocations/{run.id}")
            for line in shown.json().get("lines", []):
                addresses.append(f"{V1}/allocations/{run.id}/lines/{line['line_no']}/trace")
    with county.database.reading() as session:
        addresses += [f"{V1}/statements/households/{one.id}/2026" for one in households(session, SYSTEM)]
    for address in addresses:
        yield address, program.get(address).text


@pytest.mark.parametrize("role", ["county", "auditor"])
def test_no_answer_holds_a_name_an_id_a_card_or_a_phone(county, secrets_of_people, role):
    assert len(secrets_of_people) > 100
    for address, text in walk_the_api(county, role):
        plain = json.dumps(json.loads(text), ensure_ascii=False)
        assert [one for one in secrets_of_people if one in plain] == [], address


def test_no_permission_is_missing_from_the_matrix():
    asked = {access_rules(route)[0].permission for route in READS}
    assert asked == {
        Permission.VIEW_STATIONS,
        Permission.VIEW_MONEY,
        Permission.VIEW_HOUSEHOLDS,
        Permission.VIEW_OPERATIONS,
    }
