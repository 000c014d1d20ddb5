"""How long something that fails is left alone.

Owns the pauses between tries of a device or a line: doubling, jittered, and never more tries in an hour than
a device that serves one master bears. Pure, but for the dice; instants are the caller's monotonic clock.
"""

import math
import random
from collections import deque

HOUR = 3600.0
USUAL_LONGEST = 300.0
_LONGEST_DOUBLING = 16
_chance = random.SystemRandom()


class Backoff:
    """The pauses of one device or line; `longest` is the longest usual pause [s].

    Pauses double from one cycle to `longest`. There are at most an hour's worth of the longest pauses in any
    hour, 12 of 300 s: the quick first tries are paid for by longer pauses in the rest of their hour.
    """

    def __init__(self, longest: float = USUAL_LONGEST) -> None:
        self.failures = 0
        self.not_before = 0.0
        self._longest = longest
        self._tries: deque[float] = deque(maxlen=max(math.ceil(HOUR / max(longest, 1.0)), 1))

    def failed(self, now: float, cycle: float) -> None:
        """Note a try that failed at an instant [s] of something that is due every `cycle` seconds."""
        self.failures += 1
        self._tries.append(now)
        # The first failure costs nothing: the next cycle is a fair second chance.
        doubled = cycle * float(1 << min(self.failures - 1, _LONGEST_DOUBLING))
        wait = min(doubled, max(self._longest, cycle))
        if wait > cycle:
            wait *= _chance.uniform(0.8, 1.2)
        left = (self._tries.maxlen or 1) - len(self._tries)
        rest = self._tries[0] + HOUR - now
        if doubled >= self._longest and left:
            wait = max(wait, rest / left)
        # Tries come at whole cycles only; half of one makes the nearest of them the next.
        self.not_before = now + max(wait - cycle * 0.5, 0.0 if left else rest)

    def succeeded(self) -> None:
        """Forget failures: the next try may come in the next cycle."""
        self.failures = 0
        self.not_before = 0.0
        self._tries.clear()
