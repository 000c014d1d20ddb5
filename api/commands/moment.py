"""Reading a moment as an operator writes it."""

from datetime import datetime

from store.periods import SHANGHAI
from store.problem import Problem, ProblemsError


def parse_moment(text: str, today: datetime, option: str = "--at") -> datetime:
    """Read `12:30` (of `today`), `2026-06-15` or `2026-06-15T12:30`, local time of Asia/Shanghai.

    Raises ProblemsError that names the option for anything else.
    """
    try:
        if len(text) <= len("12:30:00") and ":" in text:
            clock = datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007, only the time of day is read
            return datetime.combine(today.astimezone(SHANGHAI).date(), clock, SHANGHAI)
        return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)
    except ValueError as error:
        raise ProblemsError(
            [Problem(option, f"“{text}” 不是时刻", "写成 12:30、2026-06-15 或 2026-06-15T12:30（北京时间）")]
        ) from error
