"""What is needed beside a device's own runs to judge a period of it, and the partition that comes out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitoring.sky.tracks import NOTHING, Flags, Floats, Track
from monitoring.uptime.told import Codes

Integers = NDArray[np.int64]

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch [start, end) [s since 1970] of announced work, of a dispatch order, or of majeure."""

    start: float
    end: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is needed beside a device's own runs to judge its period [start, end) [s since 1970].

    `light` is 1 where there was enough light, 0 where not, NaN where nothing tells; `expected` is what the
    device should have given as a fraction of rated power (empty when unknown), `usual` what stands for it in
    a loss where nothing tells, `output` what it gave where it was heard. `planned`, `ordered` and `majeure`
    are what stands in the records. `finest_wh` is the smallest gain that its counter can tell.
    """

    start: float
    end: float
    rated_power_w: float
    light: Track
    expected: Track = NOTHING
    planned: Sequence[Span] = ()
    ordered: Sequence[Span] = ()
    majeure: Sequence[Span] = ()
    finest_wh: float = 0.0
    output: Track = NOTHING
    usual: Track = NOTHING


@dataclass(frozen=True, slots=True)
class Segments:
    """A partition of a period: edges [s since 1970] (n + 1), and n of everything else.

    `causes`, `reasons` (`Reason`), whether data were received, whether there was light, and the number of
    the note in `notes` or -1. `lost_wh` is per segment [Wh]; `doubt_s` is how much of a segment that had no
    data and was decided may have been otherwise [s].
    """

    edges: Floats
    causes: Codes
    reasons: Codes
    received: Flags
    note: Integers
    notes: tuple[str, ...]
    lost_wh: Floats
    doubt_s: Floats

    @property
    def lengths(self) -> Floats:
        """Length of each segment [s]."""
        return np.diff(self.edges)
