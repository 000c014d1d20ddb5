"""Day, month, quarter, half-year and year in Asia/Shanghai, half-open.

Owns the only arithmetic between calendar periods and UTC instants. Instants are always aware and in
UTC; a calendar date always means a day in Asia/Shanghai.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Self
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")

Clock = Callable[[], datetime]
"""Tells the present instant, aware and in UTC. Code below the composition root never asks the system."""


class PeriodKind(StrEnum):
    """The calendar periods that money and energy are counted in."""

    DAY = "day"
    MONTH = "month"
    QUARTER = "quarter"
    HALF_YEAR = "half_year"
    YEAR = "year"


_MONTHS = {PeriodKind.MONTH: 1, PeriodKind.QUARTER: 3, PeriodKind.HALF_YEAR: 6, PeriodKind.YEAR: 12}
_PATTERN = re.compile(r"^(\d{4})(?:-(?:Q([1-4])|H([12])|(\d{2})(?:-(\d{2}))?))?$")


def _months_later(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def local_midnight(day: date) -> datetime:
    """Return the instant [UTC] at which `day` begins in Asia/Shanghai."""
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI).astimezone(UTC)


def local_date(instant: datetime) -> date:
    """Return the calendar day in Asia/Shanghai in which an aware `instant` lies.

    Raises ValueError for a naive instant.
    """
    if instant.tzinfo is None:
        raise ValueError("an instant without a time zone cannot be placed in a period")
    return instant.astimezone(SHANGHAI).date()


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A half-open calendar period [start, end) of days in Asia/Shanghai."""

    start: date
    end: date
    kind: PeriodKind

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `2026`, `2026-H1`, `2026-Q4`, `2026-10` or `2026-10-05`; raises ValueError otherwise."""
        match = _PATTERN.match(text.strip())
        if match is None:
            raise ValueError(f"“{text}” is no period: write 2026, 2026-H1, 2026-Q4, 2026-10 or 2026-10-05")
        year = int(match[1])
        if match[5]:
            return cls.day(date(year, int(match[4]), int(match[5])))
        if match[4]:
            return cls._of(date(year, int(match[4]), 1), PeriodKind.MONTH)
        if match[2]:
            return cls._of(date(year, 3 * int(match[2]) - 2, 1), PeriodKind.QUARTER)
        if match[3]:
            return cls._of(date(year, 6 * int(match[3]) - 5, 1), PeriodKind.HALF_YEAR)
        return cls._of(date(year, 1, 1), PeriodKind.YEAR)

    @classmethod
    def _of(cls, start: date, kind: PeriodKind) -> Self:
        return cls(start, _months_later(start, _MONTHS[kind]), kind)

    @classmethod
    def day(cls, day: date) -> Self:
        """Return the period of one calendar day."""
        return cls(day, day + timedelta(days=1), PeriodKind.DAY)

    @classmethod
    def month_of(cls, moment: date | datetime) -> Self:
        """Return the month in which a day, or an aware instant, lies."""
        day = local_date(moment) if isinstance(moment, datetime) else moment
        return cls._of(day.replace(day=1), PeriodKind.MONTH)

    @classmethod
    def year_of(cls, day: date) -> Self:
        """Return the calendar year in which a day lies."""
        return cls._of(date(day.year, 1, 1), PeriodKind.YEAR)

    @property
    def start_utc(self) -> datetime:
        """First instant of the period [UTC]."""
        return local_midnight(self.start)

    @property
    def end_utc(self) -> datetime:
        """First instant after the period [UTC]."""
        return local_midnight(self.end)

    @property
    def day_count(self) -> int:
        """Number of calendar days."""
        return (self.end - self.start).days

    def contains(self, day: date) -> bool:
        """Tell whether a calendar day lies in the period."""
        return self.start <= day < self.end

    def days(self) -> Iterator["Period"]:
        """Yield the days of the period in order."""
        for offset in range(self.day_count):
            yield Period.day(self.start + timedelta(days=offset))

    def months(self) -> Iterator["Period"]:
        """Yield the months that begin in the period, in order."""
        month = Period.month_of(self.start)
        while month.start < self.end:
            if month.start >= self.start:
                yield month
            month = month.next()

    def next(self) -> "Period":
        """Return the following period of the same kind."""
        if self.kind is PeriodKind.DAY:
            return Period.day(self.end)
        return Period._of(self.end, self.kind)

    def previous(self) -> "Period":
        """Return the preceding period of the same kind."""
        if self.kind is PeriodKind.DAY:
            return Period.day(self.start - timedelta(days=1))
        return Period._of(_months_later(self.start, -_MONTHS[self.kind]), self.kind)

    @property
    def label(self) -> str:
        """The period in Chinese words, as 2026年10月."""
        year = f"{self.start.year}年"
        if self.kind is PeriodKind.DAY:
            return f"{year}{self.start.month}月{self.start.day}日"
        if self.kind is PeriodKind.MONTH:
            return f"{year}{self.start.month}月"
        if self.kind is PeriodKind.QUARTER:
            return f"{year}第{'一二三四'[self.start.month // 3]}季度"
        if self.kind is PeriodKind.HALF_YEAR:
            return f"{year}{'上' if self.start.month == 1 else '下'}半年"
        return year

    def __str__(self) -> str:
        if self.kind is PeriodKind.DAY:
            return self.start.isoformat()
        if self.kind is PeriodKind.MONTH:
            return f"{self.start:%Y-%m}"
        if self.kind is PeriodKind.QUARTER:
            return f"{self.start.year}-Q{self.start.month // 3 + 1}"
        if self.kind is PeriodKind.HALF_YEAR:
            return f"{self.start.year}-H{self.start.month // 6 + 1}"
        return str(self.start.year)
