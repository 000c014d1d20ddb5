"""Prices in force: published settlements are reproduced to the fen, and windows, caps and taxes hold."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from distribution.money import RoundingPolicy
from distribution.settlement.tariffs.prices import (
    BY_DAY,
    ON_THE_SUM,
    TariffWindow,
    amounts_fen,
    hours_cap_wh,
    hours_maximum,
    is_listed,
    rounding_of,
    split_energy,
    split_method,
    windows,
    withheld_tax_fen,
)
from registry.actors import Actor, Role
from registry.parameters import NewValue, ValueBook, set_value
from registry.stations import Station
from store.periods import Period

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COUNTY = Actor("u_county", "县局", Role.COUNTY, "340225000000")


def station(**changes):
    facts = {"grid_connected_on": date(2017, 6, 15), "tariff_zone": "III"}
    return Station("w", "蜀山镇户用", "village", "340225101201", 3_000, 31.0, 117.0, **(facts | changes))


@pytest.fixture
def book(county):
    with county.database.reading() as session:
        yield ValueBook(session)


def test_the_household_of_shushan_closes_only_with_rounding_per_line(book):
    """Case 02: 416.83 yuan for electricity and 674.89 of subsidy, from 754 and 360 kWh."""
    quarter = Period.parse("2017-Q2"), Period.parse("2017-Q3")
    (before,), (after,) = (windows(book, station(), one) for one in quarter)
    assert (before.electricity_price, after.electricity_price) == (Decimal("0.3693"), Decimal("0.3844"))
    fixed = Decimal("0.98")
    energies = (754_000, 360_000)
    rounding = rounding_of(book, station(), date(2017, 7, 1))
    benchmark = (before.electricity_price, after.electricity_price)
    fee = amounts_fen(list(zip(energies, benchmark, strict=True)), *rounding)
    subsidy = amounts_fen([(e, fixed - p) for e, p in zip(energies, benchmark, strict=True)], *rounding)
    assert (sum(fee), sum(subsidy)) == (41_683, 67_489)
    whole = range(1_115)
    once = [
        (first, 1_114 - first)
        for first in whole
        if sum(
            amounts_fen(
                [(first * 1_000, benchmark[0]), ((1_114 - first) * 1_000, benchmark[1])],
                RoundingPolicy.HALF_UP,
                ON_THE_SUM,
            )
        )
        == 41_683
        and sum(
            amounts_fen(
                [(first * 1_000, fixed - benchmark[0]), ((1_114 - first) * 1_000, fixed - benchmark[1])],
                RoundingPolicy.HALF_UP,
                ON_THE_SUM,
            )
        )
        == 67_489
    ]
    assert once == []


def test_the_county_of_sixian_is_exact_at_its_fixed_price():
    """Case 05: 9 358 398 kWh at 0.98 yuan are 9 171 230.04 yuan."""
    assert amounts_fen([(9_358_398_000, Decimal("0.98"))], RoundingPolicy.HALF_UP) == (917_123_004,)


def test_cash_at_the_benchmark_is_told_apart_from_the_accrual():
    """Cases 07 and 28: what was called revenue is energy at the coal benchmark alone."""
    assert amounts_fen([(236_000_000, Decimal("0.3078"))], RoundingPolicy.HALF_UP) == (7_264_080,)
    assert amounts_fen([(42_097_800_000, Decimal("0.4161"))], RoundingPolicy.HALF_UP) == (1_751_689_458,)


@pytest.mark.parametrize(("policy", "fen"), [("half_up", 3), ("half_even", 2), ("down", 2), ("up", 3)])
def test_rounding_is_as_the_county_says(policy, fen):
    assert amounts_fen([(50, Decimal("0.5"))], RoundingPolicy(policy)) == (fen,)


def test_a_price_that_changes_inside_a_month_makes_two_windows(county):
    with county.database.transaction() as session:
        for first, end, value in (
            (date(2025, 1, 1), date(2025, 6, 11), "0.3800"),
            (date(2025, 6, 11), None, "0.3900"),
        ):
            new = NewValue(
                "coal_benchmark_price", Decimal(value), first, "县价〔2025〕1号", "340225", "", end
            )
            set_value(session, COUNTY, new, NOW)
        new = NewValue("window_split_method", Decimal(BY_DAY), date(2025, 1, 1), "县价〔2025〕1号", "340225")
        set_value(session, COUNTY, new, NOW)
        book = ValueBook(session)
    found = windows(book, station(grid_connected_on=date(2018, 6, 1)), Period.parse("2025-06"))
    assert [(one.days, one.electricity_price) for one in found] == [
        (10, Decimal("0.3800")),
        (20, Decimal("0.3900")),
    ]
    assert [one.subsidy_price for one in found] == [Decimal("0.47"), Decimal("0.46")]
    assert split_method(book, station(), date(2025, 6, 11)) == BY_DAY
    assert split_energy(3_000_000, found) == (1_000_000, 2_000_000)
    assert split_energy(3_000_000, found, (500, 1_300_500, 3_000_500)) == (1_300_000, 1_700_000)


def test_self_use_a_missing_list_and_the_end_of_the_years_change_the_subsidy(book):
    month = Period.parse("2025-06")
    surplus = station(grid_connected_on=date(2018, 6, 1), on_grid_mode="surplus")
    assert windows(book, surplus, month)[0].subsidy_price == Decimal("0.42")
    outside = station(grid_connected_on=date(2018, 6, 1), subsidy_list_status="未列入目录")
    assert is_listed(outside) is False
    assert windows(book, outside, month)[0].subsidy_price == 0
    late = Period.parse("2040-01")
    assert windows(book, station(grid_connected_on=date(2018, 6, 1)), late)[0].subsidy_price == 0
    assert windows(book, station(grid_connected_on=None), month)[0].subsidy_price is None


def test_the_cap_of_hours_holds_only_where_it_applies(county):
    month = Period.parse("2026-01")
    with county.database.transaction() as session:
        assert hours_cap_wh(ValueBook(session), station(), month) is None
        new = NewValue("subsidy_hours_cap_applies", Decimal(1), date(2026, 1, 1), "省文〔2026〕1号", "34")
        province = Actor("u_province", "省", Role.COUNTY, "340000000000")
        set_value(session, province, new, NOW)
        assert hours_cap_wh(ValueBook(session), station(), month) == 22_000 * 3_000


def test_the_tax_is_that_of_its_time(book):
    month = Period.parse("2019-06")
    assert withheld_tax_fen(book, station(), month, 2_000_000) == 0
    assert withheld_tax_fen(book, station(), month, 10_300_000) == 300_000
    assert withheld_tax_fen(book, station(), Period.parse("2025-06"), 10_300_000) is None


def test_the_most_hours_of_a_month_follow_the_region(book):
    month = Period.parse("2025-06")
    assert hours_maximum(book, station(), month) == Decimal("216.80")
    elsewhere = Station("g", "贵州", "village", "520499101201", 3_000, 26.0, 106.0)
    assert hours_maximum(book, elsewhere, month) == 260


def test_a_window_counts_its_days():
    window = TariffWindow(date(2025, 6, 1), date(2025, 6, 11), None, None, None)
    assert window.days == 10
