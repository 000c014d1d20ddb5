"""The month's papers agree with the meters, to the fen, except where the story says that they do not."""

from datetime import date
from decimal import Decimal

import pytest

from api.demo.county import SMALL, County, build_county
from api.demo.paperwork import Bill, bills, expenses, fen, statement_file, subsidy_is_paid
from api.demo.plant import Plant
from api.demo.story import FactKind
from distribution.settlement.columns import load_layout
from distribution.settlement.statements import read_statement
from store.periods import Period

MONTHS = [Period.parse("2026-09"), Period.parse("2026-10")]


@pytest.fixture(scope="module")
def county() -> County:
    return build_county(5, SMALL, date(2026, 11, 25))


@pytest.fixture(scope="module")
def plant(county: County) -> Plant:
    return county.plant()


@pytest.fixture(scope="module")
def billed(county: County, plant: Plant) -> list[Bill]:
    return [bill for month in MONTHS for bill in bills(county, plant, month)]


def test_readings_times_multiplier_are_the_energy_and_energy_times_price_the_fee(billed: list[Bill]) -> None:
    for bill in billed:
        difference = bill.current_reading - bill.previous_reading
        assert difference * bill.meter.meter_multiplier == bill.energy_kwh
        assert bill.electricity_fen == fen(bill.energy_kwh * Decimal("0.3844"))
        assert bill.energy_wh > 0


def test_one_months_reading_is_the_next_ones_previous(billed: list[Bill]) -> None:
    stations = len(billed) // 2
    for first, second in zip(billed[:stations], billed[stations:], strict=True):
        assert first.current_reading == second.previous_reading


def test_bills_follow_our_meters_but_for_the_disputed_one(
    county: County, plant: Plant, billed: list[Bill]
) -> None:
    (fact,) = county.story.of(FactKind.STATEMENT_DISAGREES)
    for bill in billed:
        device = bill.meter.device_id or ""
        gained = plant.counter_at(device, bill.month.end) - plant.counter_at(device, bill.month.start)
        step = bill.meter.meter_multiplier * 10
        disputed = county.station_in(fact) == bill.station and bill.month == Period.month_of(fact.start)
        expected = gained * (1 - fact.share) if disputed else gained
        assert bill.energy_wh == pytest.approx(expected, abs=2 * step)


def test_subsidy_stops_when_the_arrears_begin() -> None:
    county = build_county(5, SMALL.__class__(villages=4, joint_stations=1, households=24), date(2026, 11, 25))
    paid = [subsidy_is_paid(county, month) for month in Period.parse("2026").months()]
    assert paid == [True] * 4 + [False] * 8


def test_villages_spend_less_than_a_sixth_of_what_they_are_billed(county: County, billed: list[Bill]) -> None:
    spent = sum(one.amount_fen for month in MONTHS for one in expenses(county, month))
    assert spent < sum(bill.electricity_fen for bill in billed) / 6
    assert len({one.voucher for one in expenses(county, MONTHS[0])}) == 3 * len(county.village_codes)


def test_the_statement_file_is_read_by_the_product_without_a_problem(billed: list[Bill]) -> None:
    read = read_statement(statement_file(billed), "电费结算单.csv", load_layout("standard"))
    assert read.problems == ()
    assert [row.line.electricity_fen for row in read.rows] == [bill.electricity_fen for bill in billed]
    assert [row.line.exported_energy_wh for row in read.rows] == [bill.energy_wh for bill in billed]
    assert [row.line.meter_multiplier for row in read.rows] == [
        bill.meter.meter_multiplier for bill in billed
    ]
