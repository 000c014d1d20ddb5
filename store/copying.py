"""Moving history from one time-series store into another.

Owns the order of a copy (day by day, devices in groups), its memory of what is done, and the check: each part
is read back, counted and summed, and a copy whose part differs is refused. It knows no engine.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from store.periods import Period, local_date
from store.problem import Problem, ProblemsError
from store.samples import QUANTITIES, SAMPLE_SCHEMA
from store.series import SeriesStore

DEVICES_AT_ONCE = 200
ROWS_AT_ONCE = 50_000
MILLISECOND_US = 1000
DECIMALS = 6


@dataclass(frozen=True, slots=True)
class CopyOrder:
    """What is copied: devices (all that the source knows when empty), from the first day up to `end`."""

    devices: tuple[str, ...] = ()
    first: date | None = None
    end: date | None = None


@dataclass(frozen=True, slots=True)
class CopyState:
    """How far a copy is: the days done up to `until`, the samples in them, and the sum of their checksums."""

    until: str = ""
    rows: int = 0
    stored: int = 0
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class CopyProgress:
    """What a copy says on its way: the day at hand, days done, days in all, samples so far."""

    day: date
    done: int
    days: int
    rows: int


def checksum(table: pa.Table) -> str:
    """Return a checksum of samples, read in order of device and time.

    Times count to the millisecond and gauges to six decimals, which every engine keeps.
    """
    digest = hashlib.sha256()
    digest.update("\0".join(table.column("device_id").to_pylist()).encode())
    digest.update((table.column("time").cast(pa.int64()).to_numpy() // MILLISECOND_US).tobytes())
    digest.update(table.column("flags").cast(pa.int64()).to_numpy().tobytes())
    for name, quantity in QUANTITIES.items():
        column = table.column(name)
        digest.update(np.asarray(column.is_valid()).tobytes())
        if quantity.arrow_type == pa.float64():
            values = np.round(pc.fill_null(column, 0.0).to_numpy(), DECIMALS) + 0.0
        else:
            values = pc.fill_null(column, 0).cast(pa.int64()).to_numpy()
        digest.update(values.tobytes())
    return digest.hexdigest()


def copy_series(
    source: SeriesStore,
    target: SeriesStore,
    order: CopyOrder,
    *,
    memory: Path,
    on_day: Callable[[CopyProgress], None],
) -> CopyState:
    """Copy samples and check every part; what `memory` says is done is not done again.

    A copy that was stopped goes on with the day at which it was. Raises ProblemsError when a part differs in
    the target, SeriesUnavailableError when a store is away.
    """
    devices = sorted(order.devices or source.latest())
    days = _days(source, order)
    state = _remembered(memory)
    for number, day in enumerate(days):
        if state.until and day.start.isoformat() <= state.until:
            continue
        for position in range(0, len(devices), DEVICES_AT_ONCE):
            state = _copy_part(source, target, (devices[position : position + DEVICES_AT_ONCE], day), state)
        state = replace(state, until=day.start.isoformat())
        _remember(memory, state)
        on_day(CopyProgress(day.start, number + 1, len(days), state.rows))
    memory.unlink(missing_ok=True)
    return state


def _days(source: SeriesStore, order: CopyOrder) -> list[Period]:
    found = source.statistics()
    first = order.first or (local_date(found.oldest) if found.oldest else None)
    last = order.end or (local_date(found.newest) + timedelta(days=1) if found.newest else None)
    if first is None or last is None:
        return []
    return [Period.day(first + timedelta(days=number)) for number in range((last - first).days)]


def _copy_part(
    source: SeriesStore, target: SeriesStore, part: tuple[Sequence[str], Period], state: CopyState
) -> CopyState:
    devices, day = part
    offered = _read(source, devices, (day.start_utc, day.end_utc))
    if not offered.num_rows:
        return state
    stored = 0
    for batch in _batches(offered):
        result = target.write(batch)
        stored += result.stored
        if result.conflicts:
            conflict = result.conflicts[0]
            raise ProblemsError(
                [
                    Problem(
                        f"设备 {conflict.device_id} {conflict.time:%Y-%m-%d %H:%M:%S} UTC",
                        f"{conflict.quantity} 在目标库里是 {conflict.stored}，来源库里是 {conflict.offered}",
                        "查明哪一个对；换一个空的目标库，或用 --device 排除这台设备",
                    )
                ]
            )
    found = _read(target, devices, (day.start_utc, day.end_utc))
    sums = checksum(offered), checksum(found)
    if sums[0] != sums[1]:
        raise ProblemsError([_difference(day, (offered, found), sums)])
    joined = hashlib.sha256((state.checksum + sums[0]).encode()).hexdigest()
    return replace(state, rows=state.rows + offered.num_rows, stored=state.stored + stored, checksum=joined)


def _difference(day: Period, tables: tuple[pa.Table, pa.Table], sums: tuple[str, str]) -> Problem:
    counts = [f"{table.num_rows} 行（{found[:12]}）" for table, found in zip(tables, sums, strict=True)]
    return Problem(
        day.label,
        f"两边不一致：来源 {counts[0]}，目标 {counts[1]}",
        "目标库里可能已有别的数据：换一个空的目标库，再运行一次",
    )


def _read(store: SeriesStore, devices: Sequence[str], interval: tuple[datetime, datetime]) -> pa.Table:
    """Return samples with every quantity; the time stands for that of receipt where the engine has none."""
    names = list(QUANTITIES)
    try:
        table = store.read(devices, *interval, [*names, "received_at"])
    except KeyError:
        table = store.read(devices, *interval, names)
        table = table.append_column("received_at", table.column("time"))
    return table.select(SAMPLE_SCHEMA.names)


def _batches(table: pa.Table) -> Iterator[pa.Table]:
    ordered = table.sort_by([("time", "ascending")])
    for position in range(0, ordered.num_rows, ROWS_AT_ONCE):
        yield ordered.slice(position, ROWS_AT_ONCE)


def _remembered(memory: Path) -> CopyState:
    try:
        return CopyState(**json.loads(memory.read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return CopyState()


def _remember(memory: Path, state: CopyState) -> None:
    fresh = memory.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(state)), encoding="utf-8")
    fresh.replace(memory)
