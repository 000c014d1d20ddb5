"""The stops of a partition: stretches in which a device did not run for one cause."""

from dataclasses import dataclass

import numpy as np

from monitoring.uptime.causes import OUTAGE_AT_LEAST_H, Cause
from monitoring.uptime.judging.setting import HOUR, Segments

_STOPPING = np.array([cause in {Cause.FORCED, Cause.GRID, Cause.ORDERED} for cause in Cause])
_TOLERANCE_H = 1e-9


@dataclass(frozen=True, slots=True)
class Stop:
    """A stretch in which a device did not run for one cause [s since 1970], with its time in the light [h].

    `position` is the segment that explains it best, `lost_wh` is NaN where nothing tells.
    """

    cause: Cause
    start: float
    end: float
    light_h: float
    position: int
    lost_wh: float
    ongoing: bool


def stops(segments: Segments, at_least_h: float = OUTAGE_AT_LEAST_H) -> list[Stop]:
    """Return the stops of a partition with at least so much time in the light [h], in order.

    A stop goes on through the night when the device does not run before the next stretch of the cause.
    """
    lit = np.flatnonzero(segments.causes != Cause.DARK)
    if not len(lit):
        return []
    causes, lengths = segments.causes[lit], segments.lengths[lit]
    firsts = np.concatenate([[0], np.flatnonzero(np.diff(causes)) + 1])
    lasts = np.concatenate([firsts[1:], [len(lit)]]) - 1
    light_h = np.add.reduceat(lengths, firsts) / HOUR
    wanted = _STOPPING[causes[firsts]] & (light_h >= at_least_h - _TOLERANCE_H)
    found = []
    for number in np.flatnonzero(wanted):
        mine = slice(firsts[number], lasts[number] + 1)
        found.append(
            Stop(
                Cause(int(causes[firsts[number]])),
                float(segments.edges[lit[firsts[number]]]),
                float(segments.edges[lit[lasts[number]] + 1]),
                float(light_h[number]),
                int(lit[mine][np.argmax(lengths[mine])]),
                float(segments.lost_wh[lit[mine]].sum()),
                bool(lasts[number] == len(lit) - 1),
            )
        )
    return found
