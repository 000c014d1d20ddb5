"""Figures, dates and states as they are written on pages."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards import filters
from dashboards.paging import paged


def test_money_is_exact_with_separators_and_sign():
    assert [filters.money(123_456), filters.money(-5), filters.money(0), filters.money(None)] == [
        "1,234.56",
        "-0.05",
        "0.00",
        "—",
    ]


@given(st.integers(-(10**15), 10**15))
def test_every_fen_is_written_out(amount):
    assert int(filters.money(amount).replace(",", "").replace(".", "")) == amount


def test_energy_changes_to_ten_thousands_where_it_is_large():
    assert [filters.kwh(124_600), filters.energy(9_999_999), filters.energy(123_456_789)] == [
        "124.6",
        "10,000.0 千瓦时",
        "12.35 万千瓦时",
    ]


@pytest.mark.parametrize(
    "name", ["kwh", "energy", "wan", "kilowatt", "number", "percent", "change", "day", "moment"]
)
def test_what_is_missing_is_a_dash_and_never_a_zero(name):
    assert filters.FILTERS[name](None) == "—"


def test_dates_and_times_are_those_of_shanghai():
    instant = datetime(2026, 10, 4, 16, 5, tzinfo=UTC)
    assert filters.moment(instant) == "2026年10月5日 00:05"
    assert filters.day(date(2026, 1, 9)) == "2026年1月9日"
    assert filters.month("2026-10") == "2026年10月"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (timedelta(days=3, hours=4, minutes=9), "3 天 4 小时"),
        (timedelta(days=2), "2 天"),
        (timedelta(hours=5, minutes=12), "5 小时 12 分"),
        (timedelta(hours=1), "1 小时"),
        (timedelta(minutes=12, seconds=59), "12 分钟"),
        (timedelta(seconds=-3), "0 分钟"),
    ],
)
def test_durations_show_their_two_largest_units(value, words):
    assert filters.duration(value) == words


def test_changes_carry_their_sign():
    assert [filters.change(0.0213), filters.change(-0.31), filters.change(0)] == ["+2.1%", "−31.0%", "+0.0%"]


@given(st.integers(0, 500), st.integers(-3, 20))
def test_pages_of_a_list_hold_every_row_once(count, page):
    rows, pager = paged(list(range(count)), page, "/x", {"q": "a b", "none": ""})
    assert 1 <= pager.page <= pager.pages
    assert rows == list(range(count))[(pager.page - 1) * 50 : pager.page * 50]
    assert bool(pager.next) == (pager.page < pager.pages)
    assert "none" not in pager.next


def test_month_codes_in_a_text_become_words():
    assert filters.months_in_words("计提 2026-08 应收（2026-08-31，0512-2026-08）") == (
        "计提 2026年8月 应收（2026-08-31，0512-2026-08）"
    )


def test_estimates_show_whole_yuan():
    assert [filters.whole_yuan(18_649), filters.whole_yuan(123_456_789)] == ["186", "1,234,568"]
