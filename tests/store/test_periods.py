import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.periods import Period, PeriodKind, local_date, local_midnight

days = st.dates(date(2000, 1, 1), date(2099, 12, 31))
texts = ["2026", "2026-H1", "2026-H2", "2026-Q1", "2026-Q4", "2026-10", "2026-10-05"]


@pytest.mark.parametrize("text", texts)
def test_a_period_reads_back_what_it_prints(text: str) -> None:
    assert str(Period.parse(text)) == text
    assert Period.parse(text).next().previous() == Period.parse(text)


@pytest.mark.parametrize("text", ["", "2026-13", "2026-Q5", "26-10", "2026-10-32", "2026/10"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Period.parse(text)


@given(days)
def test_days_of_a_month_partition_it(day: date) -> None:
    month = Period.month_of(day)
    parts = list(month.days())
    assert parts[0].start_utc == month.start_utc
    assert parts[-1].end_utc == month.end_utc
    assert all(a.end == b.start for a, b in itertools.pairwise(parts))
    assert len(parts) == month.day_count


@given(days, st.integers(0, 86_399))
def test_an_instant_belongs_to_the_day_it_has_in_shanghai(day: date, second: int) -> None:
    instant = local_midnight(day) + timedelta(seconds=second)
    assert local_date(instant) == day
    assert Period.month_of(instant).contains(day)


def test_the_month_begins_at_midnight_in_shanghai() -> None:
    assert Period.parse("2026-10").start_utc == datetime(2026, 9, 30, 16, tzinfo=UTC)


def test_a_year_has_twelve_months_and_four_quarters() -> None:
    year = Period.parse("2024")
    assert [str(month) for month in year.months()][::11] == ["2024-01", "2024-12"]
    assert year.day_count == 366
    assert Period.parse("2024-Q1").kind is PeriodKind.QUARTER
    assert Period.parse("2024-Q2").label == "2024年第二季度"
    assert Period.parse("2024-H2").label == "2024年下半年"


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError):
        local_date(datetime(2026, 1, 1))  # noqa: DTZ001
