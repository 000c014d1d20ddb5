"""The time-series interface.

Owns the contract that every engine in `store/engines/` keeps, and `open_series`, the only way to get
one. It knows no device protocol and computes no energy (that is `store.energy`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import pyarrow as pa

from store.problem import ProblemsError
from store.runs import Runs
from store.samples import Sample


class SeriesUnavailableError(OSError):
    """The store cannot take or give samples now (full, unreachable); keep the batch and retry."""


class SeriesAwayError(ProblemsError):
    """The server of the store does not answer at the start; nothing says that a setting is wrong."""


Side = Literal["both", "before", "after"]
"""Which neighbours of a boundary are wanted."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A second, different counter value for a key that is already stored."""

    device_id: str
    time: datetime
    quantity: str
    stored: int
    offered: int


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of a batch: rows stored, rows already there, and conflicting counters."""

    stored: int
    duplicates: int
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True, slots=True)
class Statistics:
    """Size of a store: rows, bytes on disk, oldest and newest sample [UTC]."""

    rows: int
    size_bytes: int
    oldest: datetime | None
    newest: datetime | None


class SeriesStore(Protocol):
    """Samples, unique on (device, time). Intervals are half-open [start, end) in UTC."""

    @property
    def settling(self) -> timedelta:
        """How long after a write the batch must be kept by the caller before it is safe."""

    def write(self, batch: pa.Table) -> WriteResult:
        """Store a batch of SAMPLE_SCHEMA as one durable commit; the same sample twice is one row.

        A second sample of a stored key adds the quantities that the first lacked; a different counter
        is reported as a conflict. Raises SeriesUnavailableError when nothing was stored.
        """

    def latest(self, device_ids: Sequence[str] | None = None) -> Mapping[str, Sample]:
        """Return the newest sample of each device (all devices when None)."""

    def read(
        self, device_ids: Sequence[str], start: datetime, end: datetime, quantities: Sequence[str]
    ) -> pa.Table:
        """Return device_id, time, flags and the chosen quantities, ordered by device and time."""

    def downsample(
        self,
        device_ids: Sequence[str],
        interval: tuple[datetime, datetime],
        step: timedelta,
        quantities: Mapping[str, str],
    ) -> pa.Table:
        """Return device_id, time (start of each step, aligned in Asia/Shanghai) and one column a quantity.

        `quantities` maps a quantity to mean, min, max, first or last.
        """

    def boundary_readings(
        self, device_ids: Sequence[str], quantity: str, boundaries: Sequence[datetime], side: Side = "both"
    ) -> pa.Table:
        """Return per device and boundary the last reading before it and the first at or after it.

        Columns: device_id, boundary, before_time, before_value, after_time, after_value (null if none, or
        where `side` says that it is not wanted).
        """

    def coverage(
        self, device_ids: Sequence[str], interval: tuple[datetime, datetime], step: timedelta
    ) -> pa.Table:
        """Return device_id, received (steps with a sample) and expected (steps of the interval)."""

    def delete_before(self, time: datetime) -> int:
        """Delete raw samples older than `time`; returns the number of rows deleted."""

    def statistics(self) -> Statistics:
        """Return rows, bytes, oldest and newest."""

    def close(self) -> None:
        """Flush and release the store."""


@runtime_checkable
class CopyableSeries(Protocol):
    """A store whose files are this program's own, so that it can be copied while it is in use."""

    def copy_to(self, path: Path) -> None:
        """Write one consistent moment of the store to the file `path`; writers wait meanwhile.

        Raises SeriesUnavailableError when the store cannot be read, OSError when the copy cannot be made.
        """


@runtime_checkable
class CountedSeries(Protocol):
    """A store that can tell runs of counter readings without handing out every reading."""

    def counter_runs(self, device_ids: Sequence[str], quantity: str, start: datetime, end: datetime) -> Runs:
        """Return the runs of all readings on the days of [start, end), whole days in Asia/Shanghai.

        The devices of the runs are places in `device_ids`.
        """


@runtime_checkable
class RetiringSeries(Protocol):
    """A store that keeps 15-minute means where raw samples are deleted."""

    def retire_before(self, time: datetime) -> int:
        """Replace raw samples older than `time` by their means; returns the number of samples deleted.

        Reads of the time before answer with the means, each marked `Flag.MEAN`; a counter keeps the last
        reading of each quarter of an hour.
        """

    def retired_before(self) -> datetime | None:
        """Return the end of the time of which only means are left, None where nothing was retired."""


def open_series(url: str, *, patient: bool = False) -> SeriesStore:
    """Open the engine named by `url` (`duckdb:///FILE`).

    Raises ProblemsError when the address is unknown or the store cannot be opened; where its server only
    does not answer this is SeriesAwayError, or, if `patient`, a store that opens once the server is there.
    """
    from store.engines import open_engine

    return open_engine(url, patient=patient)


def prepare_series(url: str) -> None:
    """Make on its server what the engine named by `url` needs there; running it again changes nothing.

    Raises ProblemsError when the server refuses.
    """
    from store.engines import prepare_engine

    prepare_engine(url)
