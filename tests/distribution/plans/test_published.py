"""Anyone can recompute the published list, and it says nothing about who is who."""

import pytest

from distribution.plans.allocation import allocate
from distribution.plans.document import load_plan
from distribution.plans.inputs import parse_input
from distribution.plans.published import published_csv, recompute
from distribution.plans.templates import template_path
from store.problem import ProblemsError

PLAN = load_plan(template_path("default_county"))
INPUT = parse_input(PLAN.cases[0].input)
TEXT = published_csv(allocate(PLAN, INPUT), "households", INPUT.village_code)


def test_the_published_list_recomputes():
    assert TEXT.splitlines()[0] == "tie_break,weight,amount_yuan"
    assert len(TEXT.splitlines()) == 4
    assert recompute(TEXT) == []


def test_the_published_list_names_nobody():
    assert not any(household.id in TEXT for household in INPUT.households)


def test_a_changed_amount_is_found():
    changed = TEXT.replace("621.18", "621.19").replace("300.57", "300.56")
    assert [problem.where.split()[1] for problem in recompute(changed)]


@pytest.mark.parametrize(
    "text", ["", "a,b,c\n", "tie_break,weight,amount_yuan\nx,1.5,3\n", "tie_break,weight,amount_yuan\nx,1\n"]
)
def test_a_file_that_is_no_list_is_refused(text):
    with pytest.raises(ProblemsError):
        recompute(text)
