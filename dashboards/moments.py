"""Moments and spans as forms write them: local time of Asia/Shanghai, without a zone.

Owns reading the fields of date and time inputs and the span that a page shows.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from store.periods import SHANGHAI, local_date, local_midnight
from store.problem import Problem, ProblemsError

LONGEST_DAYS = 400


def field_value(moment: datetime) -> str:
    """Return an instant as the value of a date-and-time field."""
    return f"{moment.astimezone(SHANGHAI):%Y-%m-%dT%H:%M}"


def read_moment(text: str, where: str) -> datetime:
    """Read a date-and-time field; raises ProblemsError with the field's name."""
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=SHANGHAI)
    except ValueError as error:
        wrong = Problem(where, f"“{text[:40]}” 不是日期和时间", "写成 2026-11-25 08:30")
        raise ProblemsError([wrong]) from error


def read_day(text: str, where: str) -> date:
    """Read a date field; raises ProblemsError with the field's name."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise ProblemsError([Problem(where, f"“{text[:40]}” 不是日期", "写成 2026-11-25")]) from error


@dataclass(frozen=True, slots=True)
class Span:
    """The days from `first` to `last`, both included."""

    first: date
    last: date

    @property
    def start_utc(self) -> datetime:
        """First instant [UTC]."""
        return local_midnight(self.first)

    @property
    def end_utc(self) -> datetime:
        """First instant after the span [UTC]."""
        return local_midnight(self.last + timedelta(days=1))

    @property
    def label(self) -> str:
        """The span in words."""
        first = f"{self.first.year}年{self.first.month}月{self.first.day}日"
        if self.first == self.last:
            return first
        year = "" if self.first.year == self.last.year else f"{self.last.year}年"
        return f"{first}至{year}{self.last.month}月{self.last.day}日"


def asked_span(first: str, last: str, now: datetime, days: int) -> Span:
    """Return the span that a page was asked for, by default the last `days` up to today.

    Raises ProblemsError when the days are none, the wrong way round, in the future, or too many.
    """
    today = local_date(now)
    end = read_day(last, "到") if last else today
    begin = read_day(first, "从") if first else min(end, today) - timedelta(days=days - 1)
    problems = []
    if begin > today or begin.year < 2000:  # noqa: PLR2004, before any station
        problems.append(Problem("从", "这一天没有数据可看", "选一个已经开始的日期"))
    elif begin > end:
        problems.append(Problem("从、到", "开始日期在结束日期之后", "换一下两个日期"))
    elif (end - begin).days >= LONGEST_DAYS:
        problems.append(Problem("从、到", f"超过 {LONGEST_DAYS} 天", "分成几段来看"))
    if problems:
        raise ProblemsError(problems)
    return Span(begin, min(end, today))
