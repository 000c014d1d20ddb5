"""Availability of a county: a month of 500 stations × 6 inverters at 1-minute samples, embedded engine.

Beside it the newest interval of all devices, and NREL RdTools' availability module on the month of one
station (in a virtual environment of its own, which this bench makes). `SUNLEDGER_BENCH_STATIONS` and
`SUNLEDGER_BENCH_DAYS` make it smaller. The store is filled by another process, so that the memory shown is
that of the evaluation alone.
"""

import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from api.alarming import MANNER
from api.schema import all_tables
from monitoring.alarms.watch import watch_present
from monitoring.sky.light import Place
from monitoring.uptime.causes import Cause
from monitoring.uptime.evaluation import Evaluation, Question, evaluate
from monitoring.uptime.keeping import refresh_states
from monitoring.uptime.plants import Machine, Plant
from monitoring.uptime.results import DeviceUptime, Outage, energies_added
from registry.actors import Actor, Role
from registry.divisions import Division, add_division
from registry.stations import Device, Station, add_device, add_station
from store.db import Database, open_database
from store.samples import SAMPLE_SCHEMA, DeviceState
from store.series import SeriesStore, open_series
from tests.bench.rdtools_peer import PeerResult, ask_rdtools

STATIONS = int(os.environ.get("SUNLEDGER_BENCH_STATIONS", "500"))
DAYS = int(os.environ.get("SUNLEDGER_BENCH_DAYS", "31"))
INVERTERS = 6
STEP_S = 60
RATED_W = 50_000.0
PEER_STATION = "s0000"
START = datetime(2026, 5, 31, 16, tzinfo=UTC)
CLERK = Actor("bench", "bench", Role.COUNTY, "529901000000")
ROWS_A_DAY = 86_400 // STEP_S


def shape(seconds: np.ndarray) -> np.ndarray:
    """Clear-sky output of a June day as a fraction of rated power; `seconds` since local midnight."""
    hour = seconds / 3600
    return np.where(np.abs(hour - 12.5) < 6.8, 0.82 * np.cos(np.pi * (hour - 12.5) / 13.6), 0.0)


class County:
    """A county's samples day by day: clouds, stops, lost grids, lost links; counters that follow."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(5)
        self.count = STATIONS * INVERTERS
        self.ids = pa.array([f"s{n // INVERTERS:04}i{n % INVERTERS}" for n in range(self.count)])
        self.counter = self.rng.integers(10_000_000, 90_000_000, self.count).astype(float)
        self.spread = self.rng.uniform(0.92, 1.02, self.count)
        self.expected: list[np.ndarray] = []
        self.stop_chance = np.where(np.arange(self.count) < INVERTERS, 0.15, 0.03)

    def day(self, number: int) -> pa.Table:
        """Return one day's rows in order of arrival."""
        seconds = np.arange(ROWS_A_DAY) * STEP_S
        cloud = np.clip(0.75 + np.cumsum(self.rng.normal(0, 0.01, ROWS_A_DAY)), 0.25, 1.0)
        self.expected.append(shape(seconds) * cloud)
        local = np.clip(self.rng.normal(1, 0.06, (ROWS_A_DAY // 15, self.count)), 0.7, 1.2)
        power = (shape(seconds) * cloud)[:, None] * np.repeat(local, 15, axis=0) * self.spread * RATED_W
        power[power < 0.01 * RATED_W] = 0
        state = np.where(power > 0, DeviceState.RUNNING, DeviceState.STANDBY).astype(np.int32)
        heard = self.rng.random((ROWS_A_DAY, self.count)) > 0.002
        heard[:, :INVERTERS] = True  # the peer takes a silent inverter for one that stands
        for machine in np.flatnonzero(self.rng.random(self.count) < self.stop_chance):
            begin = int(self.rng.uniform(7.5, 15) * 60)
            stop = slice(begin, begin + int(self.rng.uniform(20, 240)))
            kind = self.rng.integers(4)
            if kind == 0 and machine >= INVERTERS:
                heard[stop, machine] = False
                continue
            power[stop, machine] = 0
            state[stop, machine] = (DeviceState.FAULT, DeviceState.GRID_FAULT, DeviceState.STANDBY)[
                kind - 1 if kind else 0
            ]
        grown = (
            self.counter + np.vstack([np.zeros(self.count), np.cumsum(power[:-1], axis=0)]) * STEP_S / 3600
        )
        self.counter = grown[-1] + power[-1] * STEP_S / 3600
        chosen = np.flatnonzero(heard)
        times = (START.timestamp() + number * 86_400 + np.repeat(seconds, self.count)[chosen]) * 1e6
        instants = pa.array(times.astype(np.int64), pa.timestamp("us", tz="UTC"))
        columns = {
            "device_id": self.ids.take(pa.array(chosen % self.count)),
            "time": instants,
            "received_at": instants,
            "flags": pa.array(np.zeros(len(chosen), np.int32)),
            "active_power_w": pa.array(np.round(power.ravel()[chosen])),
            "generated_energy_wh": pa.array(np.round(grown.ravel()[chosen]).astype(np.int64)),
            "state": pa.array(state.ravel()[chosen]),
            "voltage_a_v": pa.array(np.full(len(chosen), 231.0)),
            "alarm_words_1": pa.array(np.zeros(len(chosen), np.int64)),
        }
        arrays = [columns.get(field.name, pa.nulls(len(chosen), field.type)) for field in SAMPLE_SCHEMA]
        return pa.table(arrays, schema=SAMPLE_SCHEMA)


def register(database: Database) -> None:
    """Record the county's divisions, stations and inverters."""
    now, since = START, date(2026, 1, 1)
    with database.transaction() as session:
        for code, level, parent in (
            ("529901000000", "county", ""),
            ("529901101000", "township", "529901000000"),
            ("529901101201", "village", "529901101000"),
        ):
            add_division(session, CLERK, Division(code, code, code, level, parent, since), now)
        for number in range(STATIONS):
            name = f"s{number:04}"
            place = (26.5 + number % 25 * 0.02, 105.8 + number // 25 * 0.02)
            station = Station(name, name, "village", "529901101201", int(INVERTERS * RATED_W), *place)
            add_station(session, CLERK, station, now)
            for slot in range(INVERTERS):
                device = Device(
                    f"{name}i{slot}", name, "inverter", f"{slot + 1}号逆变器", "", since,
                    cycle_seconds=STEP_S, rated_power_w=int(RATED_W), position=slot + 1,
                )  # fmt: skip
                add_device(session, CLERK, device, now)


class Peak:
    """The highest resident memory [bytes] of this process while something runs."""

    def __enter__(self) -> Self:
        Path("/proc/self/clear_refs").write_text("5")
        return self

    def __exit__(self, *_exception: object) -> None:
        lines = Path("/proc/self/status").read_text().splitlines()
        self.bytes = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def month(database: Database, series: SeriesStore) -> tuple[Evaluation, float]:
    """Evaluate the whole county over all days, and print what it took."""
    question = Question(START, START + timedelta(days=DAYS))
    with Peak() as peak:
        began, worked = time.perf_counter(), time.process_time()
        with database.reading() as session:
            evaluation = evaluate(session, series, CLERK, question, question.end)
        taken, worked = time.perf_counter() - began, time.process_time() - worked
    rows = series.statistics().rows
    outages = len(evaluation.outages())
    print(f"{rows:,} rows, {len(evaluation.devices)} inverters, {DAYS} days: {outages} outages")
    print(f"  evaluation            {taken:8.1f} s   (aim ≤ 60 s), {rows / taken / 1e6:.2f} M rows/s")
    print(f"  processor time        {worked:8.1f} s, load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores")
    print(f"  peak resident memory  {peak.bytes / 1e6:8.0f} MB  (aim ≤ 1 000 MB)")
    return evaluation, taken


def newest(database: Database, series: SeriesStore) -> None:
    """Bring the newest interval of every device up to date, three times, and print what it took."""
    taken = []
    for minute in range(4):
        now = START + timedelta(days=DAYS - 1, hours=12, minutes=minute)
        began = time.perf_counter()
        with database.transaction() as session:
            done = refresh_states(session, series, now)
        taken.append(time.perf_counter() - began)
    print(f"newest interval of {done.subjects} subjects: first {taken[0]:.2f} s, then", end=" ")
    print(f"{sorted(taken[1:])[1]:.2f} s (aim ≤ 1 s)")


def alarms(database: Database, series: SeriesStore) -> None:
    """Look at every inverter for alarms as the service does each minute, and print what it took."""
    taken, worked = [], []
    for minute in range(4):
        now = START + timedelta(days=DAYS - 1, hours=12, minutes=minute)
        began, work = time.perf_counter(), time.process_time()
        watch_present(database, series, now, MANNER)
        taken.append(time.perf_counter() - began)
        worked.append(time.process_time() - work)
    print(f"alarms of {STATIONS * INVERTERS} inverters: first {taken[0]:.2f} s, then", end=" ")
    print(f"{sorted(taken[1:])[1]:.2f} s, {sorted(worked[1:])[1]:.2f} s of a processor (aim ≤ 1 s)")


def against_rdtools(series: SeriesStore, ours: Evaluation, seconds: float, folder: Path) -> None:
    """One station's month by both: outages and availability beside each other, and the time of each."""
    machines = tuple(Machine(f"{PEER_STATION}i{n}", PEER_STATION, RATED_W) for n in range(INVERTERS))
    expected = np.load(folder / "expected.npy") * RATED_W * INVERTERS
    times = START.timestamp() + STEP_S * np.arange(len(expected))
    given = {"times": times.tolist(), "values": expected.tolist()}
    question = Question(START, START + timedelta(days=DAYS))
    peer = ask_rdtools(series, Plant(machines, Place(26.5, 105.8)), question, folder, given)
    if peer is None:
        print("RdTools could not be installed or run here: no comparison")
        return
    mine = [device for device in ours.devices if device.group == PEER_STATION]
    show_comparison(mine, peer)
    each = seconds / STATIONS
    print(
        f"  one station's month   {each:8.3f} s with reading, RdTools {peer.seconds:.2f} s without,", end=" "
    )
    print(f"ratio {peer.seconds / each:.0f}")


def show_comparison(mine: list[DeviceUptime], peer: PeerResult) -> None:
    """Print what both found of the same station."""
    energy = energies_added(device.energy for device in mine)
    share = energy.availability_all_causes or 0.0
    print("one station against RdTools 3.2.1:")
    print(f"  energy availability   {100 * share:8.3f} %, RdTools {100 * peer.availability:.3f} %,", end=" ")
    print(f"apart {100 * abs(share - peer.availability):.3f} points (aim ≤ 0.1)")
    generated, lost = (energy.generated_wh or 0) / 1000, sum(energy.lost_wh.values()) / 1000
    print(f"  generated             {generated:8.0f} kWh, RdTools {peer.actual_kwh:.0f} kWh")
    print(f"  lost                  {lost:8.0f} kWh, RdTools {peer.lost_kwh:.0f} kWh")
    found = [outage for device in mine for outage in device.outages if outage.cause is not Cause.ORDERED]
    same = sum(_seen_by(peer, outage) for outage in found)
    long = [one for one in peer.outages if one.end - one.start >= 1800]
    print(f"  outages of ≥ 30 min   {len(found):8d}, RdTools {len(long)}; same within one interval: {same}")


def _seen_by(peer: PeerResult, outage: Outage) -> bool:
    """Tell whether the peer has the same stretch, both limits within one interval."""
    return any(
        one.device_id == outage.device_id
        and abs(one.start - outage.start.timestamp()) <= STEP_S
        and abs(one.end - outage.end.timestamp()) <= STEP_S
        for one in peer.outages
    )


def opened(folder: Path) -> tuple[Database, SeriesStore]:
    """Open the stores of a bench folder."""
    database = open_database(f"sqlite:///{folder / 'bench.sqlite3'}")
    return database, open_series(f"duckdb:///{folder / 'series.duckdb'}?memory_limit=256MB")


def fill(folder: Path) -> None:
    """Fill the stores of a bench folder."""
    database, series = opened(folder)
    all_tables().create_all(database.engine)
    register(database)
    county = County()
    for number in range(DAYS):
        series.write(county.day(number))
    np.save(folder / "expected.npy", np.concatenate(county.expected))
    series.close()
    database.close()


def main() -> None:
    """Fill a store in another process, then measure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "tests.bench.bench_monitoring", "fill", name], check=True)
        print(f"filled in {time.perf_counter() - began:.0f} s", flush=True)
        measure(folder)


def measure(folder: Path) -> None:
    """Measure on the stores of a bench folder."""
    database, series = opened(folder)
    ours, seconds = month(database, series)
    newest(database, series)
    alarms(database, series)
    against_rdtools(series, ours, seconds, folder)
    series.close()
    database.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["fill"]:
        fill(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["measure"]:
        measure(Path(sys.argv[2]))
    else:
        main()
