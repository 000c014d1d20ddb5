"""Samples as a county of village stations would send them, made by arithmetic, seeded and by the minute.

A truth generator for the benches of the stores: it imports nothing of the engines. Day and night, clouds that
pass over a station, voltages that wander, counters in steps of 0.1 kWh, the resolution of real registers.
"""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from store.samples import QUANTITIES, SAMPLE_SCHEMA, QuantityKind

START = datetime(2026, 9, 30, 16, 0, tzinfo=UTC)
ORIGIN = int(START.timestamp())
NOT_MEASURED = ("irradiance_w_m2", "ambient_temperature_c", "module_temperature_c", "clock_skew_s")
MEASURED = tuple(name for name in QUANTITIES if name not in NOT_MEASURED)[:30]
RATED_W = 50_000


def identifiers(devices: int) -> pa.Array:
    """Return the identifiers of the devices."""
    return pa.array([f"device-{number:05}" for number in range(devices)])


def _sun(seconds: np.ndarray) -> np.ndarray:
    """Height of the sun 0..1 by the second of the day in Asia/Shanghai."""
    hour = (seconds - ORIGIN) % 86_400 / 3600
    return np.where((hour > 6) & (hour < 18), np.sin(np.pi * (hour - 6) / 12), 0.0)


def _energy(seconds: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Counter [Wh] in steps of 100 Wh: the clear curve's integral, scaled by device."""
    day, second = np.divmod(seconds - ORIGIN, 86_400)
    hour = np.clip(second / 3600, 6, 18)
    today = RATED_W * 12 / np.pi * (1 - np.cos(np.pi * (hour - 6) / 12)) * 0.7
    whole = RATED_W * 24 / np.pi * 0.7
    return ((5_000_000 + (day * whole + today) * share) // 100 * 100).astype(np.int64)


def batch(devices: int, minute: int, minutes: int, step_minutes: int = 1) -> pa.Table:
    """Return `minutes` of every device from a minute on, as they would arrive: minute by minute."""
    generator = np.random.default_rng(minute)
    turns = -(-minutes // step_minutes)
    count = devices * turns
    number = np.tile(np.arange(devices), turns)
    seconds = np.repeat(np.arange(turns) * 60 * step_minutes, devices) + ORIGIN + minute * 60
    share = 0.85 + number % 23 / 150
    cloud = np.repeat(generator.uniform(0.35, 1.0, (turns, -(-devices // 6))), 6, axis=1)[:, :devices].ravel()
    power = np.round(RATED_W * _sun(seconds) * share * cloud, -1)
    noise = generator.standard_normal(count)
    columns = _columns(power, noise, number, seconds)
    columns["generated_energy_wh"] = _energy(seconds, share)
    received = seconds * 1_000_000 + number * 17_000 + generator.integers(0, 2_000, count)
    time_type = pa.timestamp("us", tz="UTC")
    keys = {
        "device_id": pa.DictionaryArray.from_arrays(pa.array(number, pa.int32()), identifiers(devices)).cast(
            pa.string()
        ),
        "time": pa.array(seconds * 1_000_000, time_type),
        "received_at": pa.array(received, time_type),
        "flags": pa.array(np.zeros(count, np.int32)),
    }
    arrays = []
    for item in SAMPLE_SCHEMA:
        if item.name in keys:
            arrays.append(keys[item.name])
        elif item.name in MEASURED:
            arrays.append(pa.array(columns[item.name]).cast(item.type))
        else:
            arrays.append(pa.nulls(count, item.type))
    return pa.table(arrays, schema=SAMPLE_SCHEMA)


def _columns(
    power: np.ndarray, noise: np.ndarray, number: np.ndarray, seconds: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the measured quantities, each rounded as a register gives it."""
    by_day = power > 0
    idle = np.zeros(len(power))

    def around(centre: float, width: float, decimals: int, place: int) -> np.ndarray:
        return np.round(centre + width * np.roll(noise, place), decimals)

    found: dict[str, np.ndarray] = {
        "generated_energy_today_wh": np.round((seconds - ORIGIN) % 86_400 * 2.9 * by_day, -2),
        "active_power_w": power,
        "apparent_power_va": power,
        "reactive_power_var": np.round(power * 0.02 * np.roll(noise, 5), -1),
        "power_factor": np.where(by_day, np.round(1 - np.abs(noise) / 500, 3), 1.0),
        "frequency_hz": around(50, 0.02, 2, 7),
        "dc_power_w": np.round(power * 1.02, -1),
        "internal_temperature_c": np.round(25 + power / 2_000 + 0.3 * noise, 1),
        "insulation_resistance_ohm": np.full(len(power), 1_500_000.0),
    }
    for place, name in enumerate(MEASURED):
        if QUANTITIES[name].kind is QuantityKind.COUNTER:
            found[name] = np.full(len(power), 1_000 * (number % 7))
        elif QUANTITIES[name].kind is not QuantityKind.GAUGE:
            found[name] = np.where(by_day, 3, 1)
        elif name.startswith("voltage"):
            found[name] = around(230, 1.5, 1, place)
        elif name.startswith("dc_voltage"):
            found[name] = np.where(by_day, around(600, 6, 1, place), idle)
        elif "current" in name:
            found[name] = np.round(power / 690 * (1 + 0.01 * np.roll(noise, place)), 1)
    return found
