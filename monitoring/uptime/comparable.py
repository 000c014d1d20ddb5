"""What the machines of some plants should have given: the one source of expected output and of every loss.

Pure. Owns who is compared with whom: plants with each other where there are enough of them, else machines of
one plant. Availability, outages and alarms all take what was lost from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.sky.expected import (
    WITNESSES_AT_LEAST,
    filled_by_time_of_day,
    grouped_means,
    median_of,
    medians,
    medians_of_others,
    usual_ratio,
)
from monitoring.sky.tracks import NOTHING, Floats, Outputs, Track

COMPARABLE_AT_LEAST = 4


@dataclass(frozen=True, slots=True)
class Expected:
    """What a machine should have given as a fraction of rated power.

    `told` is known where comparable machines reported; `usual` has the same time of other days where they
    did not, so that a loss of the whole county's grid has its price.
    """

    told: Track = NOTHING
    usual: Track = NOTHING


@dataclass(frozen=True, slots=True)
class Comparable:
    """The outputs of the machines of some plants, and what the other plants gave.

    `outputs` (machines, slots) are as in `Gathered`; `rows` are the machines of each plant; `others` (plants,
    slots) is the median of the other plants, NaN where too few reported.
    """

    slots: Floats
    outputs: Outputs
    rows: Sequence[range]
    others: Floats

    def neighbours(self, plant: int) -> Track:
        """Return what the other plants gave."""
        others = self.others[plant]
        return NOTHING if np.isnan(others).all() else Track(self.slots, others)

    def own(self, plant: int) -> Track:
        """Return the median output of a plant's own machines."""
        return Track(self.slots, median_of(self.outputs[list(self.rows[plant])]))

    def expected(self, plant: int) -> tuple[Expected, ...]:
        """Return what each machine of a plant should have given, as it usually stands to the others."""
        members = list(self.rows[plant])
        outputs = self.outputs[members]
        if not np.isnan(self.others[plant]).all():
            base = np.broadcast_to(self.others[plant], outputs.shape)
        elif len(members) >= COMPARABLE_AT_LEAST:
            base = medians_of_others(outputs)
        else:
            return (Expected(),) * len(members)
        return tuple(scaled(self.slots, given, output) for given, output in zip(base, outputs, strict=True))


def comparable(slots: Floats, outputs: Outputs, rows: Sequence[range], rated: Floats) -> Comparable:
    """Return the comparison of plants; `rated` [W] is per machine."""
    return Comparable(slots, outputs, rows, _others(outputs, rows, rated))


def scaled(slots: Floats, given: Floats, output: Outputs) -> Expected:
    """Return what others gave, times how the machine usually stands to them."""
    told = (given * usual_ratio(output, given)).astype(np.float64)
    usual = told if not np.isnan(told).any() else filled_by_time_of_day(slots, told)
    return Expected(Track(slots, told), Track(slots, usual))


def _others(outputs: Outputs, rows: Sequence[range], rated: Floats) -> Floats:
    """Return for each plant the median output of the others, NaN where fewer than three reported.

    With few plants the machines of the others are asked one by one.
    """
    if len(rows) >= COMPARABLE_AT_LEAST:
        return medians_of_others(grouped_means(outputs, rows, rated))
    found = np.full((len(rows), outputs.shape[1]), np.nan)
    for number, members in enumerate(rows):
        apart = np.delete(outputs, list(members), axis=0)
        if len(apart):
            middle, counts = medians(apart)
            found[number] = np.where(counts >= WITNESSES_AT_LEAST, middle, np.nan)
    return found
