"""A plan that cannot be satisfied is refused with its place and the arithmetic that fails."""

import json

import jsonschema
import pytest

from distribution.plans.allocation import allocate
from distribution.plans.checks import check_plan
from distribution.plans.document import load_plan, plan_hash, plan_schema
from distribution.plans.inputs import input_json, input_schema, parse_input
from distribution.plans.templates import template_names, template_path
from store.problem import ProblemsError

HEAD = """id = "p"
title = "方案"
source = "文件"
[[purse]]
name = "net"
label = "收益"
[[purse]]
name = "posts"
label = "岗位"
rest = "carry_over"
[[purse]]
name = "collective"
label = "村集体"
rest = "village_collective"
[[step]]
kind = "income"
components = ["electricity"]
into = "net"
"""
SPLIT = """[[step]]
kind = "split"
from = "net"
parts = { posts = "60%", collective = "40%" }
"""
MONTH = {
    "village_code": "520499101201",
    "period": "2026-10",
    "income": [
        {"component": "electricity", "amount_fen": 100_000, "received_on": "2026-10-20", "source": "r"}
    ],
}


def problems_of(text):
    try:
        plan = load_plan(text)
    except ProblemsError as error:
        return [str(problem) for problem in error.problems]
    return [str(problem) for problem in check_plan(plan)]


def test_a_sound_plan_has_no_problems():
    assert problems_of(HEAD + SPLIT) == []


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        (SPLIT.replace("40%", "45%"), "第 22 行 step[2].parts", "60% + 45% = 105%，多出 5%"),
        (SPLIT.replace('from = "net"', 'from = "nett"'), "第 19 行", "没有钱袋“nett”"),
        (
            SPLIT + '[[step]]\nkind = "split"\nfrom = "posts"\nparts = { net = 1 }\n',
            "第 23 行",
            "钱袋之间成了圈：岗位 → 收益 → 岗位",
        ),
        (
            SPLIT
            + '[[purse]]\nname = "works"\nlabel = "工程"\n'
            + '[[step]]\nkind = "split"\nfrom = "collective"\nparts = { works = "10%" }\n',
            "第 23 行 purse[4]",
            "钱袋“工程”里的钱没有人可以领",
        ),
        (
            SPLIT + '[[step]]\nkind = "class_table"\nfrom = "posts"\namounts = { "五保" = 100 }\n',
            "第 23 行",
            "类别“五保”没有定义",
        ),
        (
            SPLIT + '[[purse]]\nname = "works"\nlabel = "工程"\nrest = "works"\n',
            "第 23 行",
            "没有一步往钱袋“工程”里放钱",
        ),
        (
            SPLIT + '[[step]]\nkind = "income"\ncomponents = ["electricity"]\ninto = "net"\n',
            "第 23 行",
            "又计一次",
        ),
        (
            2 * '[[step]]\nkind = "actual_cost"\nname = "a"\nfrom = "net"\ncosts = ["tax"]\n' + SPLIT,
            "第 24 行",
            "成本“tax”在第 2 步已经扣除，这里又扣一次",
        ),
        (SPLIT + '[[step]]\nkind = "splitt"\n', "第 23 行", "kind 不认识：splitt"),
        (SPLIT + '[[step]]\nlabel = "x"\n', "第 23 行", "kind 不认识：没有写"),
        (SPLIT.replace("parts", "part"), "step[2].part", "没有这样的项"),
        (SPLIT.replace('"60%"', "0.6"), "step[2].parts", "0.6"),
        (SPLIT.replace('"60%"', "3"), "step[2]", "不能混写"),
        (
            SPLIT + '[[step]]\nkind = "test"\nname = "t"\nnumerator = ["postz"]\nat_least = "60%"\n',
            "第 23 行",
            "没有叫“postz”的钱袋或步骤",
        ),
        (
            '[[step]]\nkind = "deduct"\nname = "a"\nfrom = "net"\npercent = "60%"\n'
            '[[step]]\nkind = "deduct"\nname = "b"\nfrom = "net"\npercent = "50%"\n' + SPLIT,
            "第 24 行",
            "超过 100%：60% + 50% = 110%",
        ),
        (
            '[[step]]\nkind = "by_weight"\nfrom = "net"\nfloor = 300\nceiling = 200\n' + SPLIT,
            "第 22 行",
            "保底 300.00 元高于封顶 200.00 元",
        ),
        (
            SPLIT + 2 * '[[step]]\nkind = "posts"\nname = "x"\nfrom = "posts"\n',
            "第 27 行",
            "名称“x”用了两次",
        ),
        (
            SPLIT + '[[step]]\nkind = "cycle"\nfrom = "collective"\npays = "quarter"\n',
            "第 25 行",
            "按周期发放的钱袋要能结转",
        ),
        (
            SPLIT + '[[step]]\nkind = "override"\nof = ["x"]\nreason = "r"\ndocument = "d"\n',
            "第 23 行",
            "豁免没有起止日期",
        ),
    ],
)
def test_a_faulty_plan_is_refused_with_place_and_arithmetic(text, place, says):
    found = problems_of(HEAD + text)
    assert any(place in problem and says in problem for problem in found), found


def test_a_purse_that_is_taken_from_before_it_is_filled_is_found():
    early = '[[step]]\nkind = "by_weight"\nfrom = "posts"\n'.replace("posts", "net")
    text = HEAD.replace('[[step]]\nkind = "income"', early + '[[step]]\nkind = "income"') + SPLIT
    assert any("在它之前没有一步往里放钱" in problem for problem in problems_of(text))


def test_a_plan_without_income_is_found():
    text = HEAD.replace(
        'kind = "income"\ncomponents = ["electricity"]\ninto = "net"\n', 'kind = "receivables"\n'
    )
    assert any("没有一步计入收入" in problem for problem in problems_of(text + SPLIT))


def test_a_scope_is_a_twelve_digit_code():
    assert any(
        "不是 12 位区划代码" in problem for problem in problems_of('scope = ["5204"]\n' + HEAD + SPLIT)
    )


def test_a_faulty_plan_is_never_applied():
    plan = load_plan(HEAD + SPLIT.replace("40%", "45%"))
    with pytest.raises(ProblemsError, match="105%"):
        allocate(plan, parse_input(MONTH))


def test_text_that_is_no_toml_names_its_line():
    with pytest.raises(ProblemsError, match="line 2"):
        load_plan("id = 'x'\nwhat is this\n")


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path):
    with pytest.raises(ProblemsError, match="读不出来"):
        load_plan(tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"period": "2026-13"}, "period"),
        (
            {"income": [{"component": "gift", "amount_fen": 1, "received_on": "2026-10-20", "source": "r"}]},
            "component",
        ),
        (
            {
                "income": [
                    {
                        "component": "electricity",
                        "amount_fen": "1",
                        "received_on": "2026-10-20",
                        "source": "r",
                    }
                ]
            },
            "amount_fen",
        ),
        (
            {
                "income": [
                    {"component": "electricity", "amount_fen": -1, "received_on": "2026-10-20", "source": "r"}
                ]
            },
            "amount_fen",
        ),
        (
            {
                "income": [
                    {"component": "electricity", "amount_fen": 1, "received_on": 20261020, "source": "r"}
                ]
            },
            "received_on",
        ),
        ({"incom": []}, "没有这样的项"),
        (
            {
                "households": [
                    {"id": "a", "village_code": "520499101201"},
                    {"id": "a", "village_code": "520499101201"},
                ]
            },
            "编号 a 出现两次",
        ),
        (
            {"households": [{"id": "a", "village_code": "520499101202"}]},
            "不在本次分配的 520499101201 内",
        ),
        (
            {"posts": [{"id": "p", "household_id": "x", "kind": "k", "rate_fen": 1, "units": 1}]},
            "户 x 不在 households 中",
        ),
        (
            {"stations": [{"id": "s", "rated_power_w": 72, "exported_energy_wh": 470588235}]},
            "小时满发，而这一期日照最多 496 小时",
        ),
    ],
)
def test_an_input_that_cannot_be_is_refused(change, says):
    with pytest.raises(ProblemsError) as caught:
        parse_input(json.dumps({**MONTH, **change}, ensure_ascii=False))
    assert says in str(caught.value)


@pytest.mark.parametrize(("text", "says"), [("{", "JSON"), ('{"village_code": 1.5}', "小数 1.5 要加引号")])
def test_an_input_that_is_no_json_is_refused(text, says):
    with pytest.raises(ProblemsError, match=says):
        parse_input(text)


def plain(value):
    return json.loads(json.dumps(value, default=str, ensure_ascii=False))


@pytest.mark.parametrize("name", template_names())
def test_the_published_schemas_describe_the_shipped_plans_and_their_inputs(name):
    import tomllib

    values = plain(tomllib.loads(template_path(name).read_text(encoding="utf-8")))
    jsonschema.Draft202012Validator(plan_schema()).validate(values)
    for case in values["case"]:
        jsonschema.Draft202012Validator(input_schema()).validate(case["input"])


@pytest.mark.parametrize("name", template_names())
def test_an_input_is_written_as_it_is_read(name):
    for case in load_plan(template_path(name)).cases:
        inputs = parse_input(case.input)
        assert parse_input(input_json(inputs)) == inputs


def test_the_schema_refuses_what_the_reader_refuses():
    errors = list(jsonschema.Draft202012Validator(input_schema()).iter_errors({**MONTH, "incom": []}))
    assert errors


def test_comments_and_layout_do_not_change_the_hash_but_figures_do():
    one = load_plan(HEAD + SPLIT)
    assert plan_hash(one) == plan_hash(load_plan("# a comment\n" + HEAD.replace(" = ", "  =  ") + SPLIT))
    assert plan_hash(one) != plan_hash(load_plan(HEAD + SPLIT.replace('"60%"', '"59%"')))
