"""Commands about distribution plans; none of them needs a database."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.commands.chinese import CommandLine
from api.commands.output import ConfigOption, DataOption, JsonOption, refusing, run_operation, show
from api.outcome import Exit, Outcome
from store.problem import Problem, ProblemsError

if TYPE_CHECKING:
    from distribution.plans.comparison import Change
    from distribution.plans.document import Plan
    from distribution.types import Allocation

KIND_LABELS = {
    "income": "到账",
    "deduction": "支出",
    "purse": "去向",
    "household": "农户",
    "person": "个人",
    "village_collective": "村集体",
    "reserve": "储备金",
    "division": "上级统筹",
    "supplier": "供应商",
}
app = CommandLine("分配方案：检查、试算、比较、发布。")
PlanFile = Annotated[Path, typer.Argument(help="方案文件（TOML）", exists=True, dir_okay=False)]
InputFile = Annotated[Path, typer.Argument(help="输入（JSON）", exists=True, dir_okay=False)]


def register(parent: CommandLine) -> None:
    """Add the commands of this module."""
    parent.add_typer(app, name="plan")


@app.command()
def check(plan: PlanFile, *, as_json: JsonOption = False) -> None:
    """检查方案是否成立，并运行它自带的算例。"""
    from distribution.plans.cases import run_cases
    from distribution.plans.checks import check_plan
    from distribution.plans.document import load_plan, plan_hash

    with refusing(as_json=as_json):
        document = load_plan(plan)
        problems = check_plan(document) or run_cases(document)
        state = "不能使用" if problems else f"可以使用，自带算例 {len(document.cases)} 个全部符合"
        summary = f"{document.title}（{document.id} 第 {document.version} 版）：{state}"
        row = {"id": document.id, "version": document.version, "hash": plan_hash(document)}
        columns = {"id": "方案", "version": "版本", "hash": "内容摘要"}
        exit_code = Exit.FOUND if problems else Exit.DONE
        show(Outcome(summary, columns, (row,), tuple(problems), exit_code), as_json=as_json)


@app.command()
def simulate(plan: PlanFile, inputs: InputFile, *, as_json: JsonOption = False) -> None:
    """用一份输入试算方案，列出每一行的金额和算法。"""
    from distribution.plans.allocation import allocate
    from distribution.plans.document import load_plan
    from distribution.plans.inputs import parse_input

    with refusing(as_json=as_json):
        document = load_plan(plan)
        allocation = allocate(document, parse_input(inputs.read_bytes(), inputs.name))
        show(_outcome(document, allocation), as_json=as_json)


@app.command()
def diff(
    old: PlanFile,
    new: PlanFile,
    inputs: Annotated[
        list[Path],
        typer.Option("--inputs", help="输入（JSON），可写多次，合计各份", exists=True, dir_okay=False),
    ],
    *,
    as_json: JsonOption = False,
) -> None:
    """同样的输入按两个方案各算一遍，列出每户的变化和原因。"""
    from distribution.plans.comparison import add_up
    from distribution.plans.comparison import diff as compare
    from distribution.plans.document import load_plan
    from distribution.plans.inputs import parse_input

    with refusing(as_json=as_json):
        before, after = load_plan(old), load_plan(new)
        parts = [compare(before, after, parse_input(one.read_bytes(), one.name)) for one in inputs]
        show(_changes(add_up(parts).changes), as_json=as_json)


def _changes(changes: "tuple[Change, ...]") -> Outcome:
    from distribution.money import yuan

    rows = tuple(
        {
            "payee": change.payee_id,
            "village_code": change.village_code,
            "old_yuan": yuan(change.old_fen),
            "new_yuan": yuan(change.new_fen),
            "delta_yuan": yuan(change.delta_fen),
            "old_fen": change.old_fen,
            "new_fen": change.new_fen,
            "delta_fen": change.delta_fen,
            "causes": "；".join(f"{cause.text}（{yuan(cause.delta_fen)} 元）" for cause in change.causes),
        }
        for change in changes
        if change.delta_fen
    )
    columns = {
        "payee": "对象",
        "old_yuan": "原（元）",
        "new_yuan": "新（元）",
        "delta_yuan": "变化（元）",
        "causes": "原因",
    }
    people = [change.delta_fen for change in changes if change.payee_kind == "household"]
    more, less = sum(1 for delta in people if delta > 0), sum(1 for delta in people if delta < 0)
    return Outcome(f"{more} 户增加，{less} 户减少，{len(people) - more - less} 户不变", columns, rows)


@app.command()
def recompute(
    published: Annotated[Path, typer.Argument(help="公布的核算表（CSV）", exists=True, dir_okay=False)],
    *,
    as_json: JsonOption = False,
) -> None:
    """把公布的核算表重新分一遍，逐行核对金额；不需要数据库，谁都能做。"""
    from distribution.plans.published import recompute as check_again

    with refusing(as_json=as_json):
        problems = check_again(published.read_text(encoding="utf-8-sig"))
        words = f"有 {len(problems)} 行对不上" if problems else "每一行都对得上，一分不差"
        outcome = Outcome(words, {}, (), tuple(problems), Exit.FOUND if problems else Exit.DONE)
        show(outcome, as_json=as_json)


@app.command()
def publish(
    plan: PlanFile, data: DataOption = None, config: ConfigOption = None, *, as_json: JsonOption = False
) -> None:
    """发布方案：自查和自带算例都通过，才按它写的范围和日期生效；发布后不能改，只能出新版。"""
    arguments = {"file": str(plan.resolve())}
    run_operation("plan-publish", arguments, data=data, config=config, as_json=as_json)


@app.command()
def schema(
    what: Annotated[str, typer.Argument(help="plan 或 input")] = "plan",
) -> None:
    """输出方案或输入的 JSON Schema，供编辑器使用。"""
    import orjson

    from distribution.plans.document import plan_schema
    from distribution.plans.inputs import input_schema

    with refusing():
        if what not in {"plan", "input"}:
            raise ProblemsError([Problem("模式", f"没有“{what}”", "写 plan 或 input")])
    chosen: dict[str, Any] = input_schema() if what == "input" else plan_schema()
    typer.echo(orjson.dumps(chosen, option=orjson.OPT_INDENT_2).decode())


def _outcome(document: "Plan", allocation: "Allocation") -> Outcome:
    from distribution.money import yuan
    from distribution.plans.inputs import allocation_json
    from store.periods import Period

    columns = {
        "kind_label": "类别",
        "label": "名目",
        "payee": "对象",
        "amount_yuan": "金额（元）",
        "explanation": "算法",
    }
    parts = [
        *_income(allocation),
        *_deductions(allocation),
        *_purses(allocation),
        *_lines(document, allocation),
    ]
    rows = tuple(
        {**row, "kind_label": KIND_LABELS[row["kind"]], "amount_yuan": yuan(row["amount_fen"])}
        for row in parts
    )
    total = sum(line.amount_fen for line in allocation.lines)
    summary = (
        f"{document.title}：可分配 {yuan(allocation.distributable_fen)} 元，"
        f"{len(allocation.lines)} 行合计 {yuan(total)} 元"
    )
    outside = document.outside(allocation.village_code, Period.parse(allocation.period).start)
    tried = [f"{outside}，这里只是试算"] if outside else []
    summary = "\n".join([summary, *(f"注意：{text}" for text in (*tried, *allocation.warnings))])
    return Outcome(summary, columns, rows, details=allocation_json(allocation))


def _income(allocation: "Allocation") -> list[dict[str, Any]]:
    from distribution.bookings import COMPONENT_NAMES

    return [
        {
            "kind": "income",
            "label": COMPONENT_NAMES[part.component],
            "component": str(part.component),
            "payee": "",
            "amount_fen": part.amount_fen,
            "explanation": f"{part.received_on} 到账 {part.source}",
        }
        for part in allocation.income
    ]


def _deductions(allocation: "Allocation") -> list[dict[str, Any]]:
    from distribution.plans.explanation import render_explanation

    return [
        {
            "kind": "deduction",
            "label": item.label,
            "payee": item.name,
            "amount_fen": item.amount_fen,
            "explanation": "；".join(render_explanation(step) for step in item.explanation) or item.clause,
        }
        for item in allocation.deductions
    ]


def _purses(allocation: "Allocation") -> list[dict[str, Any]]:
    return [
        {
            "kind": "purse",
            "label": purse.label,
            "payee": purse.purse,
            "amount_fen": purse.amount_fen,
            "explanation": "",
        }
        for purse in allocation.purses
    ]


def _lines(document: "Plan", allocation: "Allocation") -> list[dict[str, Any]]:
    from distribution.plans.explanation import render_line

    return [
        {
            "kind": str(line.payee_kind),
            "label": document.purse_label(line.purse),
            "purse": line.purse,
            "payee": line.payee_id,
            "amount_fen": line.amount_fen,
            "explanation": render_line(line),
        }
        for line in allocation.lines
    ]
