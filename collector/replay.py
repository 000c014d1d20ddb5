"""A telemetry file played as live devices.

Owns the `PlantSource` that answers from recorded history: each device shows what the file says for the
instant that is being played, its gaps included. Reading the file is `telemetry`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.connections import MODBUS_TCP, DeviceLink
from collector.telemetry import TelemetryMapping, telemetry_batches
from store.problem import Problem, ProblemsError
from store.samples import QUANTITIES

HOLD_STEPS = 2.5
MAX_UNITS = 247


@dataclass(frozen=True, slots=True)
class _Track:
    """The rows of one device in order of time; `times` in microseconds since 1970."""

    times: np.ndarray[tuple[int], np.dtype[np.int64]]
    rows: pa.Table
    hold: float


class ReplayPlant:
    """Plays a file: at `started` [UTC] it shows the first instant of the file, or `origin`.

    `speed` of 60 plays an hour a minute. A device whose last row is older than two and a half of its
    usual steps is silent, as it was then; so is everything after the end of the file.
    """

    def __init__(
        self,
        path: Path,
        mapping: TelemetryMapping,
        started: datetime,
        *,
        speed: float = 1.0,
        origin: datetime | None = None,
    ) -> None:
        self.problems: list[Problem] = []
        self._tracks = self._load(path, mapping)
        self._started = started
        self._speed = speed
        first = min(int(track.times[0]) for track in self._tracks.values())
        self._origin = first if origin is None else round(origin.timestamp() * 1e6)

    def _load(self, path: Path, mapping: TelemetryMapping) -> dict[str, _Track]:
        tables = []
        for table, problems in telemetry_batches(path, mapping):
            tables.append(table)
            self.problems.extend(problems)
        whole = pa.concat_tables(tables) if tables else None
        if whole is None or not whole.num_rows:
            raise ProblemsError([Problem(str(path), "文件里没有可以回放的数据", "检查文件和映射")])
        whole = whole.sort_by([("device_id", "ascending"), ("time", "ascending")])
        return {name: _track(whole, name) for name in pc.unique(whole["device_id"]).to_pylist()}

    @property
    def device_ids(self) -> tuple[str, ...]:
        """The devices of the file."""
        return tuple(self._tracks)

    def values(self, device_id: str, at: datetime) -> Mapping[str, float | int] | None:
        """Return what the device showed at the instant that is played at `at` [UTC], or None."""
        track = self._tracks.get(device_id)
        if track is None:
            return None
        played = self._origin + (at - self._started) / timedelta(microseconds=1) * self._speed
        index = int(np.searchsorted(track.times, played, side="right")) - 1
        if index < 0 or played - track.times[index] > track.hold:
            return None
        row = track.rows.slice(index, 1).to_pylist()[0]
        return {name: row[name] for name in QUANTITIES if row.get(name) is not None}


def _track(whole: pa.Table, name: str) -> _Track:
    rows = whole.filter(pc.equal(whole["device_id"], name)).combine_chunks()
    times = rows["time"].cast(pa.int64()).to_numpy()
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else 60e6
    return _Track(times, rows, usual * HOLD_STEPS)


def replay_links(
    device_ids: Sequence[str], *, port: int, profile: str = "sungrow_sg_string", cycle_seconds: int = 10
) -> tuple[DeviceLink, ...]:
    """Return links that serve the devices of a file behind loopback gateways of up to 247 unit ids."""
    return tuple(
        DeviceLink(
            device_id=device_id,
            station_id="replay",
            transport=MODBUS_TCP,
            host="127.0.0.1",
            port=port + number // MAX_UNITS,
            unit_id=number % MAX_UNITS + 1,
            profile=profile,
            cycle_seconds=cycle_seconds,
        )
        for number, device_id in enumerate(device_ids)
    )
