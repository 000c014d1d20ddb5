"""Classes, posts, attendance, points, shares, holdings, meters, files, roofs: taken in, repeated, undone."""

from datetime import date, timedelta

import pytest

from registry import enrolment, stations
from registry.actors import Actor, Role
from registry.assets.archive import archive
from registry.assets.equity import holdings
from registry.assets.household_systems import household_systems
from registry.assets.replacements import replacements
from registry.intake import Outcome, Upload, commit, preview, undo
from registry.roll.cards import household_card
from registry.roll.measures import measures
from store.periods import Period
from store.problem import ProblemsError
from tests.registry.conftest import CLERK, NOW, VILLAGES

VILLAGE = VILLAGES[0]
LATER = NOW + timedelta(hours=1)
FILES = {
    "classes": ("村代码,户编号,户类别,起始日期,终止日期", f"{VILLAGE},001,低保,2026-01-01,"),
    "posts": (
        "村代码,户编号,岗位,月标准(元),起始日期,依据",
        f"{VILLAGE},002,保洁员,600,2026-01-01,协议",
    ),
    "attendance": (
        "村代码,户编号,岗位,月份,出勤(月),考核系数",
        f"{VILLAGE},001,保洁,2026年10月,0.5,0.95",
    ),
    "measures": ("村代码,户编号,指标,月份,数值", f"{VILLAGE},001,积分,2026-10,12.5"),
    "shares": (
        "电站,村代码,份额依据,数额,起始日期",
        f"1号站,{VILLAGES[1]},按容量,60.5,2026-01-01\n1号站,{VILLAGES[2]},按容量,100,2026-01-01",
    ),
    "holdings": (
        "被持有方,持有方,出资额或股数,起始日期",
        f"2号站,县光伏公司,200000.5,2026-01-01\n县光伏公司,{VILLAGES[2]},1,2026-01-01",
    ),
    "archive": (
        "电站,起始日期,总投资（元）,补贴目录状态,验收日期",
        "3号站,2026-01-01,1950000,国家目录,2018-07-30",
    ),
    "systems": ("电站,村代码,户编号,容量(kW),起始日期", f"户用一组,{VILLAGE},001,5,2020-06-30"),
}


def upload(kind: str, *rows: str) -> Upload:
    head, body = FILES[kind]
    return Upload(kind, f"{kind}.csv", "\n".join((head, *(rows or (body,)))).encode())


@pytest.fixture
def ready(filled):
    with filled.database.transaction() as session:
        group = stations.Station("g", "户用一组", "household_group", VILLAGE, 10_000, 26.2, 106.1)
        stations.add_station(session, CLERK, group, NOW)
    return filled


def state(session, world) -> tuple[object, ...]:
    """All that the lists may touch, as it is known now."""
    card = household_card(session, CLERK, world.ring, "h0-1")
    return (
        card.classes,
        [one for one in enrolment.posts(session, CLERK, VILLAGE) if one.household_id == "h0-2"],
        [
            one.posts[0].months_served
            for one in enrolment.roster(session, CLERK, VILLAGE, Period.parse("2026-10"))
            if one.posts
        ],
        measures(session, CLERK, VILLAGE),
        stations.shares(session, "s1", date(2026, 6, 1)),
        holdings(session, CLERK, "s2", date(2026, 6, 1)),
        archive(session, CLERK, "s3"),
        household_systems(session, CLERK, "g"),
    )


@pytest.mark.parametrize("kind", sorted(FILES))
def test_a_list_is_taken_in_changes_nothing_the_second_time_and_is_undone(ready, kind):
    with ready.database.transaction() as session:
        before = state(session, ready)
        look = preview(session, CLERK, ready.ring, upload(kind), NOW)
        assert look.all_problems == (), look.all_problems
        batch = commit(session, CLERK, ready.ring, upload(kind), NOW)
        assert batch.added == len(FILES[kind][1].splitlines())
        assert state(session, ready) != before
        again = preview(session, CLERK, ready.ring, upload(kind), LATER)
        assert again.count(Outcome.UNCHANGED) == len(again.rows), again.rows
        undo(session, CLERK, batch.id, LATER)
        assert state(session, ready) == before


def test_figures_arrive_exactly(ready):
    with ready.database.transaction() as session:
        for kind in FILES:
            commit(session, CLERK, ready.ring, upload(kind), NOW)
        assert [one.weight for one in stations.shares(session, "s1", date(2026, 6, 1))] == [60_500, 100_000]
        assert [one.weight for one in holdings(session, CLERK, "s2", date(2026, 6, 1))] == [
            200_000_500,
            1_000,
        ]
        (entry,) = [
            one
            for one in enrolment.roster(session, CLERK, VILLAGE, Period.parse("2026-10"))
            if one.household_id == "h0-1"
        ]
        (post,) = entry.posts
        wage = post.monthly_rate_fen * post.months_served * post.coefficient
        assert wage == 28_500
        assert {one.field: one.value for one in archive(session, CLERK, "s3")} == {
            "investment": "1950000",
            "subsidy_status": "国家目录",
            "accepted_on": "2018-07-30",
        }


def test_a_class_gets_its_end_and_a_post_its_new_rate(ready):
    with ready.database.transaction() as session:
        commit(session, CLERK, ready.ring, upload("classes"), NOW)
        ended = upload("classes", f"{VILLAGE},001,低保,2026-01-01,2026-07-01")
        assert preview(session, CLERK, ready.ring, ended, LATER).count(Outcome.CHANGED) == 1
        commit(session, CLERK, ready.ring, ended, LATER)
        card = household_card(session, CLERK, ready.ring, "h0-1")
        found = [(one.class_name, one.valid_from, one.valid_to) for one in card.classes]
        assert ("低保", date(2026, 1, 1), date(2026, 7, 1)) in found
        commit(session, CLERK, ready.ring, upload("posts"), NOW)
        raised = upload("posts", f"{VILLAGE},002,保洁员,800,2026-07-01,新协议")
        commit(session, CLERK, ready.ring, raised, LATER)
        rates = [
            (one.monthly_rate_fen, one.valid_from, one.valid_to)
            for one in enrolment.posts(session, CLERK, VILLAGE)
            if one.household_id == "h0-2"
        ]
        assert rates == [
            (60_000, date(2026, 1, 1), date(2026, 7, 1)),
            (80_000, date(2026, 7, 1), None),
        ]


def test_a_meter_list_exchanges_once_and_is_corrected_by_hand_only(ready):
    head = "电站,旧表号,新表号,倍率,更换日期,旧表止码,新表起码,依据"
    good = Upload("meters", "换表.csv", f"{head}\n1号站,M1,M901,60,2026-10-15,12345.67,0,换表单".encode())
    with ready.database.transaction() as session:
        batch = commit(session, CLERK, ready.ring, good, NOW)
        assert [one.closing_reading for one in replacements(session, CLERK, "s1")] == ["12345.67"]
        assert preview(session, CLERK, ready.ring, good, LATER).count(Outcome.UNCHANGED) == 1
        with pytest.raises(ProblemsError, match="不能整批撤销"):
            undo(session, CLERK, batch.id, LATER)
        wrong = Upload("meters", "换表.csv", f"{head}\n1号站,M1,M902,60,2026-10-15,1,0,单".encode())
        look = preview(session, CLERK, ready.ring, wrong, LATER)
        assert "没有这块在用的关口表" in look.all_problems[0].what


@pytest.mark.parametrize(
    ("kind", "row", "place", "words"),
    [
        ("classes", f"{VILLAGE},001,富裕户,2026-01-01,", "C2", "可选项"),
        ("posts", f"{VILLAGE},001,保洁,60.005,2026-01-01,", "D2", "分"),
        ("attendance", f"{VILLAGE},001,护林,2026-10,1,1", "C2", "没有"),
        ("attendance", f"{VILLAGE},001,保洁,2026-10,1.5,1", "E2", "最多记 1"),
        ("attendance", f"{VILLAGE},001,保洁,2026-13,1,1", "D2", "2026"),
        ("measures", f"{VILLAGE},001,积分,2026-10,-1", "E2", "不在"),
        ("measures", f"{VILLAGE},001,积分,2026-10,0.0001", "E2", "三位"),
        ("shares", f"1号站,{VILLAGES[1]},按村数,1.5,2026-01-01", "D2", "太小或太细"),
        ("shares", f"没有的站,{VILLAGES[1]},按村数,1,2026-01-01", "A2", "没有登记"),
        ("holdings", f"2号站,{VILLAGES[1]},0,2026-01-01", "C2", "是 0"),
        ("archive", "3号站,2026-01-01,很多,国家目录,2018-07-30", "C2", "不是非负的数"),
        ("archive", "3号站,2026-01-01,1,看情况,2018-07-30", "D2", "可选项"),
        ("systems", f"3号站,{VILLAGE},001,5,2020-06-30", "A2", "不是户用"),
        ("systems", f"户用一组,{VILLAGE},999,5,2020-06-30", "C2", "没有登记"),
    ],
)
def test_a_wrong_cell_is_named_with_how_to_mend_it(ready, kind, row, place, words):
    with ready.database.reading() as session:
        look = preview(session, CLERK, ready.ring, upload(kind, row), NOW)
    (problem, *_) = look.all_problems
    assert (problem.where, words in problem.what) == (place, True), problem
    assert problem.how_to_fix


def test_one_station_has_one_basis_of_shares(ready):
    mixed = upload(
        "shares", f"1号站,{VILLAGES[1]},按容量,60,2026-01-01", f"1号站,{VILLAGES[2]},按村数,1,2026-01-01"
    )
    with ready.database.reading() as session:
        look = preview(session, CLERK, ready.ring, mixed, NOW)
    assert "份额依据是“按容量”" in look.all_problems[0].what


def test_later_facts_stand_in_the_way_of_an_undo(ready):
    with ready.database.transaction() as session:
        batch = commit(session, CLERK, ready.ring, upload("measures"), NOW)
        changed = upload("measures", f"{VILLAGE},001,积分,2026-10,20")
        commit(session, CLERK, ready.ring, changed, LATER)
        with pytest.raises(ProblemsError, match="之后又有人改过"):
            undo(session, CLERK, batch.id, LATER)
        assert [one.value for one in measures(session, CLERK, VILLAGE)] == [20]


def test_a_neighbours_station_and_households_are_out_of_reach(ready):
    elsewhere = Actor("x", "外县", Role.COUNTY, "520492000000")
    with ready.database.reading() as session:
        for kind in FILES:
            look = preview(session, elsewhere, ready.ring, upload(kind), NOW)
            refused = look.count(Outcome.REFUSED)
            assert refused == len(look.rows) or kind == "holdings", kind
