"""What the documents say of the registry is what the registry does."""

from pathlib import Path

import pytest

from registry.intake import LISTS
from registry.parameters import shipped

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("kind", sorted(LISTS))
def test_the_intake_page_names_every_column(kind) -> None:
    page = (DOCS / "intake.md").read_text(encoding="utf-8")
    assert f"(`{kind}`)" in page
    for column in LISTS[kind].spec.columns:
        assert f"| {column.title}{'*' if column.required else ''} |" in page


def test_the_parameter_page_names_every_parameter() -> None:
    page = (DOCS / "parameters.md").read_text(encoding="utf-8")
    for parameter in shipped().values():
        assert f"| `{parameter.name}` | {parameter.label} | {parameter.unit} |" in page
