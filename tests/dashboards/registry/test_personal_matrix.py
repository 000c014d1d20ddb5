"""Every role at every page, for people of its own area and of another: seen masked, not found, or refused.

Generated from the routes themselves, so that a new page is in it or the test says so. Whatever is answered,
no whole ID number, telephone or account of anybody stands in it, and nobody of another area.
"""

import io
import zipfile

import pypdf
import pytest
from fastapi.routing import APIRoute

from api.tasks import handlers
from dashboards import routers
from dashboards.jobs import SHEETS
from dashboards.web import access_rules, logged_in, open_to_all, requires
from distribution.settlement.bank.lines import BankLineFact, keep_lines
from registry.actors import PUBLIC, SYSTEM, Actor, Permission
from registry.households import HouseholdMemberRow, PayeeAccountRow
from registry.roll.reviews import Review, open_review
from registry.secrets import open_key_ring
from store.jobs import NewJob, run_next, submit
from tests.dashboards.conftest import NOON, ROLES

COUNTED = {
    "/static/{name}": "files of the house, no data",
    "/notices/{run_id}/{code}": "its secret code is the right; tests/dashboards/test_pages.py",
    "/notices/{run_id}/{code}/lists/{purse}": "its secret code is the right; tests/dashboards/test_pages.py",
    "/work-orders/{order_id}": "maintenance, no people of the roll; tests/dashboards/running",
    "/work-orders/{order_id}/photos/{sha256}": "maintenance, no people of the roll",
    "/alarms/{alarm_id}": "maintenance, no people of the roll",
    "/exchanges/{exchange_id}": "county only; tests/dashboards/registry/test_registry_pages.py",
    "/exchanges/{exchange_id}/xlsx": "county only; tests/dashboards/registry/test_registry_pages.py",
    "/vouchers/{sha256}": "a photo, of one's own villages only; tests/dashboards/receiving",
    "/meter-readings/photos/{sha256}": "a photo, of one's own stations only; tests/dashboards/receiving",
    "/payouts/{batch_id}/file": "the bank's file holds whole accounts; finance only, tests/dashboards",
}
OF_A_VILLAGE = {"household_id", "village_code", "key"}
QUERIES = {"/villages/{village_code}/entries": "?n=1.2"}
KINDS = {
    "/settlement-papers/{kind}": "account",
    "/settlement-papers/{kind}/{form}": "account",
    "/money-papers/{kind}": "wages",
    "/money-papers/{kind}/{form}": "wages",
    "/receipts/template/{kind}": "bank_lines",
}
VALUES = {
    "month": "2026-10",
    "kind": "households",
    "name": "default_county",
    "version": "1",
    "line_no": "1",
    "form": "pdf",
}


def routes() -> list[APIRoute]:
    return [
        route
        for router in routers()
        for route in router.routes
        if isinstance(route, APIRoute) and "GET" in route.methods and route.path not in COUNTED
    ]


@pytest.fixture(scope="module")
def secrets_of_people(county) -> set[str]:
    """All whole ID numbers, telephones and accounts of the county."""
    ring = open_key_ring(county.services.data_dir)
    found = set()
    with county.database.reading() as session:
        for row in session.query(HouseholdMemberRow):
            found.add(ring.decrypt("id_number", row.id_number_encrypted))
            found.add(ring.decrypt("phone", row.phone_encrypted))
        for row in session.query(PayeeAccountRow):
            found.add(ring.decrypt("account", row.account_encrypted))
    return {one for one in found if len(one) > 6}


@pytest.fixture(scope="module")
def reviewed(county) -> str:
    area = county.villages[0][:6] + "000000"
    review = Review("matrix", "yearly", "2031", area, "核查", "通知", NOON.date(), NOON.date())
    with county.database.transaction() as session:
        open_review(session, Actor("s", "县", ROLES["county"], area), review, NOON)
    return review.id


@pytest.fixture(scope="module", autouse=True)
def printed(county) -> None:
    """The sheets of the first and the last village, as their own cadres had them made."""
    for village in (county.villages[0], county.villages[-1]):
        whose = {"user_id": village, "name": "村", "role": ROLES["village"].value, "area": village}
        payload = {"village": village, "period": "2026-10", **whose}
        with county.database.transaction() as session:
            submit(session, NewJob(sheets_of(village), SHEETS, payload), NOON)
    while run_next(county.database, "worker", county.services.clock, handlers(county.services)):
        pass


def sheets_of(village: str) -> str:
    return f"{SHEETS}-matrix-{village}"


def bank_line(county, village: str) -> str:
    """Return a bank line of a village's county, kept once."""
    fact = BankLineFact(NOON.date(), 12_345, "供电公司", f"matrix-{village}", "电费")
    actor = Actor("cashier", "县财务", ROLES["county"], village[:6] + "000000")
    with county.database.transaction() as session:
        made, known, _ = keep_lines(session, actor, ([fact], f"matrix-{village}"), NOON)
    return (made or known)[0]


def objects(county, review: str, village: str) -> dict[str, str]:
    """Return the values of path parameters that lead to things of one village."""
    home = next(one for one in county.households if one.village_code == village)
    station = next((one for one in county.stations if one.division_code == village), county.stations[-1])
    run = county.run(village, "2026-10")
    return VALUES | {
        "household_id": home.id,
        "village_code": village,
        "code": village,
        "station_id": station.id,
        "run_id": run.id,
        "review_id": review,
        "plan_id": run.plan_id,
        "key": sheets_of(village),
        "settlement_id": f"settlement:{station.id}:2026-10:1",
        "line_id": bank_line(county, village),
    }


def area_of(role: str, county) -> str:
    first = county.villages[0]
    return {
        "village": first,
        "township": first[:9],
        "second": county.villages[-1][:9],
        "public": "-",
    }.get(role, first[:6])


def text_of(answer) -> str:
    if answer.headers.get("content-type") == "application/pdf":
        return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(answer.content)).pages)
    if "spreadsheet" not in answer.headers.get("content-type", ""):
        return answer.content.decode("utf-8", "replace")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        return "\n".join(book.read(name).decode("utf-8", "replace") for name in book.namelist())


def may(role: str, route: APIRoute) -> bool:
    (rule,) = access_rules(route)
    if isinstance(rule, requires):
        actor = PUBLIC if role == "public" else Actor("x", "x", ROLES[role], "520491000000")
        return actor.may(rule.permission)
    return isinstance(rule, open_to_all) or (isinstance(rule, logged_in) and role != "public")


def test_every_route_is_in_the_matrix_or_counted_out_with_a_reason(county, reviewed):
    known = set(objects(county, reviewed, county.villages[0]))
    for route in routes():
        assert set(route.param_convertors) <= known, f"{route.path} needs an object, or a reason in COUNTED"


@pytest.mark.parametrize("role", [*ROLES, "public"])
def test_a_role_sees_masked_people_of_its_area_and_nobody_else(
    county, browse, reviewed, secrets_of_people, role
):
    browser, own = browse(role), area_of(role, county)
    outside = {one.id for one in county.households if not one.village_code.startswith(own)}
    seen = 0
    for route in routes():
        for village in (county.villages[0], county.villages[-1]):
            parts = objects(county, reviewed, village)
            parts["kind"] = KINDS.get(route.path, parts["kind"])
            path = route.path.format(**parts) + QUERIES.get(route.path, "")
            answer = browser.get(path)
            text = text_of(answer)
            assert answer.status_code < 500, path
            if not may(role, route):
                assert answer.status_code in {403, 303}, path
            elif {"household_id", "village_code", "key"} & set(
                route.param_convertors
            ) and not village.startswith(own):
                assert answer.status_code in {404, 403}, path
            leaked = [one for one in secrets_of_people if one in text]
            assert leaked == [], (role, path, leaked)
            strangers = [one for one in outside if one in text and one not in path]
            assert strangers == [], (role, path, strangers)
            seen += answer.status_code == 200
    assert seen >= (2 if role == "public" else 20)


def test_who_may_not_view_households_is_refused_on_every_page_of_people(county, browse, reviewed):
    people = [
        route
        for route in routes()
        if getattr(access_rules(route)[0], "permission", None)
        in {Permission.VIEW_HOUSEHOLDS, Permission.EDIT_REGISTRY}
    ]
    assert len(people) > 15
    given = objects(county, reviewed, county.villages[0])
    for role in ("maintenance", "public"):
        for route in people:
            assert browse(role).get(route.path.format(**given)).status_code in {303, 403}


def test_the_system_sees_everything_that_the_matrix_is_about(county):
    assert SYSTEM.covers(county.villages[0])
    assert {one.village_code for one in county.households} >= {county.villages[0], county.villages[-1]}
