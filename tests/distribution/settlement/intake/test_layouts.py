"""Layouts of grid companies: proposed from the file, saved in revisions, found again by name."""

from datetime import UTC, datetime

import pytest

from distribution.settlement.intake.layouts import heading_choice, layout_named, save_layout, saved_layouts
from distribution.settlement.statements import read_statement, stream_statement
from registry.actors import SYSTEM, Actor, Role
from store.problem import ProblemsError

NOW = datetime(2026, 11, 20, tzinfo=UTC)
FINANCE = Actor("u_finance", "县财务", Role.FINANCE, "520499000000")
FILE = "编号,出账年月,上网电量(万度),上网电价,结算电费\n0001,2026-10,1.2,0.3515,4218.00\n".encode()
COLUMNS = {
    "account_number": "编号",
    "month": "出账年月",
    "exported_energy": "上网电量(万度)",
    "electricity_price": "上网电价",
    "electricity": "结算电费",
}


def save(county, columns=COLUMNS, unit="万kWh", company="甲供电公司", at=NOW):
    with county.database.transaction() as session:
        return save_layout(session, FINANCE, company, (unit, columns), at)


def test_a_mapping_is_proposed_saved_once_and_used_by_name(county, tmp_path):
    choice = heading_choice(FILE, "甲.csv")
    assert choice.headings[0] == "编号"
    assert choice.proposed["electricity_price"] == "上网电价"
    assert save(county).revision == 1
    assert save(county).revision == 1
    assert save(county, unit="kWh").revision == 2
    assert save(county).revision == 3
    with county.database.reading() as session:
        layout = layout_named(session, SYSTEM, "甲供电公司")
        assert [one.company for one in saved_layouts(session, FINANCE)] == ["甲供电公司"]
        elsewhere = Actor("x", "外县", Role.FINANCE, "520498000000")
        assert saved_layouts(session, elsewhere) == ()
    (row,) = read_statement(FILE, "甲.csv", layout).rows
    assert row.line.exported_energy_wh == 12_000_000
    path = tmp_path / "甲.csv"
    path.write_bytes(FILE)
    assert stream_statement(path, layout).rows == read_statement(path, "甲.csv", layout).rows


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"columns": {"account_number": "编号"}}, "没有选"),
        ({"columns": COLUMNS | {"electricity": "编号"}}, "都选了"),
        ({"columns": COLUMNS | {"strange": "x"}}, "没有“strange”"),
        ({"unit": "度"}, "不认识"),
        ({"company": " "}, "没有名称"),
        ({"company": "standard"}, "没有名称"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(county, change, said):
    with pytest.raises(ProblemsError) as caught:
        save(county, **change)
    assert any(said in problem.what for problem in caught.value.problems)


def test_a_name_that_nobody_saved_is_told(county):
    with county.database.reading() as session, pytest.raises(ProblemsError, match="没有这家供电公司"):
        layout_named(session, FINANCE, "../../pyproject")
