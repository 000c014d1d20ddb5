"""The other lists: stations, members, enrolments; templates; and files of any content."""

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from documents.reading import read_sheets
from registry import enrolment, households, intake, stations
from registry.actors import Actor, Role
from registry.intake import Outcome, Upload
from registry.intake.values import luhn_holds

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
CLERK = Actor("clerk", "县经办", Role.COUNTY, "520491000000")
VILLAGE = "520491100201"
STATIONS = [
    "电站名称",
    "电站类型",
    "所在村代码",
    "装机容量(kW)",
    "纬度",
    "经度",
    "户号",
    "并网日期",
    "资源区",
]
NEW = ["新站", "联村", VILLAGE, "499.5", "26.25", "105.95", "0520001234", "2018-06-30", "III"]
PARTS = ["村代码", "户编号", "分配项目", "份额", "固定金额(元)", "起始日期", "终止日期", "依据"]


def upload(kind: str, *rows: list[str]) -> Upload:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return Upload(kind, f"{kind}.csv", buffer.getvalue().encode("utf-8-sig"))


def look(world, given_upload: Upload) -> intake.Preview:
    with world.database.reading() as session:
        return intake.preview(session, CLERK, world.ring, given_upload, NOW)


def take(world, given_upload: Upload) -> intake.Batch:
    with world.database.transaction() as session:
        return intake.commit(session, CLERK, world.ring, given_upload, NOW)


def take_back(world, batch: intake.Batch) -> None:
    with world.database.transaction() as session:
        intake.undo(session, CLERK, batch.id, LATER)


def all_stations(world):
    with world.database.reading() as session:
        return stations.stations(session, CLERK)


@pytest.mark.parametrize("kind", sorted(intake.LISTS))
def test_a_template_is_read_back_as_its_own_list(filled, kind) -> None:
    content = intake.template(kind)
    seen = look(filled, Upload(kind, "模板.xlsx", content))
    assert not any("找不到" in problem.what for problem in seen.problems)
    assert len(seen.rows) == 1
    assert not any("当作" in said for said in seen.warnings)


def test_a_station_is_added_changed_and_taken_back(filled) -> None:
    before = all_stations(filled)
    batch = take(filled, upload("stations", STATIONS, NEW))
    (made,) = set(all_stations(filled)) - set(before)
    assert (made.kind, made.rated_power_w, made.tariff_zone) == ("joint", 499_500, "III")
    assert made.grid_connected_on == date(2018, 6, 30)
    changed = [*NEW[:3], "500", *NEW[4:]]
    (row,) = look(filled, upload("stations", STATIONS, changed)).rows
    assert [(one.title, one.before, one.after) for one in row.changes] == [("装机容量(kW)", "499.5", "500")]
    second = take(filled, upload("stations", STATIONS, changed))
    take_back(filled, second)
    assert made in all_stations(filled)
    take_back(filled, batch)
    assert all_stations(filled) == before
    take(filled, upload("stations", STATIONS, NEW))
    assert made in all_stations(filled)


def test_a_station_with_devices_is_not_taken_back(filled) -> None:
    batch = take(filled, upload("stations", STATIONS, NEW))
    made = next(one for one in all_stations(filled) if one.name == "新站")
    with filled.database.transaction() as session:
        device = stations.Device(
            "new-inv", made.id, "inverter", "1号", "sungrow_sg_string", date(2018, 6, 30)
        )
        stations.add_device(session, CLERK, device, NOW)
        with pytest.raises(ValueError, match="不能整批撤销"):
            intake.undo(session, CLERK, batch.id, LATER)


@pytest.mark.parametrize(
    ("column", "value", "word"),
    [
        (1, "风电", "只能填"),
        (3, "0", "不在"),
        (3, "300千瓦", "不是数"),
        (3, "0.00001", "不在"),
        (3, "300.00001", "精确不到"),
        (4, "126.2", "不在"),
        (7, "2036-01-01", "一年以后"),
        (8, "IV", "只能填"),
    ],
)
def test_a_wrong_cell_of_a_station_is_refused(filled, column, value, word) -> None:
    row = list(NEW)
    row[column] = value
    (problem,) = look(filled, upload("stations", STATIONS, row)).all_problems
    assert word in str(problem)
    assert problem.where == f"{'ABCDEFGHI'[column]}2"


def test_a_grid_account_of_another_county_is_refused(filled) -> None:
    row = [*NEW[:6], "05207", *NEW[7:]]
    assert "别的辖区" in look(filled, upload("stations", STATIONS, row)).all_problems[0].what


def test_a_member_is_added_once_and_stays_in_one_household(filled, id_number) -> None:
    header = ["村代码", "户编号", "姓名", "身份证号", "与户主关系", "劳动能力", "联系电话"]
    child = [VILLAGE, "001", "张小三", id_number(777), "子女", "弱劳动力", "13800001111"]
    batch = take(filled, upload("members", header, child))
    assert batch.added == 1
    assert take(filled, upload("members", header, child)).unchanged == 1
    changed = [*child[:5], "无劳动能力", "13900001111"]
    (row,) = look(filled, upload("members", header, changed)).rows
    assert {one.title: one.after for one in row.changes} == {
        "劳动能力": "无劳动能力",
        "联系电话": "139****1111",
    }
    moved = [VILLAGE, "002", *child[2:]]
    assert "另一户" in look(filled, upload("members", header, moved)).all_problems[0].what
    second_head = [VILLAGE, "001", "李四", id_number(778), "户主", "", ""]
    assert "户主已登记为" in look(filled, upload("members", header, second_head)).all_problems[0].what
    take_back(filled, batch)
    with filled.database.reading() as session:
        assert len(households.members(session, CLERK, filled.ring, "h1-1")) == 1


def parts(world):
    with world.database.reading() as session:
        return enrolment.enrolments(session, CLERK, VILLAGE)


def test_an_enrolment_is_added_changed_and_taken_back(filled) -> None:
    before = parts(filled)
    rows = [
        [VILLAGE, "001", "奖励补助", "3", "", "2026-01-01", "", "决议1"],
        [VILLAGE, "002", "公益岗位", "", "500.50", "2026-01-01", "2026-07-01", "决议1"],
    ]
    batch = take(filled, upload("enrolments", PARTS, *rows))
    made = [one for one in parts(filled) if one not in before]
    assert [(one.amount_fen, one.valid_to) for one in made if one.weight == 3] == [(None, None)]
    assert [one.amount_fen for one in made if one.weight is None] == [50_050]
    ended = [*rows[0][:6], "2026-09-01", ""]
    (row,) = look(filled, upload("enrolments", PARTS, ended)).rows
    assert [(one.title, one.after) for one in row.changes] == [("终止日期", "2026-09-01")]
    second = take(filled, upload("enrolments", PARTS, ended))
    take_back(filled, second)
    take_back(filled, batch)
    assert parts(filled) == before


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (["001", "分红", "1", "", "2026-01-01", ""], "重叠"),
        (["001", "奖励", "", "", "2026-01-01", ""], "只填一个"),
        (["001", "奖励", "1", "5", "2026-01-01", ""], "只填一个"),
        (["001", "奖励", "1", "", "2026-01-01", "2025-01-01"], "不晚于"),
        (["999", "奖励", "1", "", "2026-01-01", ""], "没有登记"),
        (["001", "奖励", "1.5", "", "2026-01-01", ""], "整数"),
        (["001", "奖励", "", "1.005", "2026-01-01", ""], "分"),
    ],
)
def test_an_enrolment_that_cannot_be_is_refused(filled, row, word) -> None:
    seen = look(filled, upload("enrolments", PARTS, [VILLAGE, *row, ""]))
    assert word in str(seen.all_problems[0])
    assert seen.rows[0].outcome is Outcome.REFUSED


def test_rows_of_one_file_that_overlap_are_refused_before_anything_is_written(filled) -> None:
    rows = [
        [VILLAGE, "001", "奖励", "1", "", "2026-01-01", "2026-06-01", ""],
        [VILLAGE, "001", "奖励", "2", "", "2026-06-01", "", ""],
        [VILLAGE, "001", "奖励", "2", "", "2026-09-01", "", ""],
    ]
    outcomes = [one.outcome for one in look(filled, upload("enrolments", PARTS, *rows)).rows]
    assert outcomes == [Outcome.ADDED, Outcome.ADDED, Outcome.REFUSED]


def test_the_marked_copy_says_beside_each_row_what_becomes_of_it(filled) -> None:
    given_upload = upload(
        "stations", STATIONS, NEW, ["=1+1", *NEW[1:6], "0520009999", *NEW[7:]], ["x", "风电"]
    )
    sheet = read_sheets(intake.marked_copy(given_upload, look(filled, given_upload)), "标注.xlsx")[0]
    rows = [[cell.text for cell in row] for row in sheet.rows]
    assert rows[0][0] == "新增 2，修改 0，不变 0，错误 1"
    assert [row[-2] for row in rows[1:]] == ["结果", "新增", "新增", "错误"]
    assert "B4" in rows[-1][-1]
    assert rows[3][0] == "=1+1"


def test_a_list_that_does_not_exist_is_named(filled) -> None:
    with pytest.raises(ValueError, match="stations"):
        look(filled, Upload("animals", "x.csv", b"a"))


CELLS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "1e400", "NaN", "=1", "2026-13-45", "00000000", "5" * 18, "\u202e1", "１２", "None", VILLAGE]
    ),
    st.integers(-(10**20), 10**20).map(str),
)
HEADERS = {kind: [column.title for column in one.spec.columns] for kind, one in intake.LISTS.items()}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(sorted(HEADERS)), data=st.data())
def test_any_content_gives_a_preview_and_never_an_error(world, kind, data) -> None:
    header = HEADERS[kind]
    rows = data.draw(st.lists(st.lists(CELLS, min_size=len(header), max_size=len(header)), max_size=3))
    buffer = io.StringIO()
    csv.writer(buffer).writerows([header, *rows])
    content = buffer.getvalue().encode("utf-8", "replace")
    with world.database.reading() as session:
        seen = intake.preview(session, CLERK, world.ring, Upload(kind, "任意.csv", content), NOW)
    for problem in seen.all_problems:
        assert problem.where
        assert problem.what
        assert problem.how_to_fix
    for row in seen.rows:
        assert (row.outcome is Outcome.REFUSED) == bool(row.problems)


@given(st.text("0123456789", min_size=7, max_size=18))
def test_exactly_one_last_digit_passes_the_luhn_check(body) -> None:
    assert sum(luhn_holds(body + digit) for digit in "0123456789") == 1
