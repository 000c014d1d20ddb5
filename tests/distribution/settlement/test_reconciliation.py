from datetime import UTC, date, datetime, timedelta

import pytest

from distribution.closing.month import close_month
from distribution.matching import match_month
from distribution.settlement.reads import settlements
from distribution.settlement.reconciliation import (
    Measured,
    compare,
    discrepancies,
    resolve_discrepancy,
)
from distribution.types import Settlement
from registry.actors import SYSTEM, Actor, Role
from registry.stations import Device, add_device
from store.energy import DeviceEnergy, frozen
from store.samples import Sample, samples_to_table
from store.series import open_series

FINANCE = Actor("u_finance", "县财务", Role.FINANCE, "520499000000")
COUNTY = Actor("u_county", "县局", Role.COUNTY, "520499000000")
NOW = datetime(2026, 11, 16, 2, 0, tzinfo=UTC)


def bill(kwh):
    return Settlement("settlement:s1:2026-10:1", "s1", "2026-10", 1, (), 0, 0, 0, kwh * 1000, "单 第 2 行")


def measured(kwh, **changes):
    values = {"energy_wh": kwh * 1000, "estimated_wh": 0, "completeness": 1.0, "silent": 0}
    return Measured(**(values | changes))


@pytest.mark.parametrize("kwh", [9_405, 9_900, 10_394])
def test_a_bill_within_tolerance_of_the_expected_loss_agrees(kwh):
    assert compare(bill(kwh), measured(10_000)) is None


@pytest.mark.parametrize(
    ("kwh", "figures", "cause"),
    [
        (5_000, measured(10_000), "自用电、线损"),
        (12_000, measured(10_000), "抄表日期"),
        (990, measured(10_000), "10 倍"),
        (99_000, measured(10_000), "10 倍"),
        (10_000, measured(8_000, completeness=0.7), "采集有缺口"),
        (10_000, measured(8_000, silent=1), "采集有缺口"),
        (10_000, measured(8_000, estimated_wh=900_000), "推算"),
    ],
)
def test_a_difference_names_its_likely_cause(kwh, figures, cause):
    found = compare(bill(kwh), figures)
    assert cause in found.cause
    assert "千瓦时" in found.text


def test_nothing_measured_is_no_difference():
    assert compare(bill(10_000), None) is None
    assert compare(bill(10_000), Measured()) is None


def test_a_silent_inverter_is_counted_and_not_taken_as_zero():
    total = Measured().plus(DeviceEnergy("d1", "2026-10", 5_000_000, 1.0, "counter", 0))
    total = total.plus(DeviceEnergy("d2", "2026-10", None, 0.0, "none", 0))
    assert (total.energy_wh, total.silent, total.completeness) == (5_000_000, 1, 0.0)


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
            resolve_discrepancy(session, FINANCE, one.id, ("explained", " "), NOW)
        stranger = Actor("x", "外县", Role.FINANCE, "520498000000")
        with pytest.raises(LookupError):
            resolve_discrepancy(session, stranger, one.id, ("ignored", "无"), NOW)
        resolve_discrepancy(session, FINANCE, one.id, ("explained", "抄表日为 25 日"), NOW)
        assert discrepancies(session, FINANCE, open_only=True) == ()
        assert discrepancies(session, FINANCE)[0].reason == "抄表日为 25 日"
