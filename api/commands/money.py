"""Commands about money: close a month, verify the books."""

from typing import Annotated

import typer

from api.commands.chinese import CommandLine
from api.commands.output import ConfigOption, DataOption, JsonOption, run_operation


def register(app: CommandLine) -> None:
    """Add the commands of this module."""
    app.command()(close)
    app.command()(reconcile)
    app.command()(verify)


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
