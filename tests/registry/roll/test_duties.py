"""A village's month of work and points is taken in whole, on SQLite and PostgreSQL, or not at all."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from registry import enrolment
from registry.actors import Actor, NotPermittedError, Role
from registry.roll.duties import duty_sheet, measure_sheet, record_duties, record_figures
from store.periods import Period
from store.problem import ProblemsError
from tests.registry.conftest import CLERK, NOW, VILLAGES

VILLAGE = VILLAGES[0]
LATER = NOW + timedelta(hours=1)
OCTOBER = (VILLAGE, "2026-10")
BASIS = ("十月考勤表", LATER)


def test_attendance_of_a_month_reaches_the_roster_and_only_changes_are_recorded(filled_both):
    with filled_both.database.transaction() as session:
        rows = duty_sheet(session, CLERK, *OCTOBER)
        assert [(one.post_id, one.units) for one in rows] == [("p0", None)]
        entries = {"p0": (Decimal("0.5"), Decimal("0.95"))}
        assert record_duties(session, CLERK, OCTOBER, entries, BASIS) == 1
        assert record_duties(session, CLERK, OCTOBER, entries, ("", LATER)) == 0
        entry = next(
            one for one in enrolment.roster(session, CLERK, VILLAGE, Period.parse("2026-10")) if one.posts
        )
        assert (entry.posts[0].months_served, entry.posts[0].coefficient) == (
            Fraction(1, 2),
            Fraction(19, 20),
        )
        assert duty_sheet(session, CLERK, *OCTOBER)[0].document == "十月考勤表"


@pytest.mark.parametrize(
    ("figures", "document", "month", "says"),
    [
        (("1.5", "1"), "x", "2026-10", "一个月最多记 1"),
        (("-1", "1"), "x", "2026-10", "不合适"),
        (("0.0005", "1"), "x", "2026-10", "不合适"),
        (("1", "11"), "x", "2026-10", "考核系数"),
        (("1", "1"), " ", "2026-10", "没有写依据"),
        (("1", "1"), "x", "2026-12", "2026-12 还没到"),
    ],
)
def test_attendance_that_cannot_be_says_why_and_records_nothing(filled, figures, document, month, says):
    with filled.database.transaction() as session:
        entries = {"p0": tuple(Decimal(one) for one in figures)}
        with pytest.raises(ProblemsError, match=says):
            record_duties(session, CLERK, (VILLAGE, month), entries, (document, LATER))
        assert duty_sheet(session, CLERK, VILLAGE, month)[0].units is None


def test_points_of_a_month_are_recorded_by_household_and_missing_ones_stay_missing(filled_both):
    with filled_both.database.transaction() as session:
        sheet = measure_sheet(session, CLERK, OCTOBER, "points")
        homes = [one.household_id for one in sheet]
        assert len(homes) > 1
        assert all(one.value is None for one in sheet)
        entries = {homes[0]: Decimal("12.5"), homes[1]: None}
        assert record_figures(session, CLERK, (*OCTOBER, "points"), entries, BASIS) == 1
        found = {one.household_id: one.value for one in measure_sheet(session, CLERK, OCTOBER, "points")}
        assert (found[homes[0]], found[homes[1]]) == (Decimal("12.5"), None)
        assert all(one.value is None for one in measure_sheet(session, CLERK, OCTOBER, "stars"))
        with pytest.raises(ProblemsError, match="没有“wealth”"):
            record_figures(session, CLERK, (*OCTOBER, "wealth"), entries, BASIS)


def test_nobody_sees_or_writes_the_duties_of_another_area(filled):
    stranger = Actor("s", "邻县", Role.COUNTY, VILLAGES[-1][:6] + "000000")
    reader = Actor("t", "乡镇", Role.TOWNSHIP, VILLAGE[:9] + "000")
    entries = {"p0": (Decimal(1), Decimal(1))}
    with filled.database.transaction() as session:
        assert duty_sheet(session, stranger, *OCTOBER) == ()
        assert measure_sheet(session, stranger, OCTOBER, "points") == ()
        with pytest.raises(LookupError):
            record_duties(session, stranger, OCTOBER, entries, BASIS)
        with pytest.raises(LookupError):
            record_figures(session, stranger, (*OCTOBER, "points"), {"h0-1": Decimal(1)}, BASIS)
        assert duty_sheet(session, reader, *OCTOBER)
        with pytest.raises(NotPermittedError):
            record_duties(session, reader, OCTOBER, entries, BASIS)
