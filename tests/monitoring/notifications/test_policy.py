"""The times at which something is told."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.notifications.policy import WAITS, after_quiet, due, is_quiet, next_try

NIGHT = (22 * 60, 7 * 60)


def beijing(hour, minute=0, day=10):
    return datetime(2026, 6, day, hour, minute, tzinfo=UTC) - timedelta(hours=8)


@pytest.mark.parametrize(
    ("moment", "quiet"),
    [
        (beijing(21, 59), False),
        (beijing(22), True),
        (beijing(3), True),
        (beijing(6, 59), True),
        (beijing(7), False),
    ],
)
def test_quiet_hours_go_past_midnight(moment, quiet) -> None:
    assert is_quiet(moment, NIGHT) is quiet


def test_news_of_the_night_is_told_in_the_morning() -> None:
    assert after_quiet(beijing(23), NIGHT) == beijing(7, day=11)
    assert after_quiet(beijing(1), NIGHT) == beijing(7)


def test_a_digest_ends_on_the_clock_so_that_news_of_one_window_is_told_together() -> None:
    assert {due(beijing(9, minute), 15, None) for minute in range(15)} == {beijing(9, 15)}
    assert due(beijing(9, 15), 15, None) == beijing(9, 30)
    assert due(beijing(9), 0, None) == beijing(9)


def test_the_digest_of_a_day_comes_at_eight() -> None:
    assert due(beijing(7, 59), 1440, None) == beijing(8)
    assert due(beijing(8), 1440, None) == beijing(8, day=11)


@given(
    st.integers(0, 365 * 24 * 60),
    st.sampled_from([0, 5, 15, 60, 240, 1440]),
    st.tuples(st.integers(0, 1439), st.integers(0, 1439)),
)
def test_nothing_is_ever_told_early_or_in_quiet_hours_and_no_later_than_two_days(
    minutes, digest, quiet
) -> None:
    moment = beijing(0) + timedelta(minutes=minutes)
    told = due(moment, digest, quiet)
    assert moment <= told <= moment + timedelta(days=2)
    assert not is_quiet(told, quiet)


def test_a_message_is_tried_for_about_a_day_and_then_given_up() -> None:
    now = beijing(9)
    waits = [next_try(attempt, now) for attempt in range(1, len(WAITS) + 2)]
    assert waits[-1] is None
    assert all(wait is not None for wait in waits[:-1])
    assert timedelta(hours=20) < sum(WAITS, timedelta()) < timedelta(hours=30)
