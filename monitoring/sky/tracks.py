"""A quantity over time that holds its value from each time to the next."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]
Outputs = NDArray[np.floating[Any]]

UNEVEN_STEPS = 1.5


@dataclass(frozen=True, slots=True)
class Track:
    """A quantity that holds its value from each time to the next: times [s since 1970], and values."""

    times: Floats
    values: Floats

    def at(self, moments: Floats) -> Floats:
        """Return the value in force at moments; NaN before the first."""
        index = np.searchsorted(self.times, moments, side="right") - 1
        values = np.full(len(moments), np.nan)
        known = index >= 0
        values[known] = self.values[index[known]]
        return values

    def means(self, edges: Floats) -> tuple[Floats, Floats]:
        """Return the mean between neighbouring edges over the time in which it is known, and that share.

        Both have the shape (edges - 1,); the mean is NaN where nothing is known.
        """
        lengths = np.diff(edges)
        if not len(self.times) or not len(lengths):
            return np.full(len(lengths), np.nan), np.zeros(len(lengths))
        last = max(float(edges[-1]), float(self.times[-1]))
        knots = np.append(self.times, last)
        known = ~np.isnan(self.values)
        steps = np.diff(knots) * known
        sums = np.append(0.0, np.cumsum(steps * np.where(known, self.values, 0.0)))
        spans = np.append(0.0, np.cumsum(steps))
        within = np.diff(np.interp(edges, knots, spans))
        total = np.diff(np.interp(edges, knots, sums))
        means = np.where(within > 0, total / np.maximum(within, 1e-9), np.nan)
        return means, within / np.maximum(lengths, 1e-9)

    def pressed(self) -> "Track":
        """Return the same track without the times at which nothing changes."""
        if not len(self.times):
            return self
        same = (self.values[1:] == self.values[:-1]) | (
            np.isnan(self.values[1:]) & np.isnan(self.values[:-1])
        )
        kept = np.append(True, ~same)
        return Track(self.times[kept], self.values[kept])


NOTHING = Track(np.empty(0), np.empty(0))


def with_gaps(track: Track) -> Track:
    """Return the track with NaN where its source was silent.

    A value speaks until the next one, but over a pause longer than a step and a half only for its own usual
    step.
    """
    if len(track.times) < 2:  # noqa: PLR2004, a step needs two samples
        return track
    steps = np.diff(track.times)
    usual = float(np.median(steps))
    silent = np.flatnonzero(steps > UNEVEN_STEPS * usual)
    ends = np.append(track.times[silent], track.times[-1]) + usual
    times = np.concatenate([track.times, ends])
    values = np.concatenate([track.values, np.full(len(ends), np.nan)])
    order = np.argsort(times, kind="stable")
    return Track(times[order], values[order])
