"""Commands that write files."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.output import ConfigOption, DataOption, JsonOption, run_operation


def register(app: typer.Typer) -> None:
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
    """写出文件：收益账（.pdf .xlsx .csv）、公示表（.pdf）、对账单（.xlsx）、账本（.beancount .journal）。"""
    arguments = {"what": what, "out": str(out.resolve()), "village": village, "month": month}
    run_operation("export", arguments, data=data, config=config, as_json=as_json)
