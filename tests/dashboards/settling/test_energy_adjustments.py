"""Late data of a closed month on its page: seen, decided once, with a reason, by those who may."""

import re
from datetime import date, timedelta

import pytest

from registry import audit
from registry.actors import Actor, Role
from registry.stations import Device, add_device
from store.energy import EnergyQuestion, answer, freeze, frozen
from store.periods import Period, local_midnight
from store.samples import Sample, samples_to_table
from tests.dashboards.conftest import NOON

MONTH = Period.parse("2026-10")
PAGE = f"/energy-adjustments?month={MONTH}"
CLERK = Actor("clerk", "台账员", Role.COUNTY)
AUDITOR = Actor("auditor", "审计员", Role.AUDITOR)
GENERATED = "generated_energy_wh"


def late_device(county, name: str, days: range = range(1, 32)) -> str:
    """Register an inverter whose October was closed without a reading; then its readings come after all."""
    with county.database.transaction() as session:
        place = county.stations[0].id
        device = Device(name, place, "inverter", f"迟到{name}号", "", date(2026, 9, 1), rated_power_w=50_000)
        add_device(session, CLERK, device, NOON)
        nothing = answer(county.series, EnergyQuestion([name], [MONTH]))
        freeze(session, nothing, GENERATED, NOON)
    come_in(county, name, days)
    return name


def come_in(county, name: str, days: range) -> None:
    """Write the readings of some days of October, 200 kWh each."""
    samples = []
    for day in days:
        for quarter in range(97):
            moment = local_midnight(date(2026, 10, day)) + timedelta(minutes=15 * quarter)
            gained = 200_000 * (day - 1) + 200_000 * min(max(quarter - 24, 0), 48) // 48
            samples.append(Sample(name, moment, moment, {GENERATED: 1_000 + gained}))
    county.series.write(samples_to_table(samples))


def row_of(page: str, name: str) -> str:
    return next(part for part in page.split("<tr>") if f"迟到{name}号" in part)


def fields_of(page: str, name: str) -> dict[str, str]:
    form = row_of(page, name)
    return dict(re.findall(r'name="(device|month|frozen_wh|current_wh)" value="([^"]*)"', form))


def test_a_difference_is_accepted_and_stands_in_its_place_from_then_on(browse, county):
    name = late_device(county, "一")
    browser = browse("finance")
    page = browser.get(PAGE).text
    assert "6,200" in row_of(page, name)
    assert "—" in row_of(page, name)
    given = fields_of(page, name)
    assert (given["frozen_wh"], given["current_wh"]) == ("", "6200000")
    refused = browser.post("/energy-adjustments", page=PAGE, answer="accept", reason=" ", **given)
    assert refused.status_code == 409
    assert "没有写理由" in refused.text
    done = browser.post("/energy-adjustments", page=PAGE, answer="accept", reason="补传的数据已核对", **given)
    assert (done.status_code, done.headers["location"]) == (
        303,
        "/energy-adjustments?month=2026-10&done=accepted",
    )
    page = browser.get(f"{PAGE}&done=accepted").text
    waiting, _, decided = page.partition("已决定</h2>")
    assert f"迟到{name}号" not in waiting
    assert "补传的数据已核对" in row_of(decided, name)
    assert "李强" in row_of(decided, name)
    with county.database.reading() as session:
        (energy,) = frozen(session, ([name], [str(MONTH)]))
        written = [one for one in audit.events(session, AUDITOR) if one.object_kind == "energy_adjustment"]
        assert not audit.verify(session)
        rows = session.connection().exec_driver_sql(
            "SELECT energy_wh FROM frozen_energy WHERE device_id = ?", (name,)
        )
        assert rows.scalars().all() == [None]
    assert energy.energy_wh == 6_200_000
    assert [(one.action, one.reason) for one in written if name in one.object_id] == [
        ("accept", "补传的数据已核对")
    ]
    again = browser.post("/energy-adjustments", page=PAGE, answer="accept", reason="再来", **given)
    assert again.status_code == 409


def test_a_declined_difference_is_not_asked_again_until_it_changes(browse, county):
    name = late_device(county, "二", range(1, 31))
    browser = browse("county")
    given = fields_of(browser.get(PAGE).text, name)
    browser.post("/energy-adjustments", page=PAGE, answer="decline", reason="网关时钟错", **given)
    waiting, _, decided = browser.get(PAGE).text.partition("已决定</h2>")
    assert f"迟到{name}号" not in waiting
    assert "不认可" in row_of(decided, name)
    with county.database.reading() as session:
        assert frozen(session, ([name], [str(MONTH)]))[0].energy_wh is None
    come_in(county, name, range(31, 32))
    page = browser.get(PAGE).text
    assert f"迟到{name}号" in page.partition("已决定</h2>")[0]
    stale = browser.post("/energy-adjustments", page=PAGE, answer="accept", reason="按旧数", **given)
    assert stale.status_code == 409
    assert "刚才又变了" in stale.text


@pytest.mark.parametrize("role", ["village", "maintenance"])
def test_others_decide_nothing(browse, county, role):
    name = f"三{role}"
    late_device(county, name)
    given = fields_of(browse("county").get(PAGE).text, name)
    browser = browse(role)
    answer = browser.post("/energy-adjustments", page="/account", answer="accept", reason="我来", **given)
    assert answer.status_code == 403
    assert "认可新数" not in browser.get(PAGE).text


@pytest.mark.parametrize("month", ["2026", "abc", "2001-01", "%00", ""])
def test_any_month_gives_a_page(browse, month):
    assert browse("finance").get(f"/energy-adjustments?month={month}").status_code == 200


@pytest.mark.parametrize("fields", [{"device": "nobody"}, {"device": "\x00"}])
def test_a_device_of_elsewhere_is_not_there(browse, fields):
    given = {"month": str(MONTH), "frozen_wh": "1", "current_wh": "2", "reason": "x", "answer": "accept"}
    answer = browse("finance").post("/energy-adjustments", page="/account", **given, **fields)
    assert answer.status_code in {404, 422}
