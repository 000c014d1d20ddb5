"""Counters whose first and last day somebody wrote down: their months are whole, not lower bounds."""

from datetime import date, datetime, timedelta

import pytest

from store.counters import CounterEpoch
from store.energy import DeviceEnergy, EnergyQuestion, answer
from store.periods import Period, local_midnight
from store.samples import Sample, samples_to_table
from store.series import SeriesStore, open_series

RATED = {"old": 100_000, "new": 100_000}
EXCHANGED = date(2026, 10, 15)
MORNING = local_midnight(EXCHANGED)
OLD = CounterEpoch("old", MORNING + timedelta(days=1), 0, 5_804_000)
NEW = CounterEpoch("new", MORNING, 0)


@pytest.fixture
def store(tmp_path):
    opened = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}")
    yield opened
    opened.close()


def put(store: SeriesStore, device: str, days: range, first: int, hours: tuple[int, int] = (0, 24)):
    """Write quarter-hour readings from 06:00 to 18:00, 400 kWh a day, evenly; some hours may be cut off."""
    rows = []
    for number, day in enumerate(days):
        for n in range(49):
            moment = local_midnight(date(2026, 10, day)) + timedelta(hours=6, minutes=15 * n)
            if hours[0] * 4 <= 24 + n <= hours[1] * 4:
                value = first + 400_000 * number + 400_000 * n // 48
                rows.append(Sample(device, moment, moment, {"generated_energy_wh": value}))
    store.write(samples_to_table(rows))


def ask(store: SeriesStore, device: str, period: str, *epochs: CounterEpoch) -> DeviceEnergy:
    question = EnergyQuestion([device], [Period.parse(period)], rated_power_w=RATED, epochs=epochs)
    return answer(store, question)[0]


def test_the_last_month_of_an_exchanged_device_is_whole(store):
    put(store, "old", range(1, 15), 200_000)
    put(store, "old", range(15, 16), 5_800_000, (0, 6))
    before = ask(store, "old", "2026-10")
    found = ask(store, "old", "2026-10", OLD)
    assert before.method == "partial"
    assert found.energy_wh == 14 * 400_000 + 4_000
    assert found.completeness > before.completeness
    assert ask(store, "old", "2026-11", OLD).energy_wh == 0
    assert ask(store, "old", "2026-11").energy_wh is None


def test_the_first_month_of_a_new_device_is_whole(store):
    put(store, "new", range(15, 32), 0)
    put(store, "old", range(1, 2), 0)
    found = ask(store, "new", "2026-10", NEW)
    assert found.energy_wh == 17 * 400_000
    assert ask(store, "new", "2026-09", NEW).energy_wh == 0
    assert ask(store, "new", "2026-09").energy_wh is None


def test_what_was_counted_before_the_first_sample_is_credited(store):
    put(store, "new", range(15, 32), 0, (12, 24))
    known, unknown = ask(store, "new", "2026-10", NEW), ask(store, "new", "2026-10")
    assert known.energy_wh == 17 * 400_000
    assert unknown.energy_wh < known.energy_wh
    days = [ask(store, "new", f"2026-10-{day:02}", NEW).energy_wh for day in range(1, 32)]
    assert sum(days) == known.energy_wh
    assert days[:14] == [0] * 14


@pytest.mark.parametrize(
    "closing", [5_803_000, 99_000_000, 0], ids=["by the display", "too much", "too little"]
)
def test_a_note_that_contradicts_the_readings_adds_and_takes_nothing(store, closing):
    put(store, "old", range(1, 16), 200_000)
    without = ask(store, "old", "2026-10")
    noted = ask(store, "old", "2026-10", CounterEpoch("old", OLD.start, 0, closing))
    assert noted.energy_wh == without.energy_wh


def test_a_device_that_is_only_dead_for_weeks_before_its_exchange_keeps_its_energy(store):
    put(store, "old", range(1, 11), 200_000)
    exchanged = CounterEpoch("old", local_midnight(date(2026, 11, 5)), 0, 4_200_000)
    october, november = (ask(store, "old", f"2026-{month}", exchanged) for month in (10, 11))
    assert (october.energy_wh, november.energy_wh) == (4_000_000, 0)
    assert october.completeness == pytest.approx(1.0, abs=0.04)


def test_readings_from_further_back_are_not_cut_off_by_an_old_exchange(store):
    """Asked for a month long after the exchange, the counter's own readings speak alone."""
    put(store, "new", range(15, 32), 0)
    moment = datetime.combine(date(2026, 12, 3), datetime.min.time(), MORNING.tzinfo) + timedelta(hours=4)
    store.write(samples_to_table([Sample("new", moment, moment, {"generated_energy_wh": 6_900_000})]))
    assert ask(store, "new", "2026-12", NEW) == ask(store, "new", "2026-12")
