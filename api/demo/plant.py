"""The demo county's machines: what each inverter and meter would show at any instant.

Owns the physics from sky to counter: pvlib clear sky for each station's coordinates, light on the tilted
module, module temperature, inverter efficiency and clipping, the spread between inverters, meters, and the
disturbances that the story plants. Everything is a pure function of (seed, device, time), so that history
and live readings continue each other; only the counters at midnights are kept, because they are sums.
It knows no store, no protocol and no clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from math import sin
from pathlib import Path
from threading import Lock
from typing import TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from api.demo.sky import Site, module_temperature, plane_irradiance
from api.demo.weather import NODES, STEP_MINUTES, Floats, air_temperature, generator
from store.periods import local_date, local_midnight
from store.samples import DeviceState

Degrees = TypeVar("Degrees", float, Floats)

_STEP = timedelta(minutes=STEP_MINUTES)
_STEP_HOURS = STEP_MINUTES / 60.0
_NOMINAL_EFFICIENCY = 0.986
_START_IRRADIANCE = 14.0
_METER_LOSS = (0.010, 0.022)
_NIGHT_USE_W_PER_KW = 0.6


class Effect(StrEnum):
    """How a disturbance changes what a machine does or shows."""

    STOPPED = "stopped"
    GRID_OUTAGE = "grid_outage"
    CURTAILED = "curtailed"
    WEAK = "weak"
    SILENT = "silent"
    COUNTER_RESET = "counter_reset"


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Something that happens to machines between two instants [start, end).

    `share` is the limit as a share of rated power for CURTAILED, and the share lost for WEAK.
    """

    effect: Effect
    device_ids: tuple[str, ...]
    start: datetime
    end: datetime
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Machine:
    """One inverter, or one meter of everything that its station feeds in.

    Powers in W; `initial_wh` is the counter at the plant's epoch or, for a machine installed later, at
    installation; `resolution_wh` is the step in which the counter is shown.
    """

    device_id: str
    station_id: str
    is_meter: bool
    rated_power_w: int
    dc_power_w: int
    initial_wh: int
    resolution_wh: int
    installed_on: date | None = None
    removed_on: date | None = None


@dataclass(frozen=True, slots=True)
class DayCurves:
    """One local day of every machine, at every node; columns follow `Plant.machines`.

    `power_w` active power, `energy_wh` absolute counter (not yet rounded to its resolution), `state` a
    DeviceState, `silent` whether nobody hears the machine, `ambient_c` air temperature at its station.
    """

    day: date
    power_w: Floats
    energy_wh: Floats
    state: NDArray[np.int8]
    silent: NDArray[np.bool_]
    ambient_c: Floats


@dataclass(frozen=True, slots=True)
class _Working:
    """The arrays of a day while disturbances act on them, and where counters restart (node, column)."""

    power: Floats
    state: NDArray[np.int8]
    silent: NDArray[np.bool_]
    resets: list[tuple[int, int]]


class Plant:
    """All machines of the county. Days may be asked for in any order; counters are summed up when needed."""

    def __init__(
        self,
        seed: int,
        sites: Sequence[Site],
        machines: Sequence[Machine],
        disturbances: Sequence[Disturbance],
        *,
        epoch: date,
    ) -> None:
        self.seed = seed
        self.sites = tuple(sites)
        self.machines = tuple(machines)
        self.epoch = epoch
        self.index = {machine.device_id: n for n, machine in enumerate(self.machines)}
        self._disturbances = tuple(disturbances)
        self._site_of = _site_index(self.sites, self.machines)
        self._meters = np.array([machine.is_meter for machine in self.machines])
        self._inverters = np.flatnonzero(~self._meters)
        self._rated = np.array([machine.rated_power_w for machine in self.machines], dtype=np.float64)
        self._dc = np.array([machine.dc_power_w for machine in self.machines], dtype=np.float64)
        self._spread = np.array([_spread(seed, machine.device_id) for machine in self.machines])
        self._lag = np.array([_lag(seed, machine.device_id) for machine in self.machines])
        self._loss = np.array([_meter_loss(seed, machine.device_id) for machine in self.machines])
        self._midnights = [np.array([machine.initial_wh for machine in self.machines], dtype=np.float64)]
        self._cache: dict[date, DayCurves] = {}
        self._computing = Lock()

    def day(self, day: date) -> DayCurves:
        """Return the curves of one local day, which must not lie before the epoch (ValueError)."""
        if day < self.epoch:
            raise ValueError(f"{day} lies before the plant's first day {self.epoch}")
        with self._computing:
            found = self._cache.get(day)
            if found is None:
                for offset in range(len(self._midnights) - 1, (day - self.epoch).days):
                    self._compute(self.epoch + timedelta(days=offset))
                found = self._compute(day)
                self._cache = {kept: self._cache[kept] for kept in sorted(self._cache)[-2:]} | {day: found}
            return found

    def counter_at(self, device_id: str, day: date) -> int:
        """Return what a device's counter shows at the beginning of a local day [Wh]."""
        column = self.index[device_id]
        offset = (day - self.epoch).days
        if not 0 <= offset < len(self._midnights):
            self.day(day)
        return shown_counter(float(self._midnights[offset][column]), self.machines[column].resolution_wh)

    def values(self, device_id: str, at: datetime) -> Mapping[str, float | int] | None:
        """Return what a device shows at an instant, or None while it cannot be heard or does not exist.

        Quantities and units are those of `store.samples`. Raises KeyError for an unknown device.
        """
        column = self.index[device_id]
        day = local_date(at)
        curves = self.day(day)
        position = (at - local_midnight(day)) / _STEP
        node = int(position)
        if not exists(self.machines[column], day) or curves.silent[node, column]:
            return None
        return _reading(curves, self.machines[column], column, position)

    def save(self, path: Path) -> None:
        """Keep the counters at midnights, so that the next start need not sum the year up again."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.save(file, np.stack(self._midnights), allow_pickle=False)

    def load(self, path: Path) -> None:
        """Take counters kept by `save`; a file that does not fit is ignored, as it can be computed again."""
        if not path.is_file():
            return
        kept = np.load(path, allow_pickle=False)
        if kept.ndim == 2 and kept.shape[1] == len(self.machines) and len(kept) > len(self._midnights):  # noqa: PLR2004, rows and columns
            self._midnights = list(kept)

    def _compute(self, day: date) -> DayCurves:
        offset = (day - self.epoch).days
        power, state = self._inverter_power(day)
        now = _Working(power, state, np.zeros(power.shape, dtype=np.bool_), [])
        for disturbance in self._disturbances:
            nodes = _nodes(disturbance, day)
            if nodes.start < nodes.stop:
                self._disturb(disturbance, nodes, now)
        self._absent(day, power)
        power[:, self._meters] = self._meter_power(power)
        steps = (power[1:] + power[:-1]) / 2 * _STEP_HOURS
        rising = np.where(self._meters, np.maximum(steps, 0), steps)
        energy = (
            np.vstack([np.zeros(len(self.machines)), np.cumsum(rising, axis=0)]) + self._midnights[offset]
        )
        for node, column in now.resets:
            energy[node:, column] -= energy[node, column]
        if offset == len(self._midnights) - 1:
            self._midnights.append(energy[-1].copy())
        ambient = air_temperature(self.seed, day, np.array([site.altitude_m for site in self.sites]))
        return DayCurves(day, power, energy, state, now.silent, ambient[:, self._site_of])

    def _inverter_power(self, day: date) -> tuple[Floats, NDArray[np.int8]]:
        """Return undisturbed AC power [W] and state of every machine (meters: zero, running)."""
        import pvlib

        plane = plane_irradiance(self.seed, day, self.sites)
        cell = module_temperature(self.seed, day, self.sites, plane)
        columns = self._inverters
        light, hot = plane[:, self._site_of[columns]], cell[:, self._site_of[columns]]
        # Inverters of one station stand some way apart: a cloud reaches one a little after the other.
        light[1:] += self._lag[columns] * (light[:-1] - light[1:])
        dc = pvlib.pvsystem.pvwatts_dc(light, hot, self._dc[columns], -0.0036) * self._spread[columns]
        limit = self._rated[columns] / _NOMINAL_EFFICIENCY
        alternating = pvlib.inverter.pvwatts(dc, limit, eta_inv_nom=_NOMINAL_EFFICIENCY)
        alternating[light < _START_IRRADIANCE] = 0.0
        power = np.zeros((NODES, len(self.machines)))
        power[:, columns] = alternating
        state = np.full(power.shape, DeviceState.RUNNING, dtype=np.int8)
        state[(power <= 0) & ~self._meters] = DeviceState.STANDBY
        return power, state

    def _disturb(self, disturbance: Disturbance, nodes: slice, now: "_Working") -> None:
        for device_id in disturbance.device_ids:
            column = self.index[device_id]
            if disturbance.effect is Effect.SILENT:
                now.silent[nodes, column] = True
            elif disturbance.effect is Effect.COUNTER_RESET:
                now.resets.append((nodes.start, column))
            elif disturbance.effect is Effect.WEAK:
                now.power[nodes, column] *= 1 - disturbance.share
            elif disturbance.effect is Effect.CURTAILED:
                limit = self._rated[column] * disturbance.share
                now.state[nodes, column][now.power[nodes, column] > limit] = DeviceState.DERATED
                now.power[nodes, column] = np.minimum(now.power[nodes, column], limit)
            else:
                stopped = disturbance.effect is Effect.STOPPED
                now.power[nodes, column] = 0.0
                now.state[nodes, column] = DeviceState.FAULT if stopped else DeviceState.GRID_FAULT

    def _absent(self, day: date, power: Floats) -> None:
        for column in self._inverters:
            if not exists(self.machines[column], day):
                power[:, column] = 0.0

    def _meter_power(self, power: Floats) -> Floats:
        """Return what the meters see [W]: the inverters less losses; negative is own use at night."""
        fed = np.zeros((NODES, len(self.sites)))
        rated = np.zeros(len(self.sites))
        for column in self._inverters:
            fed[:, self._site_of[column]] += power[:, column]
            rated[self._site_of[column]] += self._rated[column]
        sites = self._site_of[self._meters]
        own_use = np.where(fed[:, sites] > 0, 0.0, rated[sites] / 1000 * _NIGHT_USE_W_PER_KW)
        return np.asarray(fed[:, sites] * (1 - self._loss[self._meters]) - own_use, dtype=np.float64)


def _site_index(sites: Sequence[Site], machines: Sequence[Machine]) -> NDArray[np.int64]:
    places = {site.station_id: n for n, site in enumerate(sites)}
    return np.array([places[machine.station_id] for machine in machines], dtype=np.int64)


def _spread(seed: int, device_id: str) -> float:
    """Return how an inverter's yield differs from its neighbours: one per cent, seldom more."""
    rng = generator(seed, 20, crc32(device_id.encode()))
    return float(0.938 + 0.011 * rng.standard_normal() - (0.03 if rng.random() < 0.05 else 0.0))  # noqa: PLR2004


def _lag(seed: int, device_id: str) -> float:
    """Return how much later than the station's first modules an inverter's are shaded [nodes]."""
    return float(generator(seed, 22, crc32(device_id.encode())).uniform(0.0, 0.5))


def _meter_loss(seed: int, device_id: str) -> float:
    low, high = _METER_LOSS
    return float(generator(seed, 21, crc32(device_id.encode())).uniform(low, high))


def exists(machine: Machine, day: date) -> bool:
    """Tell whether a machine stands in its place on a day."""
    installed = machine.installed_on is None or machine.installed_on <= day
    return installed and (machine.removed_on is None or day < machine.removed_on)


def _nodes(disturbance: Disturbance, day: date) -> slice:
    """Return the nodes of a day that a disturbance covers; empty when it does not touch the day."""
    midnight = local_midnight(day)
    first = 0 if disturbance.start <= midnight else -(-(disturbance.start - midnight) // _STEP)
    last = -(-(disturbance.end - midnight) // _STEP)
    return slice(min(first, NODES), max(0, min(last, NODES)))


def shown_counter(energy_wh: float, resolution_wh: int) -> int:
    """Return a counter as a device shows it [Wh]: whole steps of its resolution, never rounded up."""
    return int(energy_wh // resolution_wh) * resolution_wh


def _reading(curves: DayCurves, machine: Machine, column: int, position: float) -> Mapping[str, float | int]:
    node = min(int(position), NODES - 2)
    part = position - node
    before, after = float(curves.power_w[node, column]), float(curves.power_w[node + 1, column])
    power = before + (after - before) * part
    gained = (before * part + (after - before) * part * part / 2) * _STEP_HOURS
    ahead = float(curves.energy_wh[node + 1, column] - curves.energy_wh[node, column])
    energy = float(curves.energy_wh[node, column]) + min(max(gained, 0.0), max(ahead, 0.0))
    counter = shown_counter(energy, machine.resolution_wh)
    state = DeviceState(int(curves.state[node, column]))
    load = max(power, 0.0) / machine.rated_power_w
    values: dict[str, float | int] = {"active_power_w": round(power)}
    grid = 0.0 if state is DeviceState.GRID_FAULT else 1.0
    line = grid * (398.0 + 16.0 * load)
    current = power / (line * 3**0.5) if line else 0.0
    values |= {
        f"voltage_{pair}_v": round(line + n * 0.4 * grid, 1) for n, pair in enumerate(("ab", "bc", "ca"))
    }
    values |= {
        f"voltage_{phase}_v": round((line + n * 0.3 * grid) / 3**0.5, 1) for n, phase in enumerate("abc")
    }
    values |= {f"current_{phase}_a": round(abs(current), 2) for phase in "abc"}
    values |= {
        "frequency_hz": round(grid * (50.0 + 0.012 * sin(position * 1.7)), 2),
        "power_factor": 0.999 if power > 0 else 0.0,
        "reactive_power_var": round(0.03 * power),
        "apparent_power_va": round(abs(power) * 1.0005),
    }
    if machine.is_meter:
        return values | {"exported_energy_wh": counter}
    return values | _inverter_values(curves, machine, (node, column), counter)


def _inverter_values(
    curves: DayCurves, machine: Machine, place: tuple[int, int], counter: int
) -> dict[str, float | int]:
    node, column = place
    load = max(float(curves.power_w[node, column]), 0.0) / machine.rated_power_w
    direct = load * machine.rated_power_w / 0.982
    voltage = 640.0 - 40.0 * load if load else 0.0
    today = counter - shown_counter(float(curves.energy_wh[0, column]), machine.resolution_wh)
    state = int(curves.state[node, column])
    strings: dict[str, float | int] = {f"dc_voltage_{n}_v": round(voltage + 3 * n, 1) for n in (1, 2)} | {
        f"dc_current_{n}_a": round(direct / 2 / voltage, 2) if voltage else 0.0 for n in (1, 2)
    }
    return strings | {
        "generated_energy_wh": counter,
        "generated_energy_today_wh": max(today, 0),
        "dc_power_w": round(direct),
        "internal_temperature_c": round(internal_temperature(float(curves.ambient_c[node, column]), load), 1),
        "insulation_resistance_ohm": 12_000.0 if state == DeviceState.FAULT else 850_000.0,
        "state": state,
    }


def internal_temperature(ambient_c: Degrees, load: Degrees) -> Degrees:
    """Return an inverter's inside temperature [°C] from the air's and its load as a share of rated power."""
    return ambient_c + 5.0 + 24.0 * load
