"""Every primitive reproduces its worked examples, kept as plans with their cases."""

from pathlib import Path
from typing import get_args

import pytest

from distribution.plans.cases import run_cases
from distribution.plans.checks import check_plan
from distribution.plans.document import load_plan
from distribution.plans.primitives import AnyStep

FOLDER = Path(__file__).parents[2] / "cases" / "plans"
FILES = sorted((FOLDER / "primitives").glob("*.toml"))
VARIANTS = sorted((FOLDER / "variants").glob("*.toml"))


@pytest.mark.parametrize("path", [*FILES, *VARIANTS], ids=lambda path: path.stem)
def test_primitives_alone_and_mixed_reproduce_cases_computed_by_hand(path):
    plan = load_plan(path)
    assert plan.cases
    assert check_plan(plan) == []
    assert run_cases(plan) == []


def test_every_primitive_has_cases():
    kinds = {get_args(kind.model_fields["kind"].annotation)[0] for kind in get_args(get_args(AnyStep)[0])}
    used = {step.kind for path in FILES for step in load_plan(path).steps}
    assert kinds - used == set()
