from datetime import UTC, datetime

import pytest

from api.commands.moment import parse_moment
from store.problem import ProblemsError

TODAY = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)  # already the 25th in Shanghai


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("12:30", datetime(2026, 11, 25, 4, 30, tzinfo=UTC)),
        ("2026-06-15", datetime(2026, 6, 14, 16, 0, tzinfo=UTC)),
        ("2026-06-15T12:30", datetime(2026, 6, 15, 4, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read_in_beijing_time(text: str, moment: datetime) -> None:
    assert parse_moment(text, TODAY) == moment


@pytest.mark.parametrize("text", ["noon", "25:00", "2026-13-01", "12"])
def test_what_is_no_moment_is_refused_with_what_may_be_written(text: str) -> None:
    with pytest.raises(ProblemsError, match="不是时刻"):
        parse_moment(text, TODAY)
