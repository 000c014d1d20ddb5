"""Every shipped plan is sound and reproduces its own worked examples."""

import pytest

from distribution.plans.cases import run_cases
from distribution.plans.document import load_plan
from distribution.plans.templates import template_names, template_path


@pytest.mark.parametrize("name", template_names())
def test_a_template_reproduces_its_cases_to_the_fen(name):
    plan = load_plan(template_path(name))
    assert plan.cases
    assert run_cases(plan) == []


def test_an_unknown_template_names_those_that_exist():
    with pytest.raises(FileNotFoundError, match="default_county"):
        template_path("nowhere")
