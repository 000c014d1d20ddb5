"""Every amount says in Chinese how it came about, and a machine can follow it."""

from datetime import date
from fractions import Fraction

from distribution.plans.allocation import allocate
from distribution.plans.document import load_plan
from distribution.plans.explanation import exact_yuan, render_explanation, render_line, render_short
from distribution.types import Component, CostItem, HouseholdInput, IncomePart, PlanInput, Step
from store.canonical import canonical_json

PLAN = load_plan(
    """
id = "example"
title = "示例"
source = "县〔2025〕3 号"
[[purse]]
name = "net"
label = "可分配"
[[purse]]
name = "households"
label = "农户分红"
[[purse]]
name = "collective"
label = "村集体"
rest = "village_collective"
[[step]]
kind = "income"
label = "到账"
components = ["electricity"]
into = "net"
[[step]]
kind = "actual_cost"
name = "maintenance"
label = "运维"
from = "net"
costs = ["maintenance"]
[[step]]
kind = "actual_cost"
name = "rent"
label = "土地租金"
from = "net"
costs = ["rent"]
[[step]]
kind = "split"
from = "net"
parts = { households = "60%", collective = "40%" }
clause = "县〔2025〕3 号 第 4 条"
[[step]]
kind = "by_weight"
from = "households"
clause = "县〔2025〕3 号 第 5 条"
"""
)
VILLAGE = "520499101201"


def month(households):
    return PlanInput(
        VILLAGE,
        "2026-10",
        income=(IncomePart(Component.ELECTRICITY, 1_247_000, date(2026, 10, 20), "回单 18"),),
        costs=(CostItem("maintenance", 120_000, "发票 7"), CostItem("rent", 80_000, "收据 2")),
        households=tuple(HouseholdInput(f"h{number:02d}", VILLAGE) for number in range(households)),
    )


def first_line(households):
    return allocate(PLAN, month(households)).lines[0]


def test_a_line_is_explained_from_the_receipt_to_the_fen():
    assert render_line(first_line(12)) == (
        "到账：电费 12,470.00 元；"
        "运维：发票 7 1,200.00 元；"
        "土地租金：收据 2 800.00 元；"
        "可分配：12,470.00 元 − 1,200.00 元 − 800.00 元 = 10,470.00 元；"
        "农户分红：可分配 10,470.00 元 × 60% = 6,282.00 元（依据：县〔2025〕3 号 第 4 条）；"
        "农户分红：农户分红 6,282.00 元 ÷ 12 户 = 523.50 元（依据：县〔2025〕3 号 第 5 条）"
    )
    assert render_short(first_line(12)) == (
        "可分配 10,470.00 元 × 60% = 6,282.00 元；农户分红 6,282.00 元 ÷ 12 户 = 523.50 元"
    )


def last_step(exact, amount_fen, formula="农户分红 6,282.00 元 ÷ 7 户"):
    return Step("农户分红", formula, (), exact, amount_fen)


def test_a_rounded_line_shows_its_exact_share():
    step = first_line(7).explanation[-1]
    assert step.exact == Fraction(628_200, 7)
    assert "= 897.4285… 元，取 897.4" in render_explanation(step)


def test_the_odd_fen_is_named_only_where_it_differs_from_plain_rounding():
    plain = render_explanation(last_step(Fraction(628_200, 7), 89_743))
    assert plain.endswith("= 897.4285… 元，取 897.43 元")
    given = render_explanation(last_step(Fraction(100, 3), 34))
    assert given.endswith("取 0.34 元（尾差 1 分按最大余额法归此户）")
    left = render_explanation(last_step(Fraction(200, 3), 66))
    assert left.endswith("取 0.66 元（尾差 1 分按最大余额法归他户）")
    part = render_explanation(last_step(Fraction(100, 3), 34, "可分配 1.00 元 × 1 ÷ 3"))
    assert part.endswith("（尾差 1 分按最大余额法归此项）")


def test_seven_equal_shares_name_each_odd_fen():
    lines = [one for one in allocate(PLAN, month(7)).lines if one.payee_id.startswith("h")]
    for line in lines:
        assert ("尾差" in render_line(line)) == (line.amount_fen != 89_743)


def test_the_inputs_of_a_step_name_their_records():
    steps = first_line(12).explanation
    assert [given.source for step in steps for given in step.inputs if given.source][:3] == [
        "回单 18",
        "发票 7",
        "收据 2",
    ]
    assert '"exact":{"fraction":[52350,1]}' in canonical_json(steps[-1])


def test_an_exact_amount_is_cut_to_four_decimals():
    assert exact_yuan(Fraction(100, 3)) == "0.3333…"
    assert exact_yuan(Fraction(-250)) == "-2.5000"
    assert exact_yuan(Fraction(123_456_789)) == "1,234,567.8900"


def test_what_the_collective_keeps_is_explained_too():
    line = allocate(PLAN, month(12)).lines[-1]
    assert line.payee_id == VILLAGE
    assert render_explanation(line.explanation[-1]).startswith(
        "村集体：可分配 10,470.00 元 × 40% = 4,188.00 元"
    )
