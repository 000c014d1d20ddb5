"""How long a notice hangs: calendar days, or working days of the Chinese calendar with a county's changes.

Owns the reckoning of the last day of a notice. The library's calendar ends with the last published year;
a county's own list of days off and days of work overrides it and reaches further. Pure.
"""

from collections.abc import Mapping
from datetime import date, timedelta

import chinese_calendar

_SATURDAY = 5


def is_working_day(day: date, overrides: Mapping[date, bool] | None = None) -> bool:
    """Tell whether a day is worked: the county's word, else the published calendar, else Monday to Friday."""
    if overrides and day in overrides:
        return overrides[day]
    try:
        return bool(chinese_calendar.is_workday(day))
    except RuntimeError:  # NotImplemented, for a year that the package does not know yet
        return day.weekday() < _SATURDAY


def last_day(
    opens_on: date, days: int, *, working: bool, overrides: Mapping[date, bool] | None = None
) -> date:
    """Return the last day of a notice that hangs for `days` days, the first one counted.

    With `working` only working days count. Raises ValueError when it would hang for no day.
    """
    if days < 1:
        raise ValueError("a notice hangs for at least one day")
    if not working:
        return opens_on + timedelta(days=days - 1)
    day, left = opens_on, days
    while True:
        left -= is_working_day(day, overrides)
        if left <= 0:
            return day
        day += timedelta(days=1)
