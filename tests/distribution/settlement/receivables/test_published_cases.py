"""Published settlements: to the fen, and what was billed apart from what had arrived."""

import csv
import io
from datetime import UTC, date, datetime
from fractions import Fraction

import pytest

from distribution.exports.papers import paper_csv
from distribution.exports.settlement_papers import Wanted, paper
from distribution.settlement.bank.lines import BankLineFact, keep_lines
from distribution.settlement.bank.matching import MatchDraft, confirm_match, proposals
from distribution.settlement.columns import load_layout
from distribution.settlement.imports import import_statement
from distribution.settlement.receivables.owed import age_word, ageing, by_month, owed_items
from distribution.settlement.receivables.transit import first_in_first_out, held_money
from distribution.settlement.statements import read_statement
from registry.actors import Actor, Role
from registry.stations import RevenueMeter, Station, add_revenue_meter, add_station

FINANCE = Actor("u_finance", "县财务", Role.FINANCE, "520499000000")
COUNTY = Actor("u_county", "县局", Role.COUNTY, "520499000000")
VILLAGE = "520499101201"
NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
TODAY = date(2026, 11, 20)


def half_up(exact):
    return int(exact + Fraction(1, 2))


def fen(kwh, price):
    """The fee of a line in fen, half up, by arithmetic of our own."""
    return half_up(Fraction(price) * kwh * 100)


def yuan(amount):
    return f"{amount // 100}.{amount % 100:02d}"


@pytest.fixture
def large(county):
    """A station big enough for a county's year, with a meter of its own."""
    with county.database.transaction() as session:
        station = Station(
            "big", "汇总电站", "village", VILLAGE, 200_000_000, 26.0, 106.0, account_number="9001"
        )
        add_station(session, COUNTY, station, NOW)
        meter = RevenueMeter("mb", "big", "MB", 1, date(2014, 1, 1))
        add_revenue_meter(session, COUNTY, meter, NOW)
    return county


def bill(month, lines, account="9001", meter="MB"):
    rows = []
    for kwh, price, subsidy, window in lines:
        fee, extra = fen(kwh, price), fen(kwh, subsidy)
        rows.append((account, month, meter, 1, 0, kwh, kwh, price, yuan(fee), subsidy, yuan(extra), window))
    heading = (
        "户号,结算月份,电表编号,倍率,上次示数,本次示数,上网电量(千瓦时),上网电价(元/千瓦时),上网电费(元),"
        "补贴单价(元/千瓦时),补贴金额(元),电价时段"
    )
    return heading, [",".join(map(str, row)) for row in rows]


def import_bill(county, month, lines):
    heading, rows = bill(month, lines)
    content = "\n".join([heading, *rows]).encode("utf-8-sig")
    read = read_statement(content, f"{month}.csv", load_layout("standard"))
    with county.database.transaction() as session:
        result = import_statement(session, FINANCE, read, NOW)
    assert not result.problems, result.problems
    return result


def arrives(county, amount_fen, words, reference="BK1"):
    line = BankLineFact(date(2026, 11, 1), amount_fen, "供电公司", reference, words)
    with county.database.transaction() as session:
        keep_lines(session, FINANCE, ([line], "0" * 64), NOW)
    with county.database.reading() as session:
        found = proposals(session, FINANCE)
    with county.database.transaction() as session:
        for one in found:
            confirm_match(session, FINANCE, MatchDraft(one.edges, one.rule), NOW)
    return found


def month_of(county):
    with county.database.reading() as session:
        return by_month(owed_items(session, FINANCE, station_id="big"))[0]


def test_case_02_rounds_each_tariff_line_and_is_received_to_the_fen(large):
    windows = [(754, "0.3693", "0.6107", "6月"), (360, "0.3844", "0.5956", "7-9月")]
    import_bill(large, "2017-09", windows)
    month = month_of(large)
    assert (month.electricity_fen, month.subsidy_fen) == (41_683, 67_489)
    assert month.owed_fen == 109_172
    once = [half_up(sum(Fraction(price) * kwh for kwh, price, *_ in windows) * 100)]
    once.append(half_up(sum(Fraction(extra) * kwh for kwh, _p, extra, _w in windows) * 100))
    assert once != [41_683, 67_489]
    assert arrives(large, 41_683, "户号9001 2017年9月电费")[0].is_certain
    assert arrives(large, 67_489, "户号9001 2017年9月补贴", "BK2")[0].is_certain
    month = month_of(large)
    assert (month.received_fen, month.subsidy_open_fen, month.electricity_open_fen) == (109_172, 0, 0)
    with large.database.reading() as session:
        made = paper(session, FINANCE, Wanted("account", "2017-09", TODAY, "big"))
    rows = list(csv.reader(io.StringIO(paper_csv(made).decode("utf-8-sig"))))
    assert [row[8] for row in rows[1:-2]] == ["278.45", "138.38"]
    assert rows[-2][8] == "416.83"
    assert rows[-2][10] == "674.89"


def test_case_05_shows_what_is_on_its_way_to_the_townships(large):
    import_bill(large, "2017-03", [(9_358_398, "0.3844", "0.5956", "")])
    month = month_of(large)
    assert month.owed_fen == 917_123_004
    arrives(large, month.electricity_fen, "2017年3月 9001 电费")
    arrives(large, month.subsidy_fen, "2017年3月 9001 补贴", "BK2")
    large.remit(VILLAGE, 783_865_775, date(2026, 11, 5))
    with large.database.reading() as session:
        [held] = [one for one in held_money(session, FINANCE, TODAY) if one.village_code == VILLAGE]
        made = paper(session, FINANCE, Wanted("transit", "2017-03", TODAY))
    assert (held.received_fen, held.remitted_fen, held.held_fen) == (917_123_004, 783_865_775, 133_257_229)
    assert held.held_fen * 10_000 // held.received_fen == 1_452
    assert held.days == 19
    assert "县待拨 1,332,572.29 元" in made.control_text or "县待拨 1332572.29 元" in made.control_text


@pytest.mark.parametrize(
    ("kwh", "prices", "reported_fen", "published_fen"),
    [
        (236_000, ("0.3078", "0.4422"), 7_264_080, 7_300_000),
        (42_097_800, ("0.4161", "0.4339"), 1_751_689_458, 0),
    ],
    ids=["case 07", "case 28"],
)
def test_cases_07_and_28_received_the_benchmark_part_only(large, kwh, prices, reported_fen, published_fen):
    benchmark, extra = prices
    import_bill(large, "2020-04", [(kwh, benchmark, extra, "")])
    arrives(large, fen(kwh, benchmark), "9001 2020年4月电费")
    month = month_of(large)
    assert month.received_fen == reported_fen
    assert not published_fen or abs(month.received_fen - published_fen) * 200 <= published_fen
    assert (month.electricity_open_fen, month.subsidy_received_fen) == (0, 0)
    assert month.subsidy_open_fen == fen(kwh, extra)
    assert month.owed_fen == month.received_fen + month.subsidy_open_fen
    with large.database.reading() as session:
        [row] = ageing(owed_items(session, FINANCE), TODAY)
        made = paper(session, FINANCE, Wanted("subsidy", "2020-04", TODAY))
    assert (row.component, row.total_fen) == ("subsidy", fen(kwh, extra))
    assert row.amounts_fen[-1] == row.total_fen
    assert made.sheet.total[-1] == fen(kwh, extra)


@pytest.mark.parametrize(
    ("days", "word"),
    [
        (0, "0–30 天"),
        (30, "0–30 天"),
        (31, "31–90 天"),
        (90, "31–90 天"),
        (91, "91–180 天"),
        (180, "91–180 天"),
        (181, "181–365 天"),
        (365, "181–365 天"),
        (366, "1–2 年"),
        (730, "1–2 年"),
        (731, "2–3 年"),
        (1096, "3 年以上"),
    ],
)
def test_every_age_has_its_group(days, word):
    assert age_word(days) == word


def test_money_is_passed_on_oldest_first_and_what_was_advanced_waits_for_nobody():
    one, two, three = date(2026, 1, 1), date(2026, 1, 10), date(2026, 2, 1)
    came = [(one, 100), (two, 50)]
    assert first_in_first_out(came, [(three, 120)]) == [(one, three, 100), (two, three, 20), (two, None, 30)]
    assert first_in_first_out(came, [], 100) == [(two, None, 50)]
    assert first_in_first_out([], [(three, 5)]) == []
