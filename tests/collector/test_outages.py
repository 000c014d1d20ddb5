"""The store away for an hour and for three days, a spool at its cap, a full disk: nothing unseen is lost.

Each row is numbered by its time, so a lost one would leave a hole in the store.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from collector.drain import Drain
from collector.notices import EventRelay, Throttle
from collector.settings import CollectorSettings
from collector.spool import Spool
from store.events import Event, EventKind, Severity
from store.samples import Sample
from store.series import SeriesStore, SeriesUnavailableError, WriteResult, open_series
from tests.collector.conftest import Mosquitto
from tests.collector.plants import Bench, mqtt_link, to_county_broker, until, utc_now
from tests.collector.publishing import left, message, publisher, send

SOAK = bool(os.environ.get("SUNLEDGER_SOAK"))
DEVICES = 1600 if SOAK else 16
CAP_BYTES = 2_000_000_000
START = datetime(2026, 6, 1, tzinfo=UTC)


class Switched:
    """A real store whose server can be away."""

    def __init__(self, store: SeriesStore) -> None:
        self._store = store
        self.settling = store.settling
        self.away = True

    def write(self, batch: pa.Table) -> WriteResult:
        if self.away:
            raise SeriesUnavailableError("connection refused")
        return self._store.write(batch)


def minute(number: int) -> list[Sample]:
    moment = START + timedelta(minutes=number)
    values = {"active_power_w": 45_600.0 + number, "generated_energy_wh": 123_456_700 + number, "state": 3}
    return [Sample(f"device_{device}", moment, moment, values) for device in range(DEVICES)]


@pytest.mark.soak
@pytest.mark.parametrize("hours", [1, 72])
def test_a_store_that_was_away_gets_every_row_ten_times_faster_than_they_came(
    tmp_path: Path, hours: int
) -> None:
    """1 600 devices a minute in full; the minutes are compressed, the rows are not."""
    spool = Spool(tmp_path / "spool.sqlite3", CAP_BYTES)
    series = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}")
    store, events = Switched(series), list[Event]()
    relay = EventRelay(events.append)
    relay.start()
    drain = Drain(spool, store, utc_now, Throttle(relay), CollectorSettings(drain_seconds=0.05))  # type: ignore[arg-type]
    drain.start()
    for number in range(hours * 60):
        spool.append(minute(number), at=utc_now())
    until(lambda: bool(drain.state.stuck))
    rows = hours * 60 * DEVICES
    assert spool.balance().waiting == rows
    assert spool.size_bytes < CAP_BYTES
    size, began = spool.size_bytes, time.monotonic()
    store.away = False
    until(lambda: spool.balance().waiting == 0, hours * 360)
    took = time.monotonic() - began
    drain.stop()
    relay.stop()
    balance = spool.audit()
    speed = hours * 3600 / took
    print(f"{hours} h: {rows} rows, {size / 1e6:.1f} MB, drained in {took:.1f} s, {speed:,.0f} × real time")
    assert (balance.stored, balance.duplicates, balance.dropped, balance.difference) == (rows, 0, 0, 0)
    assert series.statistics().rows == rows
    assert speed > 10
    assert {event.kind for event in events} == {EventKind.STORE}
    series.close()
    spool.close()


async def test_at_the_cap_the_oldest_is_dropped_counted_and_told(tmp_path: Path, broker: Mosquitto) -> None:
    bench = Bench(tmp_path, [mqtt_link("station_a")], slow_drain(broker.port))
    bench.spool.cap_bytes = 2000
    await bench.collector.start()
    await until_async(lambda: bench.collector.status().sessions[0][1].subscribed)
    client = publisher(broker.port)
    for number in range(60):
        send(client, "pv/station_a/inverter", message(number))
        await until_async(lambda wanted=number + 1: bench.spool.balance().published == wanted)
    await until_async(lambda: any(event.kind is EventKind.DROP for event in bench.events))
    balance = bench.spool.audit()
    assert balance.dropped > 0
    assert (balance.published, balance.difference) == (60, 0)
    assert bench.spool.size_bytes <= 2000
    told = next(event for event in bench.events if event.kind is EventKind.DROP)
    assert told.severity is Severity.ERROR
    assert "丢弃最旧的" in told.message
    left(client)
    await bench.collector.stop()
    powers = [round(sample.values["active_power_w"]) for sample in bench.stored("station_a_inverter")]
    assert powers == list(range(balance.dropped, 60))
    bench.close()


async def until_async(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(until, condition)


def slow_drain(port: int) -> CollectorSettings:
    """Settings under which the spool is emptied only at the end."""
    return replace(to_county_broker(port), drain_seconds=3600.0)


FULL_DISK = """
import json, resource, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from collector.spool import Spool, SpoolFullError
from store.samples import Sample
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path(sys.argv[1]))
start = datetime(2026, 6, 1, tzinfo=UTC)
def put(number):
    moment = start + timedelta(seconds=number)
    spool.append([Sample(f"d{n}", moment, moment, {"active_power_w": n * 1.37 + number}) for n in range(200)],
                 at=moment)
taken, refused = 0, 0
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
for number in range(400):
    try:
        put(number)
        taken += 200
    except SpoolFullError:
        refused += 1
before = spool.audit()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
put(1000)
after = spool.audit()
print(json.dumps([taken, refused, before.published, before.difference, after.published, after.difference]))
"""


def test_a_file_that_cannot_grow_refuses_whole_batches_and_goes_on_when_it_can(tmp_path: Path) -> None:
    """The limit is the system's own: every write beyond it fails, as on a full disk."""
    path = tmp_path / "spool.sqlite3"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    taken, refused, published, difference, later, still = json.loads(done.stdout)
    assert taken > 0
    assert refused > 0
    assert (published, difference) == (taken, 0)
    assert (later, still) == (taken + 200, 0)
    again = Spool(path)
    assert again.audit().waiting == taken + 200
    again.close()
