"""The demo's physics: curves that could be real, and counters that agree with themselves."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.demo.plant import Disturbance, Effect, Machine, Plant
from api.demo.sky import Site
from store.periods import local_midnight
from store.samples import DeviceState

EPOCH = date(2026, 1, 1)
NOON = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)


def site(number: int, **other) -> Site:
    given_values = {
        "station_id": f"s{number}",
        "latitude": 31.3 + number / 50,
        "longitude": 115.8 + number / 50,
        "altitude_m": 150.0,
        "township": number % 2,
        "wind_delay_min": 4.0 * number,
        "tilt_deg": 26.0,
        "azimuth_deg": 180.0,
        "horizon_deg": (3.0, 3.0),
        "cleaning_day": 10,
    }
    return Site(**(given_values | other))


def machines(station: str, dc_power_w: int = 92_000) -> list[Machine]:
    inverters = [
        Machine(f"{station}-i{n}", station, False, 80_000, dc_power_w, 500_000_000, 100) for n in (1, 2)
    ]
    return [*inverters, Machine(f"{station}-m", station, True, 160_000, 0, 900_000_000, 10)]


def plant(*disturbances: Disturbance, seed: int = 3, epoch: date = EPOCH, dc_power_w: int = 92_000) -> Plant:
    sites = [site(n) for n in range(3)]
    listed = [machine for place in sites for machine in machines(place.station_id, dc_power_w)]
    return Plant(seed, sites, listed, disturbances, epoch=epoch)


def disturbed(effect: Effect, device_id: str, share: float = 0.0, hours: int = 48) -> Disturbance:
    start = local_midnight(date(2026, 1, 5))
    return Disturbance(effect, (device_id,), start, start + timedelta(hours=hours), share)


def test_the_same_seed_shows_the_same_values_in_whatever_order_days_are_asked() -> None:
    straight, jumping = plant(), plant()
    jumping.day(date(2026, 1, 20))
    for day in (2, 9, 15):
        at = datetime(2026, 1, day, 3, 17, 41, tzinfo=UTC)
        assert straight.values("s1-i1", at) == jumping.values("s1-i1", at)
    assert plant(seed=4).values("s1-i1", NOON) != straight.values("s1-i1", NOON)


def test_kept_counters_give_what_summing_up_again_gives(tmp_path: Path) -> None:
    first = plant()
    first.day(date(2026, 2, 1))
    first.save(tmp_path / "midnights.npy")
    second = plant()
    second.load(tmp_path / "midnights.npy")
    at = datetime(2026, 2, 1, 5, 0, tzinfo=UTC)
    assert second.values("s2-m", at) == first.values("s2-m", at)


def test_counters_that_belong_to_another_plant_are_not_taken(tmp_path: Path) -> None:
    np.save(tmp_path / "midnights.npy", np.zeros((9, 2)))
    other = plant()
    other.load(tmp_path / "midnights.npy")
    assert other.values("s0-i1", NOON) == plant().values("s0-i1", NOON)


SHARED = plant()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40 * 86_400), st.integers(0, 7_200))
def test_a_counter_never_falls_and_gains_no_more_than_rated_power_allows(start: int, later: int) -> None:
    first = local_midnight(EPOCH) + timedelta(seconds=start)
    second = first + timedelta(seconds=later)
    for device, quantity, rated in (
        ("s1-i1", "generated_energy_wh", 80_000),
        ("s1-m", "exported_energy_wh", 160_000),
    ):
        before, after = SHARED.values(device, first), SHARED.values(device, second)
        assert before is not None
        assert after is not None
        assert 0 <= after[quantity] - before[quantity] <= rated * later / 3600 + 100


def test_the_counter_is_the_integral_of_the_power() -> None:
    curves = SHARED.day(date(2026, 1, 9))
    column = SHARED.index["s0-i2"]
    integral = np.trapezoid(curves.power_w[:, column], dx=1 / 12)
    assert integral == pytest.approx(curves.energy_wh[-1, column] - curves.energy_wh[0, column], rel=1e-9)


def test_midnight_belongs_to_both_days_with_one_counter() -> None:
    first, second = SHARED.day(date(2026, 1, 9)), SHARED.day(date(2026, 1, 10))
    assert np.array_equal(first.energy_wh[-1], second.energy_wh[0])


def test_the_meter_sees_one_or_two_per_cent_less_than_the_inverters() -> None:
    curves = SHARED.day(date(2026, 1, 9))
    gained = curves.energy_wh[-1] - curves.energy_wh[0]
    inverters = gained[SHARED.index["s0-i1"]] + gained[SHARED.index["s0-i2"]]
    assert 0.978 <= gained[SHARED.index["s0-m"]] / inverters <= 0.991


def test_night_is_dark_and_power_never_exceeds_the_rating() -> None:
    big = plant(dc_power_w=130_000)
    peak = 0.0
    for offset in range(120, 150):
        curves = big.day(EPOCH + timedelta(days=offset))
        inverters = [n for n, machine in enumerate(big.machines) if not machine.is_meter]
        power = curves.power_w[:, inverters]
        assert power[:48].max() == 0.0
        assert (curves.state[:48, inverters] == DeviceState.STANDBY).all()
        peak = max(peak, power.max())
    assert peak == pytest.approx(80_000, abs=1)


def test_neighbours_share_the_sky() -> None:
    power = np.concatenate(
        [SHARED.day(EPOCH + timedelta(days=n)).power_w[:, :: len(machines("x"))] for n in range(20, 40)]
    )
    assert np.corrcoef(power.T).min() > 0.8


def test_a_year_yields_what_the_province_yields() -> None:
    year = plant(epoch=date(2025, 11, 1))
    first, last = year.day(date(2025, 11, 1)), year.day(date(2026, 11, 1))
    column = year.index["s0-i1"]
    hours = (last.energy_wh[0, column] - first.energy_wh[0, column]) / 92_000
    assert 950 < hours < 1200


def test_warm_modules_give_less_for_the_same_light() -> None:
    from api.demo.sky import module_temperature, plane_irradiance

    sites = tuple(site(n) for n in range(3))
    summer = plane_irradiance(3, date(2026, 7, 20), sites)
    assert module_temperature(3, date(2026, 7, 20), sites, summer).max() > 45
    winter = plane_irradiance(3, date(2026, 1, 20), sites)
    assert module_temperature(3, date(2026, 1, 20), sites, winter).max() < 40


def test_snow_lies_in_january_and_slides_off() -> None:
    produced = [
        SHARED.day(day).energy_wh[-1, 0] - SHARED.day(day).energy_wh[0, 0]
        for day in (date(2026, 1, 18), date(2026, 1, 24))
    ]
    assert produced[0] < 40_000 < produced[1]


def test_a_stopped_inverter_answers_with_its_fault_and_no_power() -> None:
    values = plant(disturbed(Effect.STOPPED, "s0-i1")).values("s0-i1", NOON)
    assert values is not None
    assert values["active_power_w"] == 0
    assert values["state"] == DeviceState.FAULT


def test_a_silent_device_has_no_values_but_its_counter_runs_on() -> None:
    silent = plant(disturbed(Effect.SILENT, "s0-i1"))
    assert silent.values("s0-i1", NOON) is None
    after = NOON + timedelta(days=3)
    assert silent.values("s0-i1", after) == SHARED.values("s0-i1", after)


def test_a_weak_inverter_gives_its_share_less_and_a_curtailed_one_is_capped() -> None:
    healthy = SHARED.values("s0-i1", NOON)
    weak = plant(disturbed(Effect.WEAK, "s0-i1", 0.2)).values("s0-i1", NOON)
    capped = plant(disturbed(Effect.CURTAILED, "s0-i1", 0.01)).values("s0-i1", NOON)
    assert healthy is not None
    assert weak is not None
    assert capped is not None
    assert weak["active_power_w"] == pytest.approx(0.8 * healthy["active_power_w"], rel=0.001)
    assert capped["active_power_w"] == 800
    assert capped["state"] == DeviceState.DERATED


def test_a_replaced_main_board_restarts_the_counter() -> None:
    reset = plant(disturbed(Effect.COUNTER_RESET, "s0-i1", hours=1))
    before = reset.values("s0-i1", local_midnight(date(2026, 1, 5)) - timedelta(minutes=10))
    after = reset.values("s0-i1", NOON)
    assert before is not None
    assert after is not None
    assert before["generated_energy_wh"] > 500_000_000
    assert after["generated_energy_wh"] < 1_000_000


def test_a_device_speaks_only_while_it_is_installed() -> None:
    old = Machine("old", "s0", False, 80_000, 92_000, 10, 100, removed_on=date(2026, 1, 5))
    new = Machine("new", "s0", False, 80_000, 92_000, 0, 100, installed_on=date(2026, 1, 5))
    swapped = Plant(3, [site(0)], [old, new], [], epoch=EPOCH)
    assert swapped.values("old", NOON) is None
    assert swapped.values("new", NOON - timedelta(days=1)) is None
    shown = swapped.values("new", NOON)
    assert shown is not None
    assert 0 < shown["generated_energy_wh"] < 500_000


def test_no_day_before_the_epoch() -> None:
    with pytest.raises(ValueError, match="before"):
        SHARED.day(date(2025, 12, 31))
