"""Intake: a dry run that tells the truth, cells that are wrong and how to mend them, undo."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
import xlsxwriter
from sqlalchemy import text

from registry import audit, enrolment, households, intake, stations
from registry.actors import Actor, NotPermittedError, Role
from registry.intake import Outcome, Upload
from store.problem import ProblemsError

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
CLERK = Actor("clerk", "县经办", Role.COUNTY, "520491000000")
VILLAGE = "520491100201"
HOMES = ["村代码", "户编号", "户主姓名", "登记日期", "户主身份证号", "户类别", "开户行", "银行账号"]


def as_csv(*rows: list[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode("utf-8-sig")


def as_xlsx(write: Callable[[xlsxwriter.Workbook], None]) -> bytes:
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    write(book)
    book.close()
    return buffer.getvalue()


def homes(*rows: list[str]) -> Upload:
    return Upload("households", "户.csv", as_csv(HOMES, *rows))


def look(world, upload: Upload, actor: Actor = CLERK) -> intake.Preview:
    with world.database.reading() as session:
        return intake.preview(session, actor, world.ring, upload, NOW)


def take(world, upload: Upload, now: datetime = NOW) -> intake.Batch:
    with world.database.transaction() as session:
        return intake.commit(session, CLERK, world.ring, upload, now)


def take_back(world, batch: intake.Batch) -> None:
    with world.database.transaction() as session:
        intake.undo(session, CLERK, batch.id, LATER)


def registry_of(world) -> object:
    """What people can read of the registry, ids left out."""
    with world.database.reading() as session:
        found = households.households(session, CLERK)
        return (
            [(one.village_code, one.number, one.name, one.registered_on) for one in found],
            [stations.station(session, CLERK, one.id) for one in stations.stations(session, CLERK)],
            [
                (one.number, member.name, member.id_number_masked, member.phone_masked, member.labour_class)
                for one in found
                for member in households.members(session, CLERK, world.ring, one.id)
            ],
            [(one.number, c.class_name) for one in found for c in households.classes(session, CLERK, one.id)],
            [
                (one.number, account.bank, account.account_masked)
                for one in found
                for account in households.payee_accounts(session, CLERK, one.id)
            ],
            sorted(map(str, enrolment.enrolments(session, CLERK))),
        )


@pytest.fixture
def new_home(id_number) -> list[str]:
    account = "6217000000009001"
    return [VILLAGE, "101", "李小四", "2026-10-01", id_number(555), "脱贫户、低保", "农信社", account]


def test_a_new_household_is_taken_in_whole_and_told_before(filled, new_home) -> None:
    seen = look(filled, homes(new_home))
    assert (seen.summary, seen.all_problems) == ("新增 1，修改 0，不变 0，错误 0", ())
    batch = take(filled, homes(new_home))
    assert (batch.added, batch.refused) == (1, 0)
    with filled.database.reading() as session:
        (home,) = [one for one in households.households(session, CLERK, VILLAGE) if one.number == "101"]
        (member,) = households.members(session, CLERK, filled.ring, home.id)
        (account,) = households.payee_accounts(session, CLERK, home.id)
        classes = households.classes(session, CLERK, home.id)
    assert (home.name, home.registered_on) == ("李小四", date(2026, 10, 1))
    assert member.is_head
    assert member.id_number_masked.endswith(new_home[4][-4:])
    assert account.account_masked == "**** 9001"
    assert [one.class_name for one in classes] == ["低保", "脱贫户"] or len(classes) == 2


def test_the_same_file_again_changes_nothing(filled, new_home) -> None:
    take(filled, homes(new_home))
    seen = look(filled, homes(new_home))
    assert seen.summary == "新增 0，修改 0，不变 1，错误 0"
    before = registry_of(filled)
    take(filled, homes(new_home), LATER)
    assert registry_of(filled) == before


def test_a_change_is_shown_masked_and_empty_cells_leave_things_as_they_are(
    filled, new_home, id_number
) -> None:
    take(filled, homes(new_home))
    changed = [VILLAGE, "101", "李四", "", id_number(556), "", "", ""]
    (row,) = look(filled, homes(changed)).rows
    assert row.outcome is Outcome.CHANGED
    shown = {change.title: (change.before, change.after) for change in row.changes}
    assert shown["户主姓名"] == ("李小四", "李四")
    assert all("*" in part for part in shown["户主身份证号"])
    assert id_number(556) not in repr(row)
    take(filled, homes(changed), LATER)
    assert look(filled, homes(changed)).rows[0].outcome is Outcome.UNCHANGED


def test_an_import_never_replaces_a_payee_account_nor_ends_a_class(filled, new_home) -> None:
    take(filled, homes(new_home))
    other = [*new_home[:5], "脱贫户", "邮储", "6210000000000002"]
    (row,) = look(filled, homes(other)).rows
    assert row.outcome is Outcome.UNCHANGED
    assert any("收款账户与已登记的不同" in said for said in row.warnings)
    assert any("“低保”不在表中" in said for said in row.warnings)


WRONG = {
    1: ("123", "A2", "12 位"),
    2: ("0 0/1", "B2", "户编号"),
    3: ("=cmd", "C2", "不像姓名"),
    4: ("2026-02-30", "D2", "不存在"),
    5: ("11010519491231002Y", "E2", "18 位"),
    6: ("富农", "F2", "户类别"),
    8: ("62", "H2", "8 到 32 位"),
}


@pytest.mark.parametrize("column", sorted(WRONG))
def test_a_wrong_cell_is_named_by_its_address_and_how_to_mend_it(filled, new_home, column) -> None:
    written, address, word = WRONG[column]
    row = list(new_home)
    row[column - 1] = written
    seen = look(filled, homes(row))
    assert seen.rows[0].outcome is Outcome.REFUSED
    assert [problem.where for problem in seen.all_problems] == [address]
    assert word in seen.all_problems[0].what
    assert seen.all_problems[0].how_to_fix
    with pytest.raises(ProblemsError):
        take(filled, homes(row))


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"身份证号": 520491196001010000}, "数字格式"),
        ({"身份证号": 123456}, "数字格式"),
        ({"银行账号": 6217000000001234}, "数字格式"),
        ({"银行账号": 62170000}, "数字格式"),
    ],
)
def test_a_numeric_cell_in_an_id_or_card_column_is_refused(filled, values, word) -> None:
    def write(book) -> None:
        sheet = book.add_worksheet("户")
        sheet.write_row(0, 0, ["村代码", "户编号", "户主姓名", "登记日期", "开户行", *values])
        sheet.write_row(1, 0, [VILLAGE, "101", "李四", "2026-10-01", "农信社", *values.values()])

    seen = look(filled, Upload("households", "户.xlsx", as_xlsx(write)))
    assert [problem.where for problem in seen.all_problems] == ["F2"]
    assert word in seen.all_problems[0].what
    assert "文本" in seen.all_problems[0].how_to_fix


def test_a_number_that_excel_wrote_as_5e17_is_refused(filled, new_home) -> None:
    new_home[4] = "5.20491E+17"
    assert [problem.where for problem in look(filled, homes(new_home)).all_problems] == ["E2"]


def test_full_width_digits_and_lower_case_x_are_understood(filled, new_home) -> None:
    new_home[0] = "５２０４９１１００２０１"
    new_home[3] = "２０２６年１０月１日"
    assert look(filled, homes(new_home)).summary.startswith("新增 1")


def test_titles_above_the_header_a_guessed_column_totals_and_blank_rows_are_coped_with(filled) -> None:
    content = as_csv(
        ["光伏帮扶户信息表", "", "", ""],
        ["填报单位：某县", "", "", ""],
        ["行政村代码", "户编号 *", "户主名字", "纳入日期（年月日）"],
        [VILLAGE, "101", "李四", "20261001"],
        ["", "", "", ""],
        ["合  计", "1", "", ""],
    )
    seen = look(filled, Upload("households", "户.csv", content))
    assert seen.summary.startswith("新增 1")
    assert seen.rows[0].row_no == 4
    assert any("合计" in said for said in seen.warnings)
    assert any("户主姓名" in said for said in seen.warnings)


def test_a_missing_column_an_empty_list_and_two_alike_sheets_are_refused_in_words(filled) -> None:
    missing = look(filled, Upload("households", "户.csv", as_csv(["村代码", "户主姓名"], [VILLAGE, "李四"])))
    assert [problem.what for problem in missing.problems] == ["找不到“户编号”列"]
    assert "没有数据" in look(filled, homes()).problems[0].what

    def write(book) -> None:
        for name in ("一", "二"):
            book.add_worksheet(name).write_row(0, 0, HOMES)

    twice = look(filled, Upload("households", "户.xlsx", as_xlsx(write)))
    assert "“一”、“二”" in twice.problems[0].what


def test_merged_cells_among_the_rows_are_refused_and_hidden_sheets_are_left_alone(filled) -> None:
    def write(book) -> None:
        sheet = book.add_worksheet("户")
        sheet.write_row(0, 0, HOMES[:4])
        sheet.merge_range("A2:A3", VILLAGE)
        sheet.write_row(1, 1, ["101", "李四", "2026-10-01"])
        sheet.write_row(2, 1, ["102", "李五", "2026-10-01"])
        hidden = book.add_worksheet("旧")
        hidden.write_row(0, 0, HOMES[:4])
        hidden.hide()

    seen = look(filled, Upload("households", "户.xlsx", as_xlsx(write)))
    assert [row.outcome for row in seen.rows] == [Outcome.REFUSED] * 2
    assert "合并单元格" in seen.rows[0].problems[0].what


def test_a_repeated_row_is_refused_with_the_row_it_repeats(filled, new_home) -> None:
    again = [*new_home[:2], "李七", *new_home[3:4], "", "", "", ""]
    seen = look(filled, homes(new_home, again))
    assert [row.outcome for row in seen.rows] == [Outcome.ADDED, Outcome.REFUSED]
    assert "与第 2 行重复" in seen.rows[1].problems[0].what


def test_a_village_of_another_county_or_an_unknown_one_is_refused(filled, new_home) -> None:
    elsewhere = ["520492100201", *new_home[1:4], "", "", "", ""]
    unknown = ["520491100299", *new_home[1:4], "", "", "", ""]
    whats = [problem.what for problem in look(filled, homes(elsewhere, unknown)).all_problems]
    assert whats == ["520492100201 不在您的辖区内", "520491100299 不是已登记的村"]


def test_a_person_of_another_household_is_refused(filled, new_home) -> None:
    new_home[4] = filled.id_number_of["h0-1"]
    assert [problem.what for problem in look(filled, homes(new_home)).all_problems] == [
        "这个人已登记在另一户"
    ]


def test_a_file_that_is_no_table_is_a_problem_and_not_an_error(filled) -> None:
    for content in (b"", b"%PDF-1.7", b"<html></html>", b"PK\x03\x04broken", b"\x00\x01\x02"):
        assert look(filled, Upload("households", "户.xlsx", content)).problems


def test_partial_takes_in_the_rest(filled, new_home) -> None:
    bad = ["123", *new_home[1:]]
    upload = homes(new_home, bad)
    with pytest.raises(ProblemsError):
        take(filled, upload)
    batch = take(filled, Upload(upload.kind, upload.file_name, upload.content, partial=True))
    assert (batch.added, batch.refused) == (1, 1)


def test_a_dry_run_writes_nothing(filled, new_home) -> None:
    def count() -> list[int]:
        with filled.database.reading() as session:
            tables = ("household", "household_member", "payee_account", "import_batch", "audit_event")
            return [session.scalar(text(f"SELECT count(*) FROM {name}")) for name in tables]  # noqa: S608

    before = count()
    look(filled, homes(new_home))
    assert count() == before


def test_no_plain_identifier_is_kept_with_the_batch(filled, new_home) -> None:
    take(filled, homes(new_home))
    with filled.database.reading() as session:
        kept = repr(session.execute(text("SELECT * FROM import_row")).all())
    assert new_home[4] not in kept
    assert new_home[7] not in kept


def test_undo_brings_back_what_was_there(filled_both, new_home, id_number) -> None:
    before = registry_of(filled_both)
    batch = take(filled_both, homes(new_home))
    take_back(filled_both, batch)
    assert registry_of(filled_both) == before
    again = take(filled_both, homes(new_home), LATER)
    taken = registry_of(filled_both)
    changed = [VILLAGE, "101", "李四", "2026-09-01", id_number(556), "监测对象", "", ""]
    second = take(filled_both, homes(changed), LATER)
    assert registry_of(filled_both) != taken
    take_back(filled_both, second)
    assert registry_of(filled_both) == taken
    take_back(filled_both, again)
    assert registry_of(filled_both) == before
    with pytest.raises(ProblemsError, match="已经撤销过"):
        take_back(filled_both, again)


def test_undo_of_what_was_used_since_is_refused_and_changes_nothing(filled, new_home) -> None:
    batch = take(filled, homes(new_home))
    with filled.database.transaction() as session:
        (home,) = [one for one in households.households(session, CLERK, VILLAGE) if one.number == "101"]
        enrolment.enrol(session, CLERK, enrolment.Enrolment(home.id, VILLAGE, "分红", date(2026, 11, 1)), NOW)
    before = registry_of(filled)
    with filled.database.transaction() as session, pytest.raises(ProblemsError, match="不能整批撤销"):
        intake.undo(session, CLERK, batch.id, LATER)
    assert registry_of(filled) == before


def test_batches_are_listed_and_undone_inside_the_area_only_and_audited(filled, new_home) -> None:
    batch = take(filled, homes(new_home))
    stranger = Actor("x", "外县", Role.COUNTY, "520492000000")
    with filled.database.transaction() as session:
        assert [one.id for one in intake.batches(session, CLERK)] == [batch.id]
        assert intake.batches(session, stranger) == ()
        with pytest.raises(LookupError):
            intake.undo(session, stranger, batch.id, LATER)
        with pytest.raises(NotPermittedError):
            intake.preview(
                session, Actor("v", "村", Role.VILLAGE, VILLAGE), filled.ring, homes(new_home), NOW
            )
        auditor = Actor("a", "审计", Role.AUDITOR)
        assert audit.events(session, auditor, object_id=batch.id)[0].action == "import"
        assert audit.verify(session) == []


def test_a_wrong_check_digit_is_found_whatever_digit_it_is(filled, new_home) -> None:
    right = new_home[4]
    for last in "0123456789X":
        new_home[4] = right[:-1] + last
        whats = [problem.what for problem in look(filled, homes(new_home)).all_problems]
        assert (whats == []) == (last == right[-1])
        assert all("校验位" in what for what in whats)
