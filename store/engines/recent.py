"""What this process has just sent to a server that shows it only a moment later.

Owns those rows for the short time, so that whether a sample is new does not depend on what the server's
index shows already. Pure Arrow; it knows no server.
"""

from collections import deque
from collections.abc import Sequence
from time import monotonic

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from store.engines.batches import times_us

KEPT_SECONDS = 30.0
KEPT_ROWS = 200_000
"""The most rows that are remembered, some 60 MB; the oldest go first."""


class RecentRows:
    """Rows of SAMPLE_SCHEMA by the moment at which they were sent."""

    def __init__(self) -> None:
        self._sent: deque[tuple[float, pa.Table]] = deque()
        self._rows = 0

    def __bool__(self) -> bool:
        """Tell whether anything was sent lately."""
        self._forget()
        return bool(self._sent)

    def add(self, table: pa.Table) -> None:
        """Remember rows that the server has taken."""
        self._sent.append((monotonic(), table))
        self._rows += table.num_rows
        self._forget()

    def _forget(self) -> None:
        limit = monotonic() - KEPT_SECONDS
        while self._sent and (self._sent[0][0] < limit or self._rows > KEPT_ROWS):
            self._rows -= self._sent.popleft()[1].num_rows

    def over(self, shown: pa.Table, device_ids: Sequence[str], span_us: tuple[int, int]) -> pa.Table:
        """Return what the server shows of some devices in [low, high) [us], completed by what was sent.

        A key that was sent twice is as it was sent last; ordered by device and time.
        """
        self._forget()
        wanted = pa.array(sorted(set(device_ids)), pa.string())
        found = [part for _, sent in self._sent if (part := _within(sent, wanted, span_us)).num_rows]
        if not found:
            return shown
        rows = pa.concat_tables([shown, *found]).combine_chunks()
        ids = rows.column("device_id").combine_chunks().dictionary_encode()
        ranks = np.argsort(np.argsort(np.array(ids.dictionary.to_pylist(), object)))
        devices, times = ranks[ids.indices.to_numpy()], times_us(rows)
        order = np.lexsort((np.arange(rows.num_rows), times, devices))
        last = np.ones(len(order), bool)
        last[:-1] = (np.diff(devices[order]) != 0) | (np.diff(times[order]) != 0)
        return rows.take(pa.array(order[last]))


def _within(table: pa.Table, wanted: pa.StringArray, span_us: tuple[int, int]) -> pa.Table:
    times = times_us(table)
    inside = (times >= span_us[0]) & (times < span_us[1])
    if not inside.any():
        return table.slice(0, 0)
    return table.filter(pc.and_(pa.array(inside), pc.is_in(table.column("device_id"), value_set=wanted)))
