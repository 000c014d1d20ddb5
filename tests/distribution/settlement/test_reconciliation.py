from datetime import UTC, date, datetime, timedelta

import pytest

from distribution.closing.month import close_month
from distribution.matching import match_month
from distribution.settlement.intake.undo import undo_statement
from distribution.settlement.matching.results import line_fates, match_results
from distribution.settlement.reads import settlements
from distribution.settlement.reconciliation import (
    Assignment,
    Resolution,
    assign_discrepancy,
    discrepancies,
    discrepancy_events,
    resolve_discrepancy,
)
from registry.actors import SYSTEM, Actor, Role
from registry.stations import Device, add_device
from store.energy import frozen
from store.samples import Sample, samples_to_table
from store.series import open_series

FINANCE = Actor("u_finance", "县财务", Role.FINANCE, "520499000000")
COUNTY = Actor("u_county", "县局", Role.COUNTY, "520499000000")
NOW = datetime(2026, 11, 16, 2, 0, tzinfo=UTC)


@pytest.fixture
def series(county, tmp_path):
    with county.database.transaction() as session:
        device = Device(
            "inv1", "s1", "inverter", "1 号", "sungrow_sg_string", date(2020, 1, 1), rated_power_w=100_000
        )
        add_device(session, COUNTY, device, NOW)
    store = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}")
    begin = datetime(2026, 9, 30, 16, 0, tzinfo=UTC)
    times = [begin + timedelta(hours=hour) for hour in range(31 * 24 + 1)]
    samples = [
        Sample("inv1", time, time, {"generated_energy_wh": 1_000_000 + hour * 10_000})
        for hour, time in enumerate(times)
    ]
    store.write(samples_to_table(samples))
    yield store
    store.close()


def test_closing_compares_bills_with_inverters_once_and_freezes_the_energy(county, series):
    county.statement(["0001,2026-10,M1,1,1000,13000,12000,0.3515,4218.00,0.4985,5982.00"])
    close_month(county.database, series, SYSTEM, "2026-10", NOW)
    assert match_month(county.database, series, SYSTEM, "2026-10", NOW) == ()
    with county.database.reading() as session:
        (one,) = discrepancies(session, FINANCE, month="2026-10")
        (energy,) = frozen(session, (["inv1"], ["2026-10"]))
        assert len(settlements(session, FINANCE)) == 1
    assert energy.energy_wh == 31 * 24 * 10_000
    assert (one.found, one.unit) == (12_000_000, "Wh")


def test_a_difference_is_resolved_once_with_a_reason(county, series):
    county.statement(["0001,2026-10,M1,1,1000,13000,12000,0.3515,4218.00,0.4985,5982.00"])
    match_month(county.database, series, SYSTEM, "2026-10", NOW)
    with county.database.transaction() as session:
        (one,) = discrepancies(session, FINANCE, open_only=True)
        with pytest.raises(ValueError, match="须写明原因"):
            resolve_discrepancy(session, FINANCE, one.id, Resolution("explained", " "), NOW)
        stranger = Actor("x", "外县", Role.FINANCE, "520498000000")
        with pytest.raises(LookupError):
            resolve_discrepancy(session, stranger, one.id, Resolution("ignored", "无"), NOW)
        assert resolve_discrepancy(session, FINANCE, one.id, Resolution("explained", "抄表日为 25 日"), NOW)
        assert not resolve_discrepancy(session, FINANCE, one.id, Resolution("ignored", "改主意"), NOW)
        assert discrepancies(session, FINANCE, open_only=True) == ()
        assert discrepancies(session, FINANCE)[0].reason == "抄表日为 25 日"


def test_a_difference_has_an_owner_and_a_day_and_can_be_given_to_another(county, series):
    county.statement(["0001,2026-10,M1,1,1000,13000,12000,0.3515,4218.00,0.4985,5982.00"])
    match_month(county.database, series, SYSTEM, "2026-10", NOW)
    with county.database.transaction() as session:
        (one,) = discrepancies(session, FINANCE)
        assert (one.owner, one.due_on) == ("县财务", date(2026, 11, 26))
        given = Assignment("运维王工", date(2026, 11, 20), "请现场核对倍率")
        assert assign_discrepancy(session, FINANCE, one.id, given, NOW) == 2
        assert discrepancies(session, FINANCE)[0].owner == "运维王工"
        assert [event.note for event in discrepancy_events(session, FINANCE, one.id)] == ["", given.note]
        with pytest.raises(ValueError, match="由谁处理"):
            assign_discrepancy(session, FINANCE, one.id, Assignment(" ", date(2026, 11, 20)), NOW)


def test_a_difference_that_a_revision_removes_is_past(county, series):
    county.statement(["0001,2026-10,M1,1,1000,13000,12000,0.3515,4218.00,0.4985,5982.00"])
    match_month(county.database, series, SYSTEM, "2026-10", NOW)
    county.statement(["0001,2026-10,M1,1,1000,8328,7328,0.3515,2575.79,0.4985,3653.01"], name="更正.csv")
    assert match_month(county.database, series, SYSTEM, "2026-10", NOW) == ()
    with county.database.reading() as session:
        assert discrepancies(session, FINANCE) == ()
        (past,) = discrepancies(session, FINANCE, with_past=True)
        assert past.is_past


def test_the_match_the_queue_and_an_undo_are_the_same_on_postgresql(county_postgres):
    county = county_postgres
    result = county.statement(["0001,2026-10,M1,1,1000,13000,12000,0.3515,4218.00,0.4985,5982.00"])
    late = datetime(2027, 3, 1, tzinfo=UTC)
    (new,) = match_month(county.database, None, SYSTEM, "2026-10", late)
    assert match_month(county.database, None, SYSTEM, "2026-10", late) == ()
    with county.database.transaction() as session:
        (one,) = discrepancies(session, FINANCE)
        assert (one.id, one.cause_name, one.unit) == (new, "未到账", "fen")
        (line,) = line_fates(session, FINANCE, "2026-10")
        assert (line.fate, line.reason) == ("excepted", one.text)
        resolve_discrepancy(session, FINANCE, new, Resolution("ignored", "另案追讨"), NOW)
        (line,) = line_fates(session, FINANCE, "2026-10")
        assert (line.fate, line.reason) == ("ignored", "另案追讨")
        assert undo_statement(session, FINANCE, result.sha256, "导错了", NOW).months == ("2026-10",)
    match_month(county.database, None, SYSTEM, "2026-10", late)
    with county.database.reading() as session:
        assert discrepancies(session, FINANCE) == ()
        assert line_fates(session, FINANCE, "2026-10") == ()
        assert [one.state for one in match_results(session, FINANCE, month="2026-10")] == ["waiting"]
