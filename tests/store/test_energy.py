"""Energy from counters, case by case; the large simulation is in test_energy_truth."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from store.counters import CounterEpoch, CounterLimits, judge
from store.energy import (
    DeviceEnergy,
    EnergyQuestion,
    adjustments,
    answer,
    device_energy,
    freeze,
    frozen,
    integrated_energy,
    witness_disagrees,
)
from store.periods import Period, local_midnight
from store.quality import Flag
from store.samples import Sample, samples_to_table
from store.series import SeriesStore, open_series

OCTOBER = Period.parse("2026-10")
RATED = 100_000


@pytest.fixture
def store(tmp_path) -> Iterator[SeriesStore]:
    opened = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}")
    yield opened
    opened.close()


def local(day: int, hour: int = 0, minute: int = 0, month: int = 10) -> datetime:
    return local_midnight(date(2026, month, day)) + timedelta(hours=hour, minutes=minute)


def put(store: SeriesStore, readings, device: str = "a", quantity: str = "generated_energy_wh"):
    store.write(samples_to_table([Sample(device, time, time, {quantity: v}) for time, v in readings]))


def day_of_readings(day: int, total: int, energy: int = 400_000):
    """Quarter-hour readings from 06:00 to 18:00 that rise evenly by `energy`."""
    return [(local(day, 6) + n * timedelta(minutes=15), total + energy * n // 48) for n in range(49)]


def one(store: SeriesStore, period: str, **more) -> DeviceEnergy:
    question = EnergyQuestion(["a"], [Period.parse(period)], rated_power_w={"a": RATED}, **more)
    return answer(store, question)[0]


def test_a_day_is_the_difference_of_the_counter(store):
    put(store, [*day_of_readings(4, 0), *day_of_readings(5, 400_000), *day_of_readings(6, 800_000)])
    found = one(store, "2026-10-05")
    assert (found.energy_wh, found.completeness, found.method) == (400_000, 1.0, "counter")
    assert (found.estimated_wh, found.flags) == (0, 0)


def test_nothing_known_is_none_and_never_zero(store):
    put(store, day_of_readings(5, 0))
    assert one(store, "2026-11").energy_wh is None
    assert one(store, "2026-11").method == "none"
    assert one(store, "2026-10-20").energy_wh is None


def test_a_dead_device_that_reports_has_zero_energy_and_is_complete(store):
    put(store, [(local(5, hour), 500) for hour in range(24)] + [(local(6), 500)])
    found = one(store, "2026-10-05", gap=timedelta(hours=2))
    assert (found.energy_wh, found.completeness) == (0, 1.0)


def test_a_gap_inside_a_day_loses_no_energy_but_completeness(store):
    readings = [r for r in day_of_readings(5, 0) if not 10 <= (r[0] - local(5)) / timedelta(hours=1) < 14]
    put(store, [(local(4, 18), 0), *readings, (local(6, 6), 400_000)])
    found = one(store, "2026-10-05")
    assert (found.energy_wh, found.estimated_wh, found.method) == (400_000, 0, "counter_gap")
    assert 0.4 < found.completeness < 0.8
    assert found.flags & Flag.GAP


def test_a_gap_over_days_is_split_by_daylight_and_says_so(store):
    put(store, [*day_of_readings(4, 0), (local(8, 6), 1_600_000), *day_of_readings(8, 1_600_000)])
    days = [one(store, f"2026-10-0{day}") for day in (5, 6, 7)]
    assert [day.energy_wh for day in days] == [day.estimated_wh for day in days]
    assert sum(day.energy_wh or 0 for day in days) == pytest.approx(1_200_000, rel=0.03)
    assert {day.method for day in days} == {"gap_split"}
    assert all(day.completeness == 0.0 for day in days)


def test_a_gap_across_the_month_end_is_split_and_nothing_is_lost(store):
    later = [(time + timedelta(days=34), value) for time, value in day_of_readings(1, 1_600_000)]
    put(
        store,
        [(local(30, 18, month=9), 0), *day_of_readings(29, 0), *later, (local(1, 1, month=12), 2_000_000)],
    )
    october, november = one(store, "2026-10"), one(store, "2026-11")
    assert (october.energy_wh or 0) + (november.energy_wh or 0) == 2_000_000
    assert october.method == november.method == "gap_split"
    assert october.estimated_wh == (october.energy_wh or 0) - 400_000


def test_a_month_that_was_watched_only_from_its_middle_is_partial(store):
    put(store, [*day_of_readings(14, 0), *day_of_readings(15, 400_000)])
    found = one(store, "2026-10")
    assert (found.energy_wh, found.method) == (800_000, "partial")
    assert found.completeness < 0.1


def test_a_restart_credits_what_the_new_counter_shows(store):
    put(store, [*day_of_readings(4, 5_000_000), *day_of_readings(5, 300)])
    found = one(store, "2026-10")
    assert found.energy_wh == 800_300
    assert found.method == "reset"
    assert found.estimated_wh == 300
    assert found.flags & Flag.RESET


def test_a_known_replacement_is_exact(store):
    put(store, [*day_of_readings(4, 5_000_000), *day_of_readings(5, 7_010_000)])
    epoch = CounterEpoch("a", local(5, 1), first_reading_wh=7_000_000, last_reading_wh=5_405_000)
    found = one(store, "2026-10", epochs=[epoch])
    assert found.energy_wh == 400_000 + 5_000 + 10_000 + 400_000
    assert found.estimated_wh == 0


def test_a_replacement_by_a_higher_counter_is_seen_only_when_it_is_known(store):
    put(store, [*day_of_readings(4, 5_000_000), *day_of_readings(5, 5_500_000)])
    assert one(store, "2026-10").energy_wh == 900_000
    known = one(store, "2026-10", epochs=[CounterEpoch("a", local(5, 1), 5_500_000, 5_400_000)])
    assert known.energy_wh == 800_000


def test_a_wrap_with_a_known_modulus_loses_nothing(store):
    readings = [(t, v % 1_000_000) for t, v in (*day_of_readings(4, 500_000), *day_of_readings(5, 900_000))]
    put(store, readings)
    found = one(store, "2026-10", moduli={"a": 1_000_000})
    assert (found.energy_wh, found.flags & ~Flag.GAP) == (800_000, Flag.ROLLOVER)


def test_zero_readings_are_left_out_and_marked(store):
    readings = [(t, 0 if n % 7 == 3 else v) for n, (t, v) in enumerate(day_of_readings(5, 9_000_000))]
    put(store, [*day_of_readings(4, 8_600_000), *readings, *day_of_readings(6, 9_400_000)])
    found = one(store, "2026-10-05")
    assert (found.energy_wh, found.flags) == (400_000, Flag.ZERO)


def test_a_new_device_starts_at_zero(store):
    put(store, [(local(5, 6), 0), (local(5, 6, 5), 0), *day_of_readings(5, 0)[1:]])
    assert one(store, "2026-10").energy_wh == 400_000


def test_a_spike_that_comes_back_is_left_out(store):
    readings = [(t, v + 79_000 if n == 20 else v) for n, (t, v) in enumerate(day_of_readings(5, 9_000_000))]
    put(store, [*day_of_readings(4, 8_600_000), *readings, *day_of_readings(6, 9_400_000)])
    found = one(store, "2026-10-05")
    assert (found.energy_wh, found.flags) == (400_000, Flag.GLITCH)


def test_growth_in_the_dark_is_not_credited(store):
    night = [(local(4, 20) + n * timedelta(minutes=15), 400_000 if n < 16 else 480_000) for n in range(40)]
    put(store, [*day_of_readings(4, 0), *night, *day_of_readings(5, 480_000)])
    found = one(store, "2026-10")
    assert (found.energy_wh, found.method) == (800_000, "reset")


def test_more_than_a_device_can_make_is_marked(store):
    put(
        store,
        [*day_of_readings(4, 0), *day_of_readings(5, 400_000, 1_390_000), *day_of_readings(6, 1_790_000)],
    )
    assert one(store, "2026-10-05").flags & Flag.UNSUPPORTED


def test_a_year_is_the_sum_of_its_months(store):
    put(store, [*day_of_readings(4, 0), *day_of_readings(5, 400_000)])
    put(store, [(t + timedelta(days=40), v) for t, v in day_of_readings(5, 800_000)])
    periods = [Period.parse(p) for p in ("2026", "2026-10", "2026-11", "2026-Q4")]
    year, october, november, quarter = device_energy(store, ["a"], periods, rated_power_w={"a": RATED})
    assert year.energy_wh == quarter.energy_wh == (october.energy_wh or 0) + (november.energy_wh or 0)


def test_the_answer_comes_in_the_order_of_the_question(store):
    put(store, day_of_readings(5, 0), "b")
    found = device_energy(store, ["z", "b"], [Period.parse("2026-10-05"), OCTOBER])
    assert [(e.device_id, e.period) for e in found] == [
        ("z", "2026-10-05"),
        ("z", "2026-10"),
        ("b", "2026-10-05"),
        ("b", "2026-10"),
    ]


def test_the_day_so_far_is_complete_up_to_now(store):
    put(store, [*day_of_readings(4, 0), *day_of_readings(5, 400_000)[:25]])
    assert one(store, "2026-10-05").completeness < 0.6
    assert one(store, "2026-10-05", until=local(5, 12)).completeness == 1.0


def test_grid_meters_are_read_by_their_own_counter(store):
    put(store, day_of_readings(5, 0), quantity="exported_energy_wh")
    assert device_energy(store, ["a"], [OCTOBER], "exported_energy_wh")[0].energy_wh == 400_000


def test_integrated_power_is_a_second_witness(store):
    times = [local(5, 6) + n * timedelta(minutes=15) for n in range(49)]
    rows = [
        Sample("a", t, t, {"active_power_w": 20_000.0, "generated_energy_wh": 5_000 * n})
        for n, t in enumerate(times)
    ]
    store.write(samples_to_table(rows))
    power = integrated_energy(store, ["a"], Period.parse("2026-10-05"))["a"]
    assert power == 49 * 5_000
    counted = one(store, "2026-10-05")
    assert not witness_disagrees(counted, power)
    assert witness_disagrees(counted, power * 2)


# Properties


CURVE = st.lists(st.integers(0, 20_000), min_size=10, max_size=120)


@st.composite
def lifetimes(draw):
    """Readings of a perfect counter over some days around a month end, at uneven times."""
    start = local(28) + timedelta(minutes=draw(st.integers(0, 2000)))
    readings, total = [], draw(st.integers(1, 10**9))
    for energy in draw(CURVE):
        start += timedelta(minutes=draw(st.sampled_from([5, 15, 15, 60, 600])))
        total += energy if 6 <= (start + timedelta(hours=8)).hour < 19 else 0
        readings.append((start, total))
    return readings


PROPERTY = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))


def fresh(tmp_path_factory, readings) -> SeriesStore:
    folder = tmp_path_factory.mktemp("series")
    store = open_series(f"duckdb:///{folder / 'series.duckdb'}")
    put(store, readings)
    return store


@PROPERTY
@given(readings=lifetimes(), data=st.data())
def test_order_of_arrival_does_not_matter(tmp_path_factory, readings, data):
    months = [OCTOBER, OCTOBER.next()]
    shuffled = data.draw(st.permutations(readings))
    store = fresh(tmp_path_factory, shuffled[:5])
    for row in shuffled[5:15]:
        put(store, [row])
    put(store, shuffled[15:])
    other = fresh(tmp_path_factory, readings)
    assert device_energy(store, ["a"], months) == device_energy(other, ["a"], months)
    store.close()
    other.close()


@PROPERTY
@given(readings=lifetimes(), data=st.data())
def test_adding_data_never_lowers_completeness(tmp_path_factory, readings, data):
    kept = data.draw(st.lists(st.booleans(), min_size=len(readings), max_size=len(readings)))
    few = fresh(tmp_path_factory, [row for row, keep in zip(readings, kept, strict=True) if keep])
    every = fresh(tmp_path_factory, readings)
    periods = [OCTOBER, *Period.parse("2026-11").days()]
    less, more = device_energy(few, ["a"], periods), device_energy(every, ["a"], periods)
    assert all(a.completeness <= b.completeness for a, b in zip(less, more, strict=True))
    few.close()
    every.close()


@PROPERTY
@given(readings=lifetimes())
def test_two_months_add_up_to_what_the_counter_gained(tmp_path_factory, readings):
    store = fresh(tmp_path_factory, readings)
    months = device_energy(store, ["a"], [OCTOBER, OCTOBER.next(), OCTOBER.next().next()])
    assert sum(month.energy_wh or 0 for month in months) == readings[-1][1] - readings[0][1]
    store.close()


def test_judging_an_empty_counter_gives_no_steps():
    import numpy as np

    empty = np.empty(0, np.int64)
    assert len(judge(empty, empty, CounterLimits()).start) == 0


# Frozen months


def energy(device: str = "a", wh: int | None = 1000) -> DeviceEnergy:
    return DeviceEnergy(device, "2026-10", wh, 0.987, "counter", 0)


NOW = datetime(2026, 11, 3, tzinfo=UTC)


def test_a_frozen_month_stays_and_a_difference_is_offered(database):
    with database.transaction() as session:
        assert freeze(session, [energy(), energy("b", None)], "generated_energy_wh", NOW) == []
    with database.transaction() as session:
        offered = freeze(session, [energy(wh=1200), energy("b", None)], "generated_energy_wh", NOW)
    assert [(item.device_id, item.difference_wh) for item in offered] == [("a", 200)]
    with database.reading() as session:
        kept = frozen(session, (["a", "b"], ["2026-10"]))
        assert [item.energy_wh for item in kept] == [1000, None]
        assert adjustments(session, [energy(wh=1000)]) == []


def test_only_months_are_frozen(database):
    day = DeviceEnergy("a", "2026-10-05", 1, 1.0, "counter", 0)
    with database.transaction() as session, pytest.raises(ValueError, match="only months"):
        freeze(session, [day], "generated_energy_wh", NOW)


@pytest.mark.parametrize("statement", ["UPDATE frozen_energy SET energy_wh = 5", "DELETE FROM frozen_energy"])
def test_the_database_refuses_to_change_a_frozen_month(database, statement):
    with database.transaction() as session:
        freeze(session, [energy()], "generated_energy_wh", NOW)
    with pytest.raises(DatabaseError, match="append-only"), database.transaction() as session:
        session.execute(text(statement))
