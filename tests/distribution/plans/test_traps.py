"""Slips that would give a plausible result are found when a plan is checked, with the place."""

import pytest

from distribution.plans.checks import check_plan
from distribution.plans.document import load_plan
from distribution.plans.templates import template_names, template_path
from distribution.plans.traps import find_traps
from tests.distribution.plans.test_checks import HEAD, SPLIT, problems_of

DEDUCT = """[[step]]
kind = "deduct"
name = "fee"
from = "posts"
percent = "5%"
"""
CAPPED = DEDUCT.replace('"deduct"', '"actual_cost"').replace("percent", 'costs = ["om"]\ncap_percent')
TEST = """[[step]]
kind = "test"
name = "share"
numerator = ["posts"]
"""


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        (SPLIT + DEDUCT, "第 23 行", "没有收入直接计入钱袋“岗位”，结果总是 0"),
        (
            SPLIT
            + DEDUCT.replace('"deduct"', '"actual_cost"').replace("percent", 'costs = ["om"]\ncap_percent'),
            "第 23 行",
            "没有收入直接计入钱袋“岗位”",
        ),
        (SPLIT + TEST + "at_least = 60\n", "step[3].at_least", "at_least 是 6000%，超过 100%"),
        (
            SPLIT + TEST + 'at_least = "60%"\ndenominator = ["net"]\n',
            "step[3].denominator",
            "分母“收益”里的钱都分到别的钱袋去了",
        ),
        (
            SPLIT + '[[step]]\nkind = "by_weight"\nfrom = "posts"\nweight = "person"\n',
            "step[3].weight",
            "权重“person”不是内置的，也太像“persons”",
        ),
        (
            SPLIT + '[[step]]\nkind = "award"\nfrom = "posts"\namount = 5\n'
            "valid_from = 2026-02-01\nvalid_to = 2026-01-01\n",
            "step[3]",
            "这一步永远不生效",
        ),
    ],
)
def test_a_slip_is_found_with_its_place(text, place, says):
    found = [one for one in problems_of(HEAD + text) if says in one]
    assert found, problems_of(HEAD + text)
    assert place in found[0]


def test_a_share_of_the_balance_or_of_named_income_is_no_slip():
    for base in ('"remaining"', '["electricity"]'):
        assert problems_of(HEAD + SPLIT + DEDUCT + f"of = {base}\n") == []


def test_a_test_against_the_income_of_one_component_is_no_slip():
    assert problems_of(HEAD + SPLIT + TEST + 'at_least = "60%"\ndenominator = ["subsidy"]\n') == []


@pytest.mark.parametrize("name", template_names())
def test_no_template_has_a_slip(name):
    plan = load_plan(template_path(name))
    assert list(find_traps(plan)) == []
    assert check_plan(plan) == []
