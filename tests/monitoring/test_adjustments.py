"""Late data for a closed month, power that contradicts the counter: both are told, nothing changes."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from monitoring.adjustments import proposed_adjustments, tell_adjustments, tell_disputes
from monitoring.energy import refresh_daily_energy
from registry.actors import SYSTEM
from store.energy import EnergyQuestion, answer, freeze, frozen
from store.events import EventKind, recent
from store.periods import Period
from tests.monitoring.conftest import CADRE, County, readings

MAY = Period.parse("2026-05")
NOW = datetime(2026, 6, 10, 4, 0, tzinfo=UTC)
LATE = datetime(2026, 5, 31, 15, 45, tzinfo=UTC)


@pytest.fixture
def closed(county: County) -> County:
    """A county whose May was frozen while the last days of one inverter were missing."""
    every = readings("s1i1", datetime(2026, 5, 1, 16, 0, tzinfo=UTC), LATE)
    county.write([one for one in every if one.time.day < 29])
    with county.database.transaction() as session:
        energies = answer(county.series, EnergyQuestion(["s1i1"], [MAY], rated_power_w={"s1i1": 50_000}))
        freeze(session, energies, "generated_energy_wh", NOW)
    return county


def late_samples() -> list:
    every = readings("s1i1", datetime(2026, 5, 1, 16, 0, tzinfo=UTC), LATE)
    return [one for one in every if one.time.day >= 29]


def test_late_data_for_a_closed_month_is_offered_and_the_frozen_figure_stays(closed):
    with closed.database.reading() as session:
        before = frozen(session, (["s1i1"], ["2026-05"]))
        first = proposed_adjustments(session, closed.series, SYSTEM, MAY)
    closed.write(late_samples())
    with closed.database.transaction() as session:
        found = proposed_adjustments(session, closed.series, SYSTEM, MAY)
        assert [(one.device_id, one.station_id, one.month) for one in found] == [("s1i1", "s1", "2026-05")]
        assert found[0].difference_wh == (found[0].current_wh or 0) - (before[0].energy_wh or 0) > 0
        assert frozen(session, (["s1i1"], ["2026-05"])) == before
        assert [tell_adjustments(session, closed.series, NOW) for _ in range(2)] == [1, 1]
        told = [one for one in recent(session) if one.kind == EventKind.QUALITY]
        assert len(told) == 1
        assert "迟到的数据" in told[0].message
        assert told[0].division_code == "529901101201"
    assert first == []


def test_an_adjustment_is_shown_only_in_its_area(closed):
    closed.write(late_samples())
    with closed.database.reading() as session:
        assert len(proposed_adjustments(session, closed.series, CADRE, MAY)) == 1


def test_power_that_contradicts_the_counter_is_an_event_and_the_counter_stays(county):
    start = datetime(2026, 6, 7, 16, 0, tzinfo=UTC)
    county.write(readings("s1i1", start, NOW))
    doubled = [
        replace(one, values={**one.values, "active_power_w": 2 * one.values["active_power_w"]})
        for one in readings("s1i2", start, NOW)
    ]
    county.write(doubled)
    with county.database.transaction() as session:
        refresh_daily_energy(session, county.series, NOW)
        assert [tell_disputes(session, county.series, NOW) for _ in range(2)] == [1, 1]
        told = [one for one in recent(session) if one.kind == EventKind.QUALITY]
    assert [one.subject_id for one in told] == ["s1i2"]
    assert "仍以计数器为准" in told[0].message
