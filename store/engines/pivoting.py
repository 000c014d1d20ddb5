"""From one series a quantity to whole rows, for servers that keep each quantity as a series of its own.

Pure numpy and Arrow; it knows no server. A row exists where the field `flags` has a value, because every
sample is written with it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from store.engines.batches import Integers
from store.samples import QUANTITIES, SAMPLE_SCHEMA, QuantityKind

FLAGS, RECEIVED = "flags", "received_us"


@dataclass(frozen=True, slots=True)
class Points:
    """Values of one field: devices [one a point, or one name for all], times [us], and values."""

    field: str
    devices: pa.StringArray | str
    times_us: Integers
    values: npt.NDArray[Any]


def whole_rows(parts: Iterable[Points]) -> pa.Table:
    """Return rows of SAMPLE_SCHEMA, ordered by device and time, out of points in any order."""
    fields: dict[str, list[Points]] = {}
    for part in parts:
        fields.setdefault(part.field, []).append(part)
    if FLAGS not in fields:
        return SAMPLE_SCHEMA.empty_table()
    names = pc.unique(pa.concat_arrays([_devices(part) for part in fields[FLAGS]]))
    names = names.take(pc.sort_indices(names))
    everything = np.concatenate([part.times_us for part in fields[FLAGS]])
    low, width = int(everything.min()), int(everything.max()) - int(everything.min()) + 1
    keyed = {name: _keyed(found, names, low, width) for name, found in fields.items()}
    keys = np.unique(keyed[FLAGS][0])
    columns = [_column(name, keys, keyed, names, (low, width)) for name in SAMPLE_SCHEMA.names]
    return pa.table(columns, schema=SAMPLE_SCHEMA)


def _devices(part: Points) -> pa.StringArray:
    if isinstance(part.devices, str):
        return pa.array([part.devices] * len(part.times_us), pa.string())
    return part.devices


def _keyed(
    parts: list[Points], names: pa.StringArray, low: int, width: int
) -> tuple[Integers, npt.NDArray[Any]]:
    """Return keys (device number times width plus time) and values, ordered by key; strangers left out."""
    keys, values = [], []
    for part in parts:
        numbers = pc.index_in(_devices(part), value_set=names).to_numpy(zero_copy_only=False)
        offsets = part.times_us - low
        known = ~np.isnan(numbers.astype(float)) & (offsets >= 0) & (offsets < width)
        keys.append(numbers[known].astype(np.int64) * width + offsets[known])
        values.append(part.values[known])
    joined, cells = np.concatenate(keys), np.concatenate(values)
    order = np.argsort(joined, kind="stable")
    return joined[order], cells[order]


def _column(
    name: str,
    keys: Integers,
    keyed: Mapping[str, tuple[Integers, npt.NDArray[Any]]],
    names: pa.StringArray,
    span: tuple[int, int],
) -> pa.Array:
    low, width = span
    if name == "device_id":
        return names.take(pa.array(keys // width))
    if name == "time":
        return pa.array(keys % width + low).cast(SAMPLE_SCHEMA.field("time").type)
    source = RECEIVED if name == "received_at" else name
    kind = SAMPLE_SCHEMA.field(name).type
    if source not in keyed:
        return pa.nulls(len(keys), kind)
    found, values = keyed[source]
    places = np.searchsorted(found, keys)
    present = np.zeros(len(keys), bool)
    inside = places < len(found)
    present[inside] = found[places[inside]] == keys[inside]
    cells = values[np.where(present, places, 0)]
    if name in QUANTITIES and QUANTITIES[name].kind is QuantityKind.GAUGE:
        return pa.array(cells.astype(np.float64), mask=~present).cast(kind)
    whole = cells if cells.dtype.kind in "iu" else np.rint(cells)
    return pa.array(whole.astype(np.int64), mask=~present).cast(kind)
