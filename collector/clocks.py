"""Clocks of devices that push: which one is wrong, told from how old live messages always are.

A message ahead of our time is impossible and needs no watching (`payloads.values`). One that is old may be
history that comes late, or live data under a clock that is behind: history gets younger while it drains, a
wrong clock stays wrong by the same span. Pure state, no clock of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from store.quality import Flag
from store.samples import Sample

FRESH = timedelta(minutes=10)
STEADY = timedelta(seconds=90)
WATCHED = timedelta(minutes=10)
ENOUGH_MESSAGES = 5
HOUR = timedelta(hours=1)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Suspicion:
    """The same age [as of `since`] over and over; `offset` once it is certain, rounded to whole hours."""

    age: timedelta
    since: datetime
    messages: int = 1
    certain: bool = False

    @property
    def whole_hours(self) -> bool:
        """Whether the clock shows the time of another zone."""
        hours = round(self.age / HOUR)
        return hours > 0 and abs(self.age - hours * HOUR) <= STEADY


class ClockWatch:
    """Watches the clocks of many devices; `known` are the wrong ones [s behind] from before a restart."""

    def __init__(self, known: Mapping[str, int]) -> None:
        self._suspicions = {
            device_id: _Suspicion(timedelta(seconds=seconds), LONG_AGO, ENOUGH_MESSAGES, certain=True)
            for device_id, seconds in known.items()
        }

    @property
    def suspects(self) -> bool:
        """Whether any clock is under suspicion."""
        return bool(self._suspicions)

    def judge(self, samples: list[Sample]) -> tuple[list[Sample], dict[str, int]]:
        """Return the samples of one device in one message as they should be kept, and what was found out.

        Under a clock that is known to be wrong they are flagged; where it shows the time of another zone the
        newest is moved to its time of receipt and the others with it. The findings are seconds behind by
        device, 0 for a clock that is right again.
        """
        if not samples:
            return samples, {}
        newest = max(samples, key=lambda sample: sample.time)
        before = self._suspicions.get(newest.device_id)
        now = self._look(before, newest)
        if now is None:
            self._suspicions.pop(newest.device_id, None)
            return samples, {newest.device_id: 0} if before is not None and before.certain else {}
        self._suspicions[newest.device_id] = now
        found = {}
        if now.certain and not (before is not None and before.certain):
            found = {newest.device_id: round(now.age.total_seconds())}
        return [_mended(sample, now, newest) for sample in samples] if now.certain else samples, found

    @staticmethod
    def _look(before: _Suspicion | None, newest: Sample) -> _Suspicion | None:
        """Return what the newest sample of a message makes of a suspicion; None for a sound clock."""
        age = newest.received_at - newest.time
        if age < FRESH:
            return None
        if before is None or abs(age - before.age) > STEADY:
            return _Suspicion(age, newest.received_at)
        if before.certain:
            return before
        seen = replace(before, messages=before.messages + 1)
        lasted = newest.received_at - before.since
        return replace(seen, certain=seen.messages >= ENOUGH_MESSAGES and lasted >= WATCHED)


def _mended(sample: Sample, suspicion: _Suspicion, newest: Sample) -> Sample:
    flags = sample.flags | int(Flag.CLOCK)
    if not suspicion.whole_hours:
        return replace(sample, flags=flags)
    behind = newest.received_at - newest.time
    return replace(sample, time=sample.time + behind, flags=flags)
