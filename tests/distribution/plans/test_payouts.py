"""Published payouts: those that close recompute to the fen, those that do not are found out."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from distribution.money import parse_yuan, round_fen, yuan
from distribution.plans.allocation import allocate
from distribution.plans.cases import run_case
from distribution.plans.document import Case, load_plan
from distribution.plans.inputs import parse_input
from distribution.plans.templates import template_path

FOLDER = Path(__file__).parents[2] / "cases" / "plans" / "payouts"
FILES = sorted(FOLDER.glob("*.json"))


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def plan_of(document):
    return load_plan(
        template_path(document["template"]) if "template" in document else FOLDER / document["plan"]
    )


def cases():
    return [
        pytest.param(path, number, id=f"{path.stem}-{number}")
        for path in FILES
        for number in range(len(read(path).get("cases", [])))
    ]


def allocation_of(path, number=0):
    document = read(path)
    return allocate(plan_of(document), parse_input(document["cases"][number]["input"]))


def test_all_fifteen_published_payouts_are_kept():
    assert len(FILES) == 15
    assert {read(path)["recomputes"] for path in FILES} == {True, False, "partly"}


@pytest.mark.parametrize(("path", "number"), cases())
def test_a_published_payout_recomputes_or_is_found_out(path, number):
    document = read(path)
    case = Case.model_validate(document["cases"][number])
    assert run_case(plan_of(document), case, path.name) == []


@pytest.mark.parametrize(
    "path", [path for path in FILES if "products" in read(path)], ids=lambda path: path.stem
)
def test_published_energy_times_price_is_the_published_amount(path):
    for item in read(path)["products"]:
        exact = Decimal(item["quantity"]) * Decimal(item["price"]) * 100
        assert yuan(round_fen(exact)).replace(",", "") == item["yuan"]


def test_a_settlement_closes_only_when_each_tariff_line_is_rounded():
    tariff = read(FOLDER / "02_shushan_2017q3.json")["tariff"]
    fee, subsidy = parse_yuan(tariff["fee"]), parse_yuan(tariff["subsidy"])
    price, total = Decimal(tariff["price"]) * 100, tariff["kwh"]
    before, after = (Decimal(text) * 100 for text in tariff["benchmarks"])
    assert fee + subsidy == price * total
    per_line, on_the_sum = [], []
    for kwh in range(total + 1):
        rest = total - kwh
        fees = (kwh * before, rest * after)
        subsidies = (kwh * (price - before), rest * (price - after))
        if sum(map(round_fen, fees)) == fee and sum(map(round_fen, subsidies)) == subsidy:
            per_line.append([kwh, rest])
        if round_fen(sum(fees)) == fee and round_fen(sum(subsidies)) == subsidy:
            on_the_sum.append([kwh, rest])
    assert per_line == [tariff["split"]]
    assert on_the_sum == []


def test_the_definition_of_the_eighty_percent_test_gives_the_published_ratio():
    path = FOLDER / "06_hefei_2020.json"
    assert read(path)["says"] in allocation_of(path).tests[0].text
    old, new, total = read(path)["posts"]
    assert old + new == total


def test_the_two_rules_of_one_period_give_the_published_figures_in_ten_thousand_yuan():
    path = FOLDER / "07_liujiapu_2020.json"
    allocation = allocation_of(path)
    purses = {item.purse: item.amount_fen for item in allocation.purses}
    sums = {
        "collective": purses["collective"],
        "households": purses["share_households"] + purses["labour"],
        "operations": purses["management"] + allocation.deductions[0].amount_fen,
    }
    expected = {name: Fraction(text) for name, text in read(path)["tenths"].items()}
    assert {name: Fraction(round_fen(Fraction(fen, 100_000)), 10) for name, fen in sums.items()} == expected
    assert sum(sums.values()) == 7_300_000


def test_a_contract_is_divided_over_stations_and_years():
    quotient = read(FOLDER / "41_guangshui_2019.json")["quotient"]
    each = round_fen(Fraction(parse_yuan(quotient["yuan"]), quotient["parts"]))
    assert each == parse_yuan(quotient["each"])


def test_forty_seven_households_share_to_the_fen():
    path = FOLDER / "45_fuxing.json"
    lines = [line.amount_fen for line in allocation_of(path).lines if line.purse == "households"]
    counts = {text: lines.count(parse_yuan(text)) for text in read(path)["line_counts"]}
    assert counts == read(path)["line_counts"]
    assert sum(lines) == 18_000_000
