"""Down-sampling and coverage over rows that an engine has read, for engines that do not do it themselves.

Pure Arrow and numpy; it knows no engine.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from store.engines.batches import COVERAGE_SCHEMA, downsample_schema, expected_steps, microseconds, times_us

SHANGHAI_OFFSET_US = 8 * 3600 * 1_000_000


def downsampled(table: pa.Table, step: timedelta, quantities: Mapping[str, str]) -> pa.Table:
    """Aggregate rows (device_id, time and the quantities, ordered by both) per device and aligned step."""
    schema = downsample_schema(list(quantities.items()))
    if not table.num_rows:
        return schema.empty_table()
    width = step // timedelta(microseconds=1)
    buckets = (times_us(table) + SHANGHAI_OFFSET_US) // width * width - SHANGHAI_OFFSET_US
    keyed = table.select(["device_id", *quantities]).append_column("time", pa.array(buckets))
    groups = keyed.select(["device_id", "time"]).group_by(["device_id", "time"], use_threads=False)
    result = groups.aggregate([])
    for name, method in quantities.items():
        present = keyed.select(["device_id", "time", name]).filter(pc.is_valid(keyed.column(name)))
        grouped = present.group_by(["device_id", "time"], use_threads=False).aggregate([(name, method)])
        joined = result.select(["device_id", "time"]).join(grouped, ["device_id", "time"])
        joined = joined.sort_by([("device_id", "ascending"), ("time", "ascending")])
        result = result.sort_by([("device_id", "ascending"), ("time", "ascending")])
        result = result.append_column(name, joined.column(f"{name}_{method}"))
    result = result.sort_by([("device_id", "ascending"), ("time", "ascending")])
    columns = [result.column(field.name).cast(field.type) for field in schema]
    return pa.table(columns, schema=schema)


def covered(
    table: pa.Table, device_ids: Sequence[str], interval: tuple[datetime, datetime], step: timedelta
) -> pa.Table:
    """Count per device the steps of the interval in which there is a row (device_id, time)."""
    width = step // timedelta(microseconds=1)
    steps = (times_us(table) - microseconds(interval[0])) // width
    names = np.asarray(table.column("device_id").to_pylist(), dtype=object)
    ids = list(dict.fromkeys(device_ids))
    received = [len(np.unique(steps[names == device_id])) for device_id in ids]
    return pa.table([ids, received, [expected_steps(interval, step)] * len(ids)], schema=COVERAGE_SCHEMA)
