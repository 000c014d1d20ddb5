"""Commands about money: close a month, put a booked one right, verify the books."""

from typing import Annotated

import typer

from api.commands.chinese import CommandLine
from api.commands.output import ConfigOption, DataOption, JsonOption, run_operation


def register(app: CommandLine) -> None:
    """Add the commands of this module."""
    app.command()(close)
    app.command()(reconcile)
    app.command()(verify)
    app.command()(correct)
    app.command(name="top-up")(top_up)


def close(
    month: Annotated[str, typer.Argument(help="月份，例如 2026-10")],
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """把每个村的这个月办到下一道需要人决定的关口，并说明在等什么；重复运行不会改变什么。"""
    run_operation("close", {"month": month}, data=data, config=config, as_json=as_json)


def reconcile(
    month: Annotated[str, typer.Argument(help="月份，例如 2026-10")],
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """逐站核对逆变器、关口表、结算单和到账，列出差异和可能的原因，最大的在前；重复运行不会重复登记。"""
    run_operation("reconcile", {"month": month}, data=data, config=config, as_json=as_json)


def verify(data: DataOption = None, config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """校验账本的摘要链、借贷平衡和审计链；发现第一处不符就指出来。"""
    run_operation("verify", {}, data=data, config=config, as_json=as_json)


def correct(
    village: Annotated[str, typer.Argument(help="村代码，12 位")],
    month: Annotated[str, typer.Argument(help="已记账的月份，例如 2026-06")],
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    original_rules: Annotated[
        bool, typer.Option("--original-rules", help="按当时的方案，不按该月现行方案")
    ] = False,
    of_top_up: Annotated[bool, typer.Option("--top-up", help="更正该月的补发，不是分配")] = False,
    start: Annotated[bool, typer.Option("--start", help="起草更正批次；不写只看差额")] = False,
    as_json: JsonOption = False,
) -> None:
    """把已记账的月份按现在的登记重新算一遍，逐户列出差额和原因；加 --start 起草更正。"""
    arguments = {
        "village": village,
        "month": month,
        "original_rules": original_rules,
        "top_up": of_top_up,
        "start": start,
    }
    run_operation("correct", arguments, data=data, config=config, as_json=as_json)


def top_up(
    village: Annotated[str, typer.Argument(help="村代码，12 位；不写列出全部")] = "",
    month: Annotated[str, typer.Argument(help="钱所属的月份；不写只列出")] = "",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """列出记账以后才到的钱；写明村和月份时，按那个月的方案和名册起草补发。"""
    arguments = {"village": village, "month": month}
    run_operation("top-up", arguments, data=data, config=config, as_json=as_json)
