"""Commands that write files."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.chinese import CommandLine
from api.commands.output import ConfigOption, DataOption, JsonOption, run_operation


def register(app: CommandLine) -> None:
    """Add the commands of this module."""
    app.command()(export)


def export(
    what: Annotated[str, typer.Argument(help="statement、notice、settlement 或 journal")],
    out: Annotated[Path, typer.Option("--out", help="写到这个文件，后缀决定格式")],
    village: Annotated[str, typer.Option("--village", help="12 位村代码")] = "",
    month: Annotated[str, typer.Option("--month", help="月份，例如 2026-10")] = "",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """写出收益账、公示表、对账单或账本。

    statement 收益账：.pdf .xlsx .csv；notice 公示表：.pdf；

    settlement 对账单：.xlsx；journal 账本：.beancount 或 .journal（hledger）。
    """
    arguments = {"what": what, "out": str(out.resolve()), "village": village, "month": month}
    run_operation("export", arguments, data=data, config=config, as_json=as_json)
