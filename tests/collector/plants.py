"""Plants, links and stores that the collector's tests share."""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from collector.connections import DeviceLink
from collector.learned import Learned
from collector.runtime import Collector
from collector.settings import CollectorSettings, MqttSettings
from collector.spool import Spool
from store.events import Event
from store.samples import QUANTITIES, Sample, table_to_samples
from store.series import SeriesStore, open_series

COLLECTOR = ("sunledger-collector", "collector-secret")
START = datetime(2020, 1, 1, tzinfo=UTC)
END = datetime(2100, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    return datetime.now(UTC)


class SteadyPlant:
    """Every device shows the same steady values; devices named in `silent` do not answer."""

    def __init__(self, **values: float) -> None:
        self.shown: Mapping[str, float | int] = values or {
            "active_power_w": 45_600.0,
            "generated_energy_wh": 123_456_700,
            "exported_energy_wh": 123_456_780,
            "frequency_hz": 50.01,
            "state": 3,
        }
        self.silent: set[str] = set()
        self.asked: list[str] = []

    def values(self, device_id: str, at: datetime) -> Mapping[str, float | int] | None:
        assert at.tzinfo is not None
        self.asked.append(device_id)
        return None if device_id in self.silent else self.shown


class Bench:
    """A collector on a temporary spool and DuckDB, with the events that it told."""

    def __init__(
        self,
        folder: Path,
        links: list[DeviceLink],
        settings: CollectorSettings | None = None,
        learned: Learned | None = None,
    ) -> None:
        self.events: list[Event] = []
        self._lock = threading.Lock()
        self.spool = Spool(folder / "spool.sqlite3")
        self.series: SeriesStore = open_series(f"duckdb:///{folder / 'series.duckdb'}")
        self.collector = Collector(
            links,
            spool=self.spool,
            series=self.series,
            clock=utc_now,
            on_event=self._note,
            settings=settings or quick(),
            learned=learned,
        )

    def _note(self, event: Event) -> None:
        with self._lock:
            self.events.append(event)

    def stored(self, *device_ids: str) -> list[Sample]:
        return table_to_samples(self.series.read(list(device_ids), START, END, list(QUANTITIES)))

    def close(self) -> None:
        self.spool.close()
        self.series.close()


def quick(**settings: object) -> CollectorSettings:
    chosen = {"request_timeout_seconds": 0.3, "flush_seconds": 0.1, "drain_seconds": 0.1} | settings
    return CollectorSettings(**chosen)  # type: ignore[arg-type]


def to_broker(port: int, **settings: object) -> CollectorSettings:
    return quick(mqtt=MqttSettings(port=port, **settings))  # type: ignore[arg-type]


def link(device_id: str, port: int, **changes: object) -> DeviceLink:
    chosen: dict[str, object] = {
        "station_id": f"station_{device_id}",
        "transport": "modbus-tcp",
        "host": "127.0.0.1",
        "port": port,
        "profile": "sungrow_sg_string",
        "cycle_seconds": 1,
        "rated_power_w": 60_000,
        "division_code": "520499101201",
    }
    return DeviceLink(device_id, **(chosen | changes))  # type: ignore[arg-type]


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def age(moment: datetime) -> timedelta:
    return utc_now() - moment


def mqtt_link(station: str, device: str = "inverter", port: int = 0, **changes: object) -> DeviceLink:
    chosen = {"transport": "mqtt", "host": "", "station_id": station, "profile": "sunledger"}
    return link(f"{station}_{device}", port, topic=f"pv/{station}/{device}", **(chosen | changes))


def to_county_broker(port: int, **settings: object) -> CollectorSettings:
    """Settings that log in to the broker with the shipped access list."""
    return to_broker(port, **({"username": COLLECTOR[0], "password": COLLECTOR[1]} | settings))
