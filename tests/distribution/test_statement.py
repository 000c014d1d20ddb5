from datetime import UTC, date, datetime

from distribution.statement.household import household_statement
from distribution.statement.station import station_money
from distribution.statement.village import statement_months, village_statement
from distribution.tracing import entry_of, trace_line, trace_settlement, village_book
from distribution.verification import verify
from registry.actors import SYSTEM, Actor, Role

FIRST, SECOND = "520499101201", "520499101202"
LATER = datetime(2026, 11, 26, 2, 0, tzinfo=UTC)


def test_a_village_can_check_the_sum_by_hand(booked):
    with booked.database.reading() as session:
        sheet = village_statement(session, SYSTEM, FIRST, "2026-10")
    assert sheet.is_booked
    assert sheet.income_fen == 773300
    assert sheet.income_fen - sheet.deductions_fen == sheet.distributable.amount_fen == sheet.total_fen
    assert sheet.difference_fen == 0
    assert sheet.total_uppercase.startswith("人民币")
    assert sum(figure.amount_fen for figure in sheet.purses) == sheet.total_fen
    assert {figure.label: figure.amount_fen for figure in sheet.receivables} == {
        "待到账财政补贴": 598200 + 498500
    }
    assert sheet.exported_energy_wh == 42_000_000


def test_a_computed_run_shows_the_same_figures_before_it_is_booked(county):
    county.october()
    county.cost()
    county.close()
    with county.database.reading() as session:
        draft = village_statement(session, SYSTEM, FIRST, "2026-10")
    assert not draft.is_booked
    assert draft.difference_fen == 0
    county.to_notice()
    county.close(now=LATER)
    county.approve()
    county.close(now=LATER)
    with county.database.reading() as session:
        final = village_statement(session, SYSTEM, FIRST, "2026-10")
    assert [(line.line_no, line.amount_fen) for line in draft.lines] == [
        (line.line_no, line.amount_fen) for line in final.lines
    ]


def test_every_figure_links_to_entries_that_exist(booked):
    with booked.database.reading() as session:
        sheet = village_statement(session, SYSTEM, FIRST, "2026-10")
        figures = [*sheet.income, *sheet.deductions, sheet.distributable, *sheet.purses]
        for figure in figures:
            assert figure.entries
            for entry in figure.entries:
                assert entry_of(session, SYSTEM, entry) is not None


def test_from_one_yuan_back_to_the_meter_reading(booked):
    with booked.database.reading() as session:
        sheet = village_statement(session, SYSTEM, FIRST, "2026-10")
        line = next(line for line in sheet.lines if line.household_id)
        way = trace_line(session, SYSTEM, sheet.run.id, line.line_no)
    kinds = [step.kind for step in way]
    for kind in ("line", "rule", "entry", "receipt", "settlement", "reading"):
        assert kind in kinds
    assert any("电表 M2：（350 − 50）× 倍率 100 = 30000 千瓦时" in step.text for step in way)


def test_from_the_meter_reading_on_to_every_household(booked):
    with booked.database.reading() as session:
        sheet = village_statement(session, SYSTEM, FIRST, "2026-10")
        way = trace_settlement(session, SYSTEM, "settlement:s2:2026-10:1")
        stranger = Actor("x", "别县", Role.VILLAGE, "530000000001")
        assert trace_settlement(session, stranger, "settlement:s2:2026-10:1") == ()
        assert trace_settlement(session, SYSTEM, "settlement:none:2026-10:1") == ()
    assert way[0].text == "电表 M2：（350 − 50）× 倍率 100 = 30000 千瓦时"
    kinds = {step.kind for step in way}
    assert kinds == {"reading", "settlement", "entry", "receipt", "run", "line"}
    parts = {step.reference: step.amount_fen for step in way if step.kind == "run"}
    assert parts == {sheet.run.id: 351_500, booked.run(SECOND).id: 703_000}
    mine = [step for step in way if step.kind == "line" and step.reference.startswith(sheet.run.id)]
    assert sum(step.amount_fen for step in mine) == sheet.total_fen
    assert any(step.text.endswith("未发放") for step in mine)


def test_a_household_sheet_adds_up_and_explains_each_amount(booked):
    with booked.database.reading() as session:
        sheet = village_statement(session, SYSTEM, FIRST, "2026-10")
        own = household_statement(session, SYSTEM, "h_201_1", "2026")
    assert own.total_fen == sum(line.amount_fen for line in sheet.lines if line.household_id == "h_201_1")
    assert own.owed_fen == own.total_fen
    assert all(line.steps for line in own.lines)


def test_a_household_sheet_counts_only_what_is_booked(county):
    county.october()
    county.cost()
    county.close()
    with county.database.reading() as session:
        own = household_statement(session, SYSTEM, "h_201_1", "2026")
    assert own.lines
    assert own.booked == ()
    assert own.pending_fen == sum(line.amount_fen for line in own.lines) > 0
    assert own.total_fen == own.paid_fen + own.owed_fen == 0
    assert own.total_uppercase == "人民币零元整"


def test_a_stations_money_says_what_is_owed_and_what_came(booked):
    with booked.database.reading() as session:
        (month,) = station_money(session, SYSTEM, "s2")
    assert (month.electricity_fen, month.electricity_received_fen) == (1_054_500, 1_054_500)
    assert month.outstanding_fen == 1_495_500


def test_nobody_reads_a_statement_outside_his_area(booked):
    stranger = Actor("x", "邻村", Role.VILLAGE, SECOND)
    with booked.database.reading() as session:
        assert village_statement(session, stranger, FIRST, "2026-10") is None
        assert household_statement(session, stranger, "h_201_1", "2026") is None
        assert village_book(session, stranger, FIRST) == ()
        assert statement_months(session, stranger, FIRST) == ()


def test_the_books_lines_are_in_words(booked):
    with booked.database.reading() as session:
        lines = village_book(session, SYSTEM, FIRST)
    assert {"应收电费", "可分配收益", "应付农户款"} <= {line.account for line in lines}
    assert lines[0].business_date <= date(2026, 10, 31)


def test_postgresql_shows_the_same_statement_and_verifies(booked, booked_postgres):
    sheets = []
    for made in (booked, booked_postgres):
        with made.database.reading() as session:
            sheet = village_statement(session, SYSTEM, FIRST, "2026-10")
            assert verify(session) == []
            assert trace_line(session, SYSTEM, sheet.run.id, 1)
            assert household_statement(session, SYSTEM, "h_201_1", "2026-10").total_fen
            sheets.append([(line.name, line.item, line.amount_fen, line.basis) for line in sheet.lines])
            sheets[-1].append((sheet.total_fen, sheet.difference_fen, sheet.income_fen))
    assert sheets[0] == sheets[1]
