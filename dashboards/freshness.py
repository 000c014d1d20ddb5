"""How fresh the figures of a page are, in words.

Owns the sentence “数据更新于 14:32” and when it turns into a warning.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboards.filters import clock_time, duration, moment
from store.periods import local_date

STALE_AFTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Freshness:
    """The sentence, and whether the figures are older than they should be."""

    words: str
    stale: bool


def freshness(newest: datetime | None, now: datetime) -> Freshness:
    """Return how fresh data is whose newest sample was measured at `newest` [UTC]."""
    if newest is None:
        return Freshness("还没有收到数据", stale=True)
    shown = clock_time(newest) if local_date(newest) == local_date(now) else moment(newest)
    if now - newest > STALE_AFTER:
        return Freshness(f"数据停在 {shown}（{duration(now - newest)}前）", stale=True)
    return Freshness(f"数据更新于 {shown}", stale=False)
