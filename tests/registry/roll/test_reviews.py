"""A review: a task for every village, two people for every change, on SQLite and PostgreSQL."""

from datetime import date, timedelta

import pytest

from registry import enrolment
from registry.actors import Actor, Role
from registry.intake import Outcome, Upload, commit, preview, undo
from registry.roll.reviews import (
    NewFinding,
    Review,
    apply_finding,
    finding_of,
    keep_the_rest,
    open_review,
    record_finding,
    review_items,
    reviews,
    sign_village,
    village_tasks,
)
from store.problem import ProblemsError
from tests.registry.conftest import CLERK, COUNTIES, NOW, VILLAGES

CADRE = Actor("cadre", "村干部", Role.VILLAGE, VILLAGES[0])
REVIEW = Review(
    "r1", "half_yearly", "2026-H2", COUNTIES[0], "下半年核查", "通知", date(2026, 11, 1), date(2026, 11, 15)
)
LATER = NOW + timedelta(hours=2)
PLACE = ("r1", VILLAGES[0])


def test_findings_of_the_village_change_enrolments_through_the_county(filled_both):
    database = filled_both.database
    with database.transaction() as session:
        open_review(session, CLERK, REVIEW, NOW)
        (task, *others) = village_tasks(session, CLERK, "r1")
        assert len(others) == 3
        assert (task.households, task.looked_at, task.late(date(2026, 11, 16))) == (3, 0, True)
        on = date(2027, 1, 1)
        ended = record_finding(session, CADRE, NewFinding("r1", "h0-1", "end", "分红", None, on, "会议"), NOW)
        more = NewFinding("r1", "h0-2", "change", "分红", 4, on, "会议")
        changed = record_finding(session, CADRE, more, NOW)
        with pytest.raises(ProblemsError, match="没有核查结果"):
            sign_village(session, CADRE, PLACE, "会议记录", NOW)
        assert keep_the_rest(session, CADRE, PLACE, "", LATER) == 1
        sign_village(session, CADRE, PLACE, "会议记录", LATER)
        with pytest.raises(ProblemsError, match="签结"):
            record_finding(session, CADRE, NewFinding("r1", "h0-3", "keep"), LATER)
        apply_finding(session, CLERK, ended, LATER)
        apply_finding(session, CLERK, changed, LATER)
        with pytest.raises(ProblemsError):
            apply_finding(session, CLERK, changed, LATER)
        parts = {
            (one.household_id, one.valid_from): (one.weight, one.valid_to, one.document)
            for one in enrolment.enrolments(session, CLERK, VILLAGES[0])
            if one.household_id in {"h0-1", "h0-2"}
        }
        assert parts["h0-1", date(2020, 1, 1)][1] == on
        assert parts["h0-2", on] == (4, None, "会议")
        assert [one.weight for one in enrolment.enrolments(session, CLERK, VILLAGES[0], at=NOW)] == [1, 1, 1]
        done = village_tasks(session, CADRE, "r1")
        assert [(one.looked_at, one.changes, one.waiting) for one in done] == [(3, 2, 0)]


def test_nobody_applies_their_own_finding_and_a_replaced_one_is_void(filled):
    with filled.database.transaction() as session:
        open_review(session, CLERK, REVIEW, NOW)
        new = NewFinding("r1", "h0-1", "end", "分红", None, date(2027, 1, 1), "会议")
        own = record_finding(session, CLERK, new, NOW)
        with pytest.raises(ProblemsError, match="自己"):
            apply_finding(session, CLERK, own, LATER)
        first = record_finding(session, CADRE, new, LATER)
        record_finding(session, CADRE, NewFinding("r1", "h0-1", "keep"), LATER + timedelta(minutes=1))
        with pytest.raises(ProblemsError, match="替换"):
            apply_finding(session, CLERK, first, LATER + timedelta(minutes=2))


@pytest.mark.parametrize(
    "wrong",
    [
        NewFinding("r1", "h0-1", "change", "分红", 0, date(2027, 1, 1), "会议"),
        NewFinding("r1", "h0-1", "end", "", None, date(2027, 1, 1), "会议"),
        NewFinding("r1", "h0-1", "end", "分红", None, date(2027, 1, 1), " "),
        NewFinding("r1", "h0-1", "end", "分红", None, None, "会议"),
    ],
)
def test_a_finding_without_its_basis_is_refused(filled, wrong):
    with pytest.raises(ProblemsError), filled.database.transaction() as session:
        open_review(session, CLERK, REVIEW, NOW)
        record_finding(session, CADRE, wrong, NOW)


def test_a_review_is_seen_where_it_touches_and_a_neighbour_is_not(filled):
    with filled.database.transaction() as session:
        open_review(session, CLERK, REVIEW, NOW)
        with pytest.raises(ProblemsError, match="已经开过"):
            open_review(session, CLERK, REVIEW, NOW)
        elsewhere = Actor("x", "外县", Role.COUNTY, COUNTIES[1])
        assert reviews(session, elsewhere) == ()
        assert [one.id for one in reviews(session, CADRE)] == ["r1"]
        assert review_items(session, CADRE, "r1", VILLAGES[1]) == ()
        with pytest.raises(LookupError):
            record_finding(session, CADRE, NewFinding("r1", "h1-1", "keep"), NOW)


def findings_file(*rows: str) -> Upload:
    head = "核查期,村代码,户编号,核查结果,分配项目,份额,生效日期,依据"
    return Upload("findings", "核查结果.csv", "\n".join((head, *rows)).encode())


def test_a_list_of_findings_is_taken_in_replaced_and_never_carried_out_by_itself(filled):
    row = f"2026-H2,{VILLAGES[0]},001,退出,households,,2026-12-01,会议记录"
    with filled.database.transaction() as session:
        early = preview(session, CLERK, filled.ring, findings_file(row), NOW)
        assert [one.outcome for one in early.rows] == [Outcome.REFUSED]
        assert "没有覆盖这个村的 2026-H2 核查" in str(early.rows[0].problems[0])
        half = Review(
            "list",
            "half_yearly",
            "2026-H2",
            COUNTIES[0],
            "半年核查",
            "通知",
            date(2026, 11, 1),
            date(2026, 12, 30),
        )
        open_review(session, CLERK, half, NOW)
        taken = commit(session, CLERK, filled.ring, findings_file(row), NOW)
        found = finding_of(session, CLERK, "list", "h0-1")
        assert (found.outcome, found.component, found.applied_at) == ("end", "households", None)
        again = preview(session, CLERK, filled.ring, findings_file(row), NOW)
        assert [one.outcome for one in again.rows] == [Outcome.UNCHANGED]
        keep = f"2026-H2,{VILLAGES[0]},001,不变,,,,"
        assert [
            one.outcome for one in preview(session, CLERK, filled.ring, findings_file(keep), NOW).rows
        ] == [Outcome.CHANGED]
        short = f"2026-H2,{VILLAGES[0]},002,纳入,,,,"
        refused = preview(session, CLERK, filled.ring, findings_file(short), NOW)
        assert [one.outcome for one in refused.rows] == [Outcome.REFUSED]
        with pytest.raises(ProblemsError, match="核查结果不能整批撤销"):
            undo(session, CLERK, taken.id, NOW)
