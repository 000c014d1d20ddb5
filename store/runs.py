"""Runs of counter readings: stretches in which a counter was read without pause.

Owns how readings are cut into runs and what a run says about its readings. A clean run rises or stands still
from its first to its last reading, and has no reading of zero or less. Pure numpy, no store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa

from store.counters import DAY, GAP, MICROSECOND, SHANGHAI_OFFSET, Integers

SHANGHAI_DAY_SQL = f"(({{}}) + {SHANGHAI_OFFSET}) // {DAY}"
PAUSE = GAP // MICROSECOND


def shanghai_day(times: Integers) -> Integers:
    """Return the number of the day in Asia/Shanghai [days since 1970] of each instant [us]."""
    days: Integers = (times + SHANGHAI_OFFSET) // DAY
    return days


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs, ordered by device and start; each array of shape (runs,).

    `start`, `finish` [us] and `first`, `last` [Wh] are the first and last reading; `largest` [Wh] is the
    largest step between neighbouring readings; `clean` is 1 for a clean run.
    """

    device: Integers
    start: Integers
    first: Integers
    finish: Integers
    last: Integers
    largest: Integers
    clean: Integers

    @classmethod
    def none(cls) -> "Runs":
        """Return no runs."""
        return cls(*(np.empty(0, np.int64) for _ in range(7)))

    @classmethod
    def joined(cls, parts: Sequence["Runs"], places: Mapping[int, int]) -> "Runs":
        """Return runs as one, ordered, their devices renumbered; those of other devices are left out."""
        if not parts:
            return cls.none()
        columns = [np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(cls)]
        size = max(int(columns[0].max(initial=0)), *places) + 1
        place = np.full(size, -1, np.int64)
        place[list(places)] = list(places.values())
        columns[0] = place[columns[0]]
        order = np.lexsort((columns[1], columns[0]))
        order = order[columns[0][order] >= 0]
        return cls(*(column[order] for column in columns))

    def table(self, day: int, quantity: int) -> pa.Table:
        """Return the runs of a day as a table, with the day's and the quantity's number."""
        columns = {item.name: getattr(self, item.name) for item in fields(self)}
        count = len(self.device)
        columns["clean"] = columns["clean"].astype(np.bool_)
        return pa.table({"day": np.full(count, day), "quantity": np.full(count, quantity), **columns})


def runs_of(device: Integers, times: Integers, values: Integers) -> Runs:
    """Cut readings, in any order, into runs that end at a pause over GAP and at midnight in Shanghai."""
    if not len(times):
        return Runs.none()
    order = np.argsort(device.astype(np.int16) if int(device.max()) < 2**15 else device, kind="stable")
    device, times, values = device[order], times[order], values[order]
    pause = np.diff(times)
    same = np.diff(device) == 0
    if bool((pause[same] <= 0).any()):
        order = np.lexsort((times, device))
        device, times, values = device[order], times[order], values[order]
        pause = np.diff(times)
    broken = ~same | (pause > PAUSE) | (np.diff(shanghai_day(times)) != 0)
    begin = np.flatnonzero(np.append([True], broken))
    end = np.append(begin[1:] - 1, len(times) - 1)
    rise = np.append([0], np.where(broken, 0, np.diff(values)))
    largest = np.maximum.reduceat(rise, begin)
    falls = np.minimum.reduceat(rise, begin)
    clean = (falls >= 0) & (values[begin] > 0)
    return Runs(
        device[begin], times[begin], values[begin], times[end], values[end], largest, clean.astype(np.int64)
    )
