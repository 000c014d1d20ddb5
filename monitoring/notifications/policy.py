"""When something is told: digest, quiet hours, the pause between messages, and trying again.

Pure. Owns the arithmetic of times only.
"""

from datetime import datetime, timedelta

from store.periods import SHANGHAI, local_midnight

DAY_MINUTES = 1440
PAUSE = timedelta(minutes=5)
"""The shortest time between two messages to one subscription, whatever happens."""
LEASE = timedelta(minutes=10)
"""How long a sender may take; after that the message is tried again."""
WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720))
"""How long to wait after the first, second … failure; after the last a message is given up."""

Quiet = tuple[int, int]
"""Quiet hours as minutes after midnight [from, until); they may go past midnight."""


def minute_of_day(moment: datetime) -> int:
    """Return the minutes after midnight in Asia/Shanghai."""
    local = moment.astimezone(SHANGHAI)
    return local.hour * 60 + local.minute


def is_quiet(moment: datetime, quiet: Quiet | None) -> bool:
    """Tell whether a moment lies in the quiet hours; equal limits are no quiet hours."""
    if quiet is None or quiet[0] == quiet[1]:
        return False
    begin, end = quiet
    minute = minute_of_day(moment)
    return begin <= minute < end if begin < end else minute >= begin or minute < end


def after_quiet(moment: datetime, quiet: Quiet | None) -> datetime:
    """Return the moment itself, or the end of the quiet hours in which it lies."""
    if quiet is None or not is_quiet(moment, quiet):
        return moment
    midnight = local_midnight(moment.astimezone(SHANGHAI).date())
    end = midnight + timedelta(minutes=quiet[1])
    return end if end > moment else end + timedelta(days=1)


def due(moment: datetime, digest_minutes: int, quiet: Quiet | None) -> datetime:
    """Return when news of `moment` is told: at the end of its digest, but not in quiet hours.

    Digests lie on the clock of Asia/Shanghai, so that all news of one window is told together; one of a
    whole day ends at 08:00.
    """
    if not digest_minutes:
        return after_quiet(moment, quiet)
    midnight = local_midnight(moment.astimezone(SHANGHAI).date())
    if digest_minutes == DAY_MINUTES:
        morning = midnight + timedelta(hours=8)
        return after_quiet(morning if morning > moment else morning + timedelta(days=1), quiet)
    windows = (moment - midnight) // timedelta(minutes=digest_minutes) + 1
    return after_quiet(midnight + windows * timedelta(minutes=digest_minutes), quiet)


def next_try(attempts: int, now: datetime) -> datetime | None:
    """Return when a message that failed `attempts` times is tried again, None when it is given up."""
    return now + WAITS[attempts - 1] if attempts <= len(WAITS) else None
