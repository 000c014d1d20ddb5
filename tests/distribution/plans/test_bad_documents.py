"""Whatever is wrong in a plan or an input is told in Chinese, with its place, and never as a traceback."""

import copy
import json
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from distribution.plans.allocation import allocate
from distribution.plans.checks import check_plan
from distribution.plans.document import Plan, load_plan, problems_of
from distribution.plans.inputs import parse_input
from store.problem import ProblemsError

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "plan-format.md").read_text(encoding="utf-8")
PLAN_TEXT = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)[0]
INPUT = json.loads(re.search(r"```json\n(.*?)```", TEXT, re.DOTALL)[1])
JUNK = [None, -1, True, 1.5, "x", "", "2026-02-30", "1/0", [], {}, [[]], 10**30, "9" * 5000]
EARLY = "2026-10-01"
ENGLISH = re.compile(r"[A-Za-z]{3,} (?:should|be|is|must) |valid |Input ")


def leaves(value, path=()):
    """Yield the path of every value in a document, containers included."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from leaves(item, (*path, key))


def replaced(document, path, junk):
    changed = copy.deepcopy(document)
    target = changed
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = junk
    return changed


def messages_of(do):
    try:
        do()
    except ProblemsError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize("path", list(leaves(INPUT)), ids=lambda path: ".".join(map(str, path)))
def test_junk_anywhere_in_an_input_is_told_or_harmless(path):
    plan = load_plan(PLAN_TEXT)
    for junk in [*JUNK, "\ud800"]:
        document = replaced(INPUT, path, junk)
        for text in messages_of(lambda document=document: allocate(plan, parse_input(document, "m.json"))):
            assert not ENGLISH.search(text), (path, junk, text)


def test_junk_anywhere_in_a_plan_is_told_or_harmless():
    values = tomllib.loads(PLAN_TEXT)
    values.pop("case")
    told = 0
    for path in leaves(values):
        for junk in JUNK:
            try:
                check_plan(Plan.model_validate(replaced(values, path, junk)))
            except ValidationError as error:
                problems = problems_of(error, "p.toml", {})
                told += len(problems)
                assert not [one for one in problems if ENGLISH.search(str(one))], (path, junk, problems)
    assert told > 500


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        ({"incom": []}, "m.json incom", "没有这样的项"),
        ({"income": [{**INPUT["income"][0], "amount_fen": -5}]}, "m.json income[1].amount_fen", "不能小于 0"),
        ({"income": [{**INPUT["income"][0], "amount_fen": "5"}]}, "income[1].amount_fen", "要写整数"),
        ({"income": [{**INPUT["income"][0], "received_on": "2026-13-01"}]}, "received_on", "不是日期"),
        (
            {"income": [{**INPUT["income"][0], "received_on": 5}]},
            "received_on",
            "5 不是日期",
        ),
        ({"households": [INPUT["households"][0]] * 2}, "m.json households", "编号 h1 出现两次"),
        ({"posts": [INPUT["posts"][0]] * 2}, "m.json posts", "编号 p1 出现两次"),
        ({"posts": [{**INPUT["posts"][0], "household_id": "h9"}]}, "posts.p1", "户 h9 不在 households 中"),
        ({"village_code": "5204"}, "m.json village_code", "“5204”不是 12 位区划代码"),
        ({"period": "2026-13"}, "m.json period", "“2026-13”不是期间"),
        ({"period": "2026-10-05"}, "m.json period", "是一天"),
        ({"period": "9999-12"}, "m.json period", "不是期间"),
        ({"households": [{**INPUT["households"][0], "persons": -3}]}, "households[1].persons", "不能小于 0"),
        (
            {"households": [{**INPUT["households"][0], "valid_from": "2026-10-05", "valid_to": EARLY}]},
            "households.h1",
            "valid_to 2026-10-01 早于 valid_from 2026-10-05",
        ),
        (
            {"posts": [{**INPUT["posts"][0], "rate_unit": "hour", "units": 800}]},
            "posts.p1",
            "出勤 800 小时，而 2026-10 只有 744 小时",
        ),
        (
            {"stations": [{"id": "s1", "rated_power_w": 300, "exported_energy_wh": 31_000_000}]},
            "stations.s1",
            "31000 千瓦时 ÷ 0.3 千瓦 = 103333 小时满发",
        ),
    ],
)
def test_a_wrong_input_says_where_and_what(change, where, what):
    text = "；".join(messages_of(lambda: parse_input({**INPUT, **change}, "m.json")))
    assert where in text
    assert what in text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[]", "最外层要是一个"),
        ("3", "最外层要是一个"),
        ("{", "第 1 行第 2 列读不下去"),
        ('{"period": "2026-10", "period": "2026-11"}', "“period”在同一处写了两次"),
        ('{"village_code": NaN}', "NaN 不是数"),
        ('{"village_code": 1.5}', '小数 1.5 要加引号写成 "1.5"'),
        (b"\xff\xfe\x00", "UTF-8"),
        ("[" * 100_000, "不是可用的 JSON"),
    ],
)
def test_text_that_is_no_input_says_so(text, what):
    assert what in "；".join(messages_of(lambda: parse_input(text, "m.json")))


def test_a_price_far_above_any_tariff_is_pointed_out():
    document = {**INPUT, "income": [{**INPUT["income"][0], "amount_fen": 124_700_000}]}
    document |= {"opening": [], "spendings": []}
    allocation = allocate(load_plan(PLAN_TEXT), parse_input(document))
    assert any("每千瓦时超过 2.00 元" in text for text in allocation.warnings)
