"""Exact numbers, yuan and places of a plan file."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distribution.plans.notation.places import line_of, scan
from distribution.plans.notation.values import (
    exact_parts,
    number_text,
    parse_fraction,
    parse_money,
    percent_text,
    rounded_percent_text,
)
from distribution.plans.primitives.base import closes, due_fen
from distribution.plans.primitives.book import level_of, prefix_of
from distribution.plans.states import PlanState, next_state
from store.periods import Period
from store.problem import ProblemsError


@given(st.fractions(min_value=0, max_denominator=10_000))
def test_number_text_reads_back_as_the_same_number(value):
    assert parse_fraction(number_text(value)) == value
    assert parse_fraction(percent_text(value)) == value


@pytest.mark.parametrize("value", [0.6, True, None, "", "abc", "1/0", "-1", "60%%", "1,5", [1]])
def test_what_is_no_exact_number_is_refused(value):
    with pytest.raises(ValueError, match=r"数|不能用"):
        parse_fraction(value)


@pytest.mark.parametrize(
    ("value", "fen"), [(40000, 4_000_000), ("40000.50", 4_000_050), ("1,234.5", 123_450), (0, 0)]
)
def test_money_is_written_in_yuan(value, fen):
    assert parse_money(value) == fen


@pytest.mark.parametrize("value", [0.5, True, -1, "-1", "1.234", "一百"])
def test_what_is_no_amount_is_refused(value):
    with pytest.raises(ValueError, match=r"金额|负数"):
        parse_money(value)


def test_parts_are_all_shares_or_all_ratios():
    assert exact_parts({"a": 3, "b": 2}) == ({"a": Fraction(3), "b": Fraction(2)}, False)
    assert exact_parts({"a": "1/3", "b": "41%"}) == ({"a": Fraction(1, 3), "b": Fraction(41, 100)}, True)
    with pytest.raises(ValueError, match="混写"):
        exact_parts({"a": 3, "b": "40%"})


def test_a_ratio_is_shown_with_two_decimals():
    assert rounded_percent_text(Fraction(34403, 40134)) == "85.72%"
    assert rounded_percent_text(Fraction(0)) == "0.00%"


def test_places_are_found_in_nested_tables_and_behind_long_texts():
    text = 'a = 1\nnote = """\n[[step]]\nkind = "no"\n"""\n'
    text += '[[step]]\nkind = "x"\n[step.sub]\nk = 2\n[[step]]\n"q" = 3\n'
    lines = scan(text)
    assert line_of(lines, ("a",)) == 1
    assert line_of(lines, ("step", 0, "kind")) == 7
    assert line_of(lines, ("step", 0, "sub", "k")) == 9
    assert line_of(lines, ("step", 1, "q")) == 11
    assert line_of(lines, ("step", 1, "missing")) == 10
    assert line_of(lines, ("nowhere",)) is None


@given(st.integers(0, 10**9), st.sampled_from(["month", "quarter", "half_year", "year"]))
def test_the_parts_of_a_year_add_up_to_the_year(amount, per):
    year = Period.parse("2026")
    whole = due_fen(amount, per, year)
    assert whole == amount * {"month": 12, "quarter": 4, "half_year": 2, "year": 1}[per]
    for text in ("2026-{:02d}", "2026-Q{}", "2026-H{}"):
        count = {"2026-{:02d}": 12, "2026-Q{}": 4, "2026-H{}": 2}[text]
        parts = [due_fen(amount, per, Period.parse(text.format(number + 1))) for number in range(count)]
        assert sum(parts) == whole


def test_an_amount_per_period_is_not_cut():
    assert due_fen(100, "period", Period.parse("2026-Q1")) == 100


def test_periods_close_their_cycles():
    closing = {
        per: [m for m in range(1, 13) if closes(Period.parse(f"2026-{m:02d}"), per)]
        for per in ("quarter", "half_year", "year")
    }
    assert closing == {"quarter": [3, 6, 9, 12], "half_year": [6, 12], "year": [12]}
    assert closes(Period.parse("2026-Q2"), "half_year")
    assert not closes(Period.parse("2026-Q3"), "half_year")
    assert closes(Period.parse("2026-05"), "month")


def test_division_codes_have_levels():
    codes = {
        "520499000000": "county",
        "520499101000": "township",
        "520499101201": "village",
        "520400000000": "prefecture",
        "520000000000": "province",
    }
    assert {code: level_of(code) for code in codes} == codes
    assert prefix_of("520499101000") == "520499101"
    assert prefix_of("520499101200") == "520499101200"


def test_a_plan_moves_one_state_at_a_time():
    assert next_state(PlanState.DRAFT, PlanState.TESTED) is PlanState.TESTED
    assert PlanState.PUBLISHED.immutable
    assert not PlanState.APPROVED.immutable
    for wanted in (PlanState.DRAFT, PlanState.PUBLISHED):
        with pytest.raises(ProblemsError):
            next_state(PlanState.DRAFT, wanted)
