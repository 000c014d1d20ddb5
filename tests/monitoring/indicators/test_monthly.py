"""Indicators of a month: counted as they are defined, missing where nothing is known."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from documents.writing import cell_text
from monitoring.energy import refresh_daily_energy
from monitoring.indicators.definitions import DEFINITIONS
from monitoring.indicators.monthly import monthly_indicators
from monitoring.indicators.sheets import COLUMNS, indicators_sheet
from monitoring.work_orders.orders import Entry, NewOrder, act, open_order
from monitoring.work_orders.states import Action
from registry.parameters import NewValue, set_value
from registry.stations import station, update_station
from store.periods import Period
from store.problem import ProblemsError
from tests.monitoring.conftest import CADRE, CLERK, COUNTY, NOON, bell, readings

JUNE = Period.parse("2026-06")
DAY = timedelta(days=1)


def half(moment: datetime) -> float:
    return bell(moment) / 2


@pytest.fixture
def june(county):
    """Three stations over ten days: the first whole, the second at half power, the third silent."""
    start = JUNE.start_utc
    for slot in (1, 2):
        county.write(readings(f"s1i{slot}", start, NOON))
        county.write(readings(f"s2i{slot}", start, NOON, power=half))
    with county.database.transaction() as session:
        refresh_daily_energy(session, county.series, NOON)
    return county


def found(county, month=JUNE, actor=CLERK, now=NOON):
    with county.database.reading() as session:
        return monthly_indicators(session, county.series, actor, month, now)


def test_yield_and_rank_follow_the_energy_and_a_silent_station_has_none(june):
    first, second, third = found(june).rows
    assert first.final_yield_h == pytest.approx(2 * second.final_yield_h, rel=0.01)
    assert (first.rank, second.rank, third.rank) == (1, 2, None)
    assert (third.energy_wh, third.final_yield_h, third.fault_rate) == (None, None, None)
    assert found(june).ranked == 2


def test_a_station_without_data_is_offline_and_not_faulty(june):
    first, _second, third = found(june).rows
    assert first.fault_rate == pytest.approx(0, abs=0.01)
    assert first.online_rate == pytest.approx(1, abs=0.01)
    assert third.online_rate == 0


def test_capability_needs_the_typical_hours_and_counts_the_days_so_far(june):
    assert all(row.capability is None for row in found(june).rows)
    value = NewValue(
        "typical_full_load_hours", Decimal(1095), date(2026, 1, 1), "县能源局函〔2026〕1号", COUNTY
    )
    with june.database.transaction() as session:
        set_value(session, CLERK, value, NOON)
    shown = found(june)
    first = shown.rows[0]
    assert first.capability == pytest.approx(first.final_yield_h / (1095 * 9 / 365))
    assert shown.total.capability == pytest.approx((first.capability + shown.rows[1].capability) / 2)
    assert "县能源局函〔2026〕1号" in " ".join(indicators_sheet(shown).notes)


def test_coverage_counts_stations_with_a_company(june):
    assert found(june).total.coverage == 0
    with june.database.transaction() as session:
        place = station(session, CLERK, "s1")
        changed = {name: getattr(place, name) for name in place.__slots__} | {"maintenance_company": "某公司"}
        update_station(session, CLERK, type(place)(**changed), NOON)
    assert (found(june).total.covered, found(june).total.stations) == (1, 3)


def test_timeliness_counts_the_orders_that_were_due_in_the_month(june):
    assert found(june).total.punctuality.share is None
    begin = JUNE.start_utc
    with june.database.transaction() as session:
        for name, days, done in (("s1", 3, 2), ("s1", 3, 4), ("s2", 20, None)):
            order = open_order(session, CLERK, NewOrder(name, "检查", begin + days * DAY), begin)
            if done:
                act(session, CLERK, order, Entry(Action.FINISH, "好了"), begin + done * DAY)
    rows = found(june).rows
    assert (rows[0].punctuality.in_time, rows[0].punctuality.due) == (1, 2)
    assert rows[1].punctuality.share is None
    assert found(june).total.punctuality.share == 0.5


def test_an_area_sees_its_own_stations_with_their_rank_among_all(june):
    shown = found(june, actor=CADRE)
    assert [row.station_id for row in shown.rows] == ["s1"]
    assert (shown.rows[0].rank, shown.ranked) == (1, 2)


def test_a_running_month_says_until_when_and_a_month_to_come_is_refused(june):
    shown = found(june)
    assert shown.running
    assert "统计到 6月9日" in indicators_sheet(shown).notes[0]
    with pytest.raises(ProblemsError, match="还没有开始"):
        found(june, month=JUNE.next())


def test_the_table_prints_every_definition_and_an_empty_cell_for_what_is_missing(june):
    sheet = indicators_sheet(found(june))
    printed = "\n".join(sheet.notes)
    assert all(one.text in printed for one in DEFINITIONS)
    silent = [cell_text(column.kind, value) for column, value in zip(COLUMNS, sheet.rows[2], strict=True)]
    assert silent[3] == silent[8] == silent[9] == silent[11] == "—"
    assert "0.00" not in silent[8:12]


def test_every_cell_is_that_of_the_row(june):
    shown = found(june)
    sheet = indicators_sheet(shown)
    for row, cells in zip(shown.rows, sheet.rows, strict=True):
        assert cells[0] == row.name
        assert cells[9] == row.energy_wh
        assert cells[11] == row.rank
        if row.fault_rate is not None:
            assert float(cells[3]) == pytest.approx(100 * row.fault_rate, abs=0.005)
