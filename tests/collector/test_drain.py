"""A store that is away loses nothing: the backlog waits, is told about, and drains; live data stays live."""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from collector.drain import Drain
from collector.notices import EventRelay, Throttle
from collector.settings import CollectorSettings
from collector.spool import Spool
from store.events import Event, EventKind, Severity
from store.samples import Sample
from store.series import Conflict, SeriesUnavailableError, WriteResult
from tests.collector.plants import until, utc_now

START = datetime(2026, 6, 1, tzinfo=UTC)


def minute(number: int, devices: int) -> list[Sample]:
    moment = START + timedelta(minutes=number)
    values = {"active_power_w": 45_600.0 + number, "generated_energy_wh": 123_456_700 + number, "state": 3}
    return [Sample(f"device_{n}", moment, moment, values) for n in range(devices)]


class Moody:
    """A store that can be away, and notes when it took which device's samples."""

    settling = timedelta(0)

    def __init__(self) -> None:
        self.away = True
        self.conflict: Conflict | None = None
        self.taken: list[tuple[float, pa.Table]] = []

    def write(self, batch: pa.Table) -> WriteResult:
        if self.away:
            raise SeriesUnavailableError("connection refused")
        self.taken.append((time.monotonic(), batch))
        return WriteResult(batch.num_rows, 0, () if self.conflict is None else (self.conflict,))


class Running:
    def __init__(self, spool: Spool, store: object, **settings: object) -> None:
        self.events: list[Event] = []
        self.relay = EventRelay(self.events.append)
        self.relay.start()
        chosen = CollectorSettings(**({"drain_seconds": 0.05} | settings))  # type: ignore[arg-type]
        self.drain = Drain(spool, store, utc_now, Throttle(self.relay), chosen)  # type: ignore[arg-type]
        self.drain.start()

    def stop(self) -> None:
        self.drain.stop()
        self.relay.stop()


def test_a_store_that_is_away_is_told_about_and_loses_nothing(tmp_path: Path) -> None:
    spool, store = Spool(tmp_path / "spool.sqlite3"), Moody()
    for number in range(60):
        spool.append(minute(number, 10), at=utc_now())
    running = Running(spool, store)
    until(lambda: bool(running.drain.state.stuck))
    assert spool.balance().waiting == 600
    store.away = False
    until(lambda: spool.balance().waiting == 0)
    until(lambda: not running.drain.state.stuck)
    running.stop()
    assert sum(table.num_rows for _, table in store.taken) == 600
    told = [(event.kind, event.severity) for event in running.events]
    assert (EventKind.STORE, Severity.ERROR) in told
    assert (EventKind.STORE, Severity.INFO) in told
    assert spool.audit().difference == 0


def test_a_server_that_was_away_gets_again_what_it_may_have_forgotten(tmp_path: Path) -> None:
    spool, store = Spool(tmp_path / "spool.sqlite3"), Moody()
    store.settling, store.away = timedelta(minutes=1), False
    running = Running(spool, store)
    spool.append(minute(0, 10), at=utc_now())
    until(lambda: spool.balance().stored == 10)
    store.away = True
    spool.append(minute(1, 10), at=utc_now())
    until(lambda: bool(running.drain.state.stuck))
    store.taken.clear()
    store.away = False
    until(lambda: spool.balance().stored == 20)
    running.stop()
    moments = {moment for _, table in store.taken for moment in table["time"].to_pylist()}
    assert moments == {START, START + timedelta(minutes=1)}
    assert spool.audit().difference == 0


def test_live_samples_do_not_wait_behind_a_backlog(tmp_path: Path) -> None:
    spool, store = Spool(tmp_path / "spool.sqlite3"), Moody()
    store.away = False
    for number in range(200):
        spool.append(minute(number, 50), at=utc_now())
    lock, slow = threading.Lock(), store.write

    def slowly(batch: pa.Table) -> WriteResult:
        with lock:
            time.sleep(0.05)
        return slow(batch)

    store.write = slowly  # type: ignore[method-assign]
    running = Running(spool, store, drain_rows=500)
    time.sleep(0.3)
    live = [Sample("live", utc_now(), utc_now(), {"active_power_w": 1.0})]
    spool.append(live, at=utc_now())
    sent = time.monotonic()
    until(lambda: any("live" in table["device_id"].to_pylist() for _, table in list(store.taken)))
    lag = time.monotonic() - sent
    assert spool.balance().waiting > 1000
    assert lag < 2
    until(lambda: spool.balance().waiting == 0, 30)
    running.stop()


def test_two_counters_for_one_instant_are_shown(tmp_path: Path) -> None:
    spool, store = Spool(tmp_path / "spool.sqlite3"), Moody()
    store.away = False
    store.conflict = Conflict("device_0", START, "generated_energy_wh", 10, 11)
    spool.append(minute(0, 1), at=utc_now())
    running = Running(spool, store)
    until(lambda: bool(running.events))
    running.stop()
    event = running.events[0]
    assert (event.kind, event.subject_id) == (EventKind.CONFLICT, "device_0")
    assert "10" in event.message
    assert "11" in event.message


def test_a_recorder_that_fails_does_not_stop_the_events() -> None:
    seen: list[str] = []

    def record(event: Event) -> None:
        if event.message == "bad":
            raise OSError("database is locked")
        seen.append(event.message)

    relay = EventRelay(record)
    relay.start()
    for message in ("one", "bad", "two"):
        relay.tell(Event(utc_now(), EventKind.SERVICE, Severity.INFO, "x", "y", message))
    relay.stop()
    assert seen == ["one", "two"]
    assert relay.lost == 1


def test_the_same_reason_is_told_once_an_hour_with_its_count() -> None:
    seen: list[Event] = []
    relay = EventRelay(seen.append)
    relay.start()
    throttle = Throttle(relay)
    for number in range(61):
        moment = START + timedelta(minutes=number)
        throttle.tell(Event(moment, EventKind.SERVICE, Severity.INFO, "x", "y", "again"), "reason")
    relay.stop()
    assert [event.message for event in seen] == ["again", "again（此前另有 59 次）"]
