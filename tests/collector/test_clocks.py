"""A clock that is wrong all the time is told from history that comes late."""

from datetime import UTC, datetime, timedelta

import pytest

from collector.clocks import ClockWatch
from store.quality import Flag
from store.samples import Sample

NOON = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def judged(watch: ClockWatch, received: datetime, behind: timedelta) -> tuple[Sample, dict[str, int]]:
    sample = Sample("d", received - behind, received, {"active_power_w": 1.0})
    (found,), told = watch.judge([sample])
    return found, told


def test_a_clock_eight_hours_behind_is_found_within_ten_minutes_and_its_samples_moved() -> None:
    watch, behind = ClockWatch({}), timedelta(hours=8, seconds=20)
    outcomes = [judged(watch, NOON + number * MINUTE, behind) for number in range(15)]
    moved = [sample.time == sample.received_at for sample, _ in outcomes]
    assert moved == [False] * 10 + [True] * 5
    assert all(
        bool(sample.flags & Flag.CLOCK) == move for (sample, _), move in zip(outcomes, moved, strict=True)
    )
    assert [told for _, told in outcomes if told] == [{"d": 28_820}]
    again = ClockWatch({"d": 28_820})
    assert judged(again, NOON, behind)[0].time == NOON
    assert judged(again, NOON, timedelta(seconds=3))[1] == {"d": 0}
    assert judged(again, NOON, behind)[0].flags == 0


def test_a_clock_that_is_wrong_by_anything_else_is_flagged_and_its_times_kept() -> None:
    watch, behind = ClockWatch({}), timedelta(days=3, minutes=17)
    outcomes = [judged(watch, NOON + number * MINUTE, behind)[0] for number in range(12)]
    assert outcomes[-1].flags == Flag.CLOCK
    assert outcomes[-1].time == NOON + 11 * MINUTE - behind


@pytest.mark.parametrize("speed", [2, 10, 500])
def test_history_that_drains_is_no_wrong_clock(speed: int) -> None:
    watch = ClockWatch({})
    start = NOON - timedelta(days=2)
    for number in range(40):
        received = NOON + number * MINUTE
        time = min(start + speed * number * MINUTE, received)
        assert judged(watch, received, received - time) == (
            Sample("d", time, received, {"active_power_w": 1.0}),
            {},
        )


def test_live_data_among_history_clears_the_clock() -> None:
    watch = ClockWatch({})
    for number in range(40):
        received = NOON + number * MINUTE
        behind = timedelta(seconds=2) if number % 4 == 0 else timedelta(hours=8)
        assert judged(watch, received, behind)[0].flags == 0
