"""The published description of plans is true: its examples are read, checked and recomputed."""

import json
import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from pydantic import TypeAdapter

from distribution.plans.allocation import allocate
from distribution.plans.cases import run_cases
from distribution.plans.checks import check_plan
from distribution.plans.document import load_plan, plan_schema
from distribution.plans.explanation import render_line
from distribution.plans.input_fields import INPUT_FIELDS
from distribution.plans.inputs import input_schema, parse_input
from distribution.plans.primitives import KIND_WORDS, AnyStep
from distribution.plans.published import recompute

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "plan-format.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
STEPS = TypeAdapter(AnyStep)


def kinds():
    return {get_args(kind.model_fields["kind"].annotation)[0] for kind in get_args(get_args(AnyStep)[0])}


def test_every_kind_of_step_has_a_word():
    assert set(KIND_WORDS) == kinds()


def test_the_whole_example_is_a_sound_plan_that_reproduces_its_case():
    plan = load_plan(BLOCKS[0])
    assert check_plan(plan) == []
    assert run_cases(plan) == []


def test_the_explanation_in_the_text_is_the_one_that_is_given():
    plan = load_plan(BLOCKS[0])
    allocation = allocate(plan, parse_input(plan.cases[0].input))
    line = next(line for line in allocation.lines if line.payee_id == "h1")
    quoted = next(part for part in TEXT.splitlines() if part.startswith("> "))
    assert render_line(line).endswith(quoted.removeprefix("> "))


def test_every_kind_of_step_is_described_with_an_example_that_is_read():
    described = set()
    for block in BLOCKS[1:]:
        for step in tomllib.loads(block).get("step", ()):
            described.add(STEPS.validate_python(step).kind)
    assert kinds() - described == set()
    assert all(f"`{kind}`" in TEXT for kind in kinds())


def test_every_key_of_every_step_is_described():
    for kind in get_args(get_args(AnyStep)[0]):
        for name, field in kind.model_fields.items():
            key = field.alias or name
            assert re.search(rf"\b{key}\b", TEXT), f"{kind.__name__}.{key} is not in docs/plan-format.md"


def described(schema):
    """Yield every property of a JSON Schema with its description."""
    for name, part in {**schema["$defs"], "": schema}.items():
        for key, entry in part.get("properties", {}).items():
            yield f"{name}.{key}", entry.get("description", "")


@pytest.mark.parametrize("schema", [plan_schema, input_schema])
def test_the_published_schema_describes_every_field(schema):
    assert [key for key, words in described(schema()) if not words] == []


def test_the_text_describes_every_field_of_the_input():
    rows = {line for line in TEXT.splitlines() if line.startswith("| `")}
    for record, fields in INPUT_FIELDS.items():
        for name, words in fields.items():
            assert f"| `{name}` | {words} |" in rows, f"{record}.{name}"


def test_the_example_input_is_read():
    block = re.search(r"```json\n(.*?)```", TEXT, re.DOTALL)[1]
    inputs = parse_input(block)
    assert inputs.households[0].measures["work_points"] == 12.5
    assert json.loads(block)["period"] == inputs.period


def test_the_published_list_of_the_split_page_recomputes():
    block = re.search(r"```csv\n(.*?)```", (DOCS / "split.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    assert recompute(block) == []
