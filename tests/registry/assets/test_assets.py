"""Station files, owners and exchanged meters: dated, exact, known when, on SQLite and PostgreSQL."""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import stations
from registry.actors import Actor, Role
from registry.assets.archive import ArchiveEntry, archive, record_entry
from registry.assets.equity import Holding, holdings, look_through, set_holdings, share_by_equity
from registry.assets.fields import ARCHIVE_FIELDS, FieldKind, fitted
from registry.assets.household_systems import HouseholdSystem, add_household_system, household_systems
from registry.assets.replacements import Readings, exchange_device, replace_meter, replacements
from store.problem import ProblemsError
from tests.registry.conftest import CLERK, NOW, START, VILLAGES

LATER = NOW + timedelta(hours=1)
ON = date(2026, 11, 1)


def test_a_field_changes_from_a_day_on_and_what_was_known_stays(filled_both):
    with filled_both.database.transaction() as session:
        first = ArchiveEntry("s0", "subsidy_status", "申报中", START, None, "申报表")
        assert record_entry(session, CLERK, first, NOW)
        assert not record_entry(session, CLERK, first, LATER)
        record_entry(
            session, CLERK, ArchiveEntry("s0", "subsidy_status", "国家目录", ON, None, "公告"), LATER
        )
        assert [(one.value, one.valid_to) for one in archive(session, CLERK, "s0")] == [
            ("申报中", ON),
            ("国家目录", None),
        ]
        assert [one.value for one in archive(session, CLERK, "s0", on=START)] == ["申报中"]
        assert [(one.value, one.valid_to) for one in archive(session, CLERK, "s0", at=NOW)] == [
            ("申报中", None)
        ]
        cadre = Actor("v", "村干部", Role.VILLAGE, VILLAGES[6])
        assert archive(session, cadre, "s0") == ()


@pytest.mark.parametrize("field", ARCHIVE_FIELDS, ids=lambda one: one.key)
def test_a_field_refuses_what_does_not_fit_it(field):
    for wrong in ("", "x" * 201, "一\n二"):
        with pytest.raises(ProblemsError):
            fitted(field.key, wrong)
    if field.kind is not FieldKind.TEXT:
        with pytest.raises(ProblemsError):
            fitted(field.key, "不知道")
    good = {"choice": field.choices[:1], "date": ("2018-06-30",), "number": ("12.50",)}.get(
        field.kind, ("词",)
    )
    assert fitted(field.key, good[0]) in {*good, "12.5"}


def held(owner: str, what: str, weight: int) -> Holding:
    return Holding(owner, what, weight, START)


def test_a_ground_station_is_looked_through_to_the_villages_and_becomes_its_shares(filled_both):
    with filled_both.database.transaction() as session:
        set_holdings(session, CLERK, "s4", [held("县光伏公司", "s4", 60), held(VILLAGES[2], "s4", 40)], NOW)
        set_holdings(
            session,
            CLERK,
            "县光伏公司",
            [held(VILLAGES[0], "县光伏公司", 1), held(VILLAGES[1], "县光伏公司", 2)],
            NOW,
        )
        found = look_through(holdings(session, CLERK, "s4", ON), "s4")
        assert found == {
            VILLAGES[0]: Fraction(1, 5),
            VILLAGES[1]: Fraction(2, 5),
            VILLAGES[2]: Fraction(2, 5),
        }
        share_by_equity(session, CLERK, "s4", ON, LATER)
        assert [one.weight for one in stations.shares(session, "s4", ON)] == [1, 2, 2]


def test_a_circle_of_holdings_and_a_body_that_nobody_holds_are_refused():
    with pytest.raises(ProblemsError, match="一圈"):
        look_through([held("甲公司", "s", 1), held("乙公司", "甲公司", 1), held("甲公司", "乙公司", 1)], "s")
    with pytest.raises(ProblemsError, match="没有登记持有人"):
        look_through([held("甲公司", "s", 1)], "s")


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=8), st.lists(st.integers(1, 10**6), min_size=1))
def test_looked_through_parts_always_sum_to_one(direct, through):
    codes = [f"{place:012d}" for place in range(len(direct) + len(through))]
    parts = [held(code, "s", weight) for code, weight in zip(codes, direct, strict=False)]
    parts.append(held("公司", "s", 7))
    parts += [held(code, "公司", weight) for code, weight in zip(codes[::-1], through, strict=False)]
    assert sum(look_through(parts, "s").values()) == 1


def test_a_meter_gives_way_to_another_with_both_readings(filled_both):
    with filled_both.database.transaction() as session:
        new = stations.RevenueMeter("m-new", "", "M900", 60, ON)
        readings = Readings("12345.67", "0", "换表单 17", LATER)
        replace_meter(session, CLERK, "m1", new, readings)
        old, fresh = stations.revenue_meters(session, CLERK, "s1")
        assert (old.removed_on, fresh.meter_multiplier, fresh.installed_on) == (ON, 60, ON)
        (kept,) = replacements(session, CLERK, "s1")
        assert (kept.kind, kept.closing_reading, kept.opening_reading) == ("meter", "12345.67", "0")
        with pytest.raises(LookupError):
            replace_meter(session, CLERK, "m1", new, readings)
        inverter = stations.Device("inv-new", "s1", "inverter", "新1号", "sungrow_sg_string", ON)
        exchange_device(session, CLERK, "inv1", inverter, Readings("99", "0", "质保更换", LATER))
        assert {one.kind for one in replacements(session, CLERK, "s1")} == {"meter", "device"}


@pytest.mark.parametrize("closing", ["", "-1", "一百", "NaN"])
def test_a_reading_that_is_none_is_refused(filled, closing):
    new = stations.RevenueMeter("m-new", "", "M900", 60, ON)
    with pytest.raises(ProblemsError), filled.database.transaction() as session:
        replace_meter(session, CLERK, "m1", new, Readings(closing, "0", "单", LATER))


def test_a_group_of_roofs_consists_of_households(filled):
    with filled.database.transaction() as session:
        group = stations.Station("g", "户用一组", "household_group", VILLAGES[0], 10_000, 26.2, 106.1)
        stations.add_station(session, CLERK, group, NOW)
        add_household_system(session, CLERK, HouseholdSystem("g", "h0-1", VILLAGES[0], 5_000, START), NOW)
        assert [one.rated_power_w for one in household_systems(session, CLERK, "g", on=ON)] == [5_000]
        with pytest.raises(ProblemsError, match="不是户用"):
            add_household_system(
                session, CLERK, HouseholdSystem("s0", "h0-1", VILLAGES[0], 5_000, START), NOW
            )
