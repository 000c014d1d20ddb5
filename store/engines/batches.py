"""What every engine does with a batch before it stores it: shape, uniqueness, conflicts.

Owns the comparison of offered rows with each other and with stored rows. Pure Arrow and numpy: it knows
no engine. A key is (device, time); the first value of a quantity stays, a quantity that the first row
lacks is taken from the second, and a different counter is a conflict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from store.samples import QUANTITIES, SAMPLE_SCHEMA, QuantityKind
from store.series import Conflict

KEYS = ("device_id", "time", "received_at", "flags")
COUNTERS = tuple(name for name, quantity in QUANTITIES.items() if quantity.kind is QuantityKind.COUNTER)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

Integers = npt.NDArray[np.int64]


def microseconds(moment: datetime) -> int:
    """Return the exact microseconds since 1970 [UTC] of an aware instant."""
    return (moment - EPOCH) // MICROSECOND


def instant(value: int) -> datetime:
    """Return the instant [UTC] of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=value)


def shaped(batch: pa.Table) -> pa.Table:
    """Return the batch with exactly the columns of SAMPLE_SCHEMA; absent quantities become null.

    Raises KeyError for an unknown column and ValueError for a null key.
    """
    if batch.schema.equals(SAMPLE_SCHEMA):
        table = batch
    else:
        unknown = [name for name in batch.column_names if name not in SAMPLE_SCHEMA.names]
        if unknown:
            raise KeyError(f"unknown quantities: {', '.join(unknown)}")
        columns = [
            batch.column(field.name).cast(field.type)
            if field.name in batch.column_names
            else pa.nulls(batch.num_rows, field.type)
            for field in SAMPLE_SCHEMA
        ]
        table = pa.table(columns, schema=SAMPLE_SCHEMA)
    for name in KEYS:
        if table.column(name).null_count:
            raise ValueError(f"a sample without {name} cannot be stored")
    return table.combine_chunks()


def times_us(table: pa.Table, column: str = "time") -> Integers:
    """Return a column of instants as microseconds since 1970, shape (rows,) [us]."""
    values: Integers = table.column(column).cast(pa.int64()).to_numpy()
    return values


def rounds(numbers: Integers, times: Integers) -> list[Integers]:
    """Return the rows in rounds: first every key's first row, then every repeated key's second, and so on.

    Storing round by round gives what storing row by row would give.
    """
    rows = np.arange(len(times))
    if _all_different(numbers, times):
        return [rows]
    order = np.lexsort((rows, times, numbers))
    same = (numbers[order][1:] == numbers[order][:-1]) & (times[order][1:] == times[order][:-1])
    starts = np.maximum.accumulate(np.where(np.concatenate(([True], ~same)), rows, 0))
    turn = np.empty(len(rows), np.int64)
    turn[order] = rows - starts
    return [np.flatnonzero(turn == number) for number in range(int(turn.max()) + 1)]


def _all_different(numbers: Integers, times: Integers) -> bool:
    base = int(times.min())
    span = int(times.max()) - base + 1
    if span * (int(numbers.max()) + 1) >= 2**62:
        return False
    keys = np.sort(numbers * span + (times - base))
    return bool((keys[1:] != keys[:-1]).all())


@dataclass(frozen=True, slots=True)
class Merge:
    """Offered rows against the rows that hold their keys already.

    `merged` holds the stored rows as they are to be after the merge, of which only `changed` (positions)
    differ from what is stored.
    """

    conflicts: tuple[Conflict, ...]
    merged: pa.Table
    changed: tuple[int, ...]


def merge(stored: pa.Table, offered: pa.Table) -> Merge:
    """Compare row by row two tables of SAMPLE_SCHEMA with the same keys in the same order."""
    conflicts: list[Conflict] = []
    changed: set[int] = set()
    columns: list[Any] = []
    for name in SAMPLE_SCHEMA.names:
        old, new = stored.column(name).combine_chunks(), offered.column(name).combine_chunks()
        if name in KEYS:
            columns.append(old)
            continue
        gained = np.flatnonzero(np.asarray(old.is_null()) & np.asarray(new.is_valid()))
        changed.update(int(row) for row in gained)
        columns.append(pc.coalesce(old, new) if len(gained) else old)
        if name in COUNTERS:
            differs = pc.fill_null(pc.not_equal(old, new), False)
            conflicts.extend(
                _conflict(stored, int(row), name, (old[row].as_py(), new[row].as_py()))
                for row in np.flatnonzero(np.asarray(differs))
            )
    return Merge(tuple(conflicts), pa.table(columns, schema=SAMPLE_SCHEMA), tuple(sorted(changed)))


def _conflict(stored: pa.Table, row: int, quantity: str, values: tuple[int, int]) -> Conflict:
    key = stored.slice(row, 1).select(["device_id", "time"]).to_pylist()[0]
    return Conflict(key["device_id"], key["time"], quantity, values[0], values[1])


def expected_steps(interval: tuple[datetime, datetime], step: timedelta) -> int:
    """Return how many steps the interval holds; a begun step counts."""
    return max(0, -((interval[0] - interval[1]) // step))


def downsample_type(quantity: str, method: str) -> pa.DataType:
    """Return the type of an aggregated quantity: a mean is a double, the rest keep their type.

    Raises KeyError for an unknown quantity and ValueError for an unknown method.
    """
    if method not in {"mean", "min", "max", "first", "last"}:
        raise ValueError(f"{method} is no way to down-sample: mean, min, max, first or last")
    return pa.float64() if method == "mean" else QUANTITIES[quantity].arrow_type


def downsample_schema(quantities: Sequence[tuple[str, str]]) -> pa.Schema:
    """Return the columns that down-sampling gives for pairs of quantity and method."""
    return pa.schema(
        [
            pa.field("device_id", pa.string()),
            pa.field("time", pa.timestamp("us", tz="UTC")),
            *(pa.field(name, downsample_type(name, method)) for name, method in quantities),
        ]
    )


BOUNDARY_SCHEMA = pa.schema(
    [
        pa.field("device_id", pa.string()),
        pa.field("boundary", pa.timestamp("us", tz="UTC")),
        pa.field("before_time", pa.timestamp("us", tz="UTC")),
        pa.field("before_value", pa.int64()),
        pa.field("after_time", pa.timestamp("us", tz="UTC")),
        pa.field("after_value", pa.int64()),
    ]
)

Nearest = Mapping[str, tuple[datetime, int]]
"""Time and value of a reading per device."""


def boundary_table(
    device_ids: Sequence[str], boundaries: Sequence[datetime], nearest: Sequence[tuple[Nearest, Nearest]]
) -> pa.Table:
    """Return the readings before and after each boundary as one table of BOUNDARY_SCHEMA."""
    absent = (None, None)
    rows = [
        (device_id, boundary, *before.get(device_id, absent), *after.get(device_id, absent))
        for boundary, (before, after) in zip(boundaries, nearest, strict=True)
        for device_id in device_ids
    ]
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [[] for _ in BOUNDARY_SCHEMA]
    arrays = [pa.array(cells, field.type) for cells, field in zip(columns, BOUNDARY_SCHEMA, strict=True)]
    return pa.table(arrays, schema=BOUNDARY_SCHEMA)


COVERAGE_SCHEMA = pa.schema(
    [
        pa.field("device_id", pa.string()),
        pa.field("received", pa.int64()),
        pa.field("expected", pa.int64()),
    ]
)


def read_schema(quantities: Sequence[str]) -> pa.Schema:
    """Return the columns of a read: device_id, time, flags and the quantities; KeyError if unknown."""
    return pa.schema(
        [
            pa.field("device_id", pa.string()),
            pa.field("time", pa.timestamp("us", tz="UTC")),
            pa.field("flags", pa.int32()),
            *(pa.field(name, QUANTITIES[name].arrow_type) for name in quantities),
        ]
    )
