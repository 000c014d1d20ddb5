"""Commands that bring files in."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.output import ConfigOption, DataOption, JsonOption, run_operation
from api.commands.watching import telemetry

app = typer.Typer(help="导入文件：历史数据、电费结算单、到账清单。", no_args_is_help=True)
ImportFile = Annotated[Path, typer.Argument(help="文件（.csv 或 .xlsx）", exists=True, dir_okay=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="只试导，不写入")]


def register(parent: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(telemetry)
    parent.add_typer(app, name="import")


@app.command()
def settlement(  # noqa: PLR0913, each option is one word on the command line
    file: ImportFile,
    layout: Annotated[str, typer.Option("--layout", help="列布局的名称")] = "standard",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    dry_run: DryRun = False,
    as_json: JsonOption = False,
) -> None:
    """导入供电公司的电费结算单；有错的行只留下它自己的电站和月份，其余照常导入。"""
    arguments = {"file": str(file.resolve()), "layout": layout, "dry_run": dry_run}
    run_operation("import-settlement", arguments, data=data, config=config, as_json=as_json)


@app.command()
def receipts(  # noqa: PLR0913, each option is one word on the command line
    file: ImportFile,
    layout: Annotated[str, typer.Option("--layout", help="列布局的名称")] = "receipts",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    dry_run: DryRun = False,
    as_json: JsonOption = False,
) -> None:
    """导入银行到账清单。"""
    arguments = {"file": str(file.resolve()), "layout": layout, "dry_run": dry_run}
    run_operation("import-receipts", arguments, data=data, config=config, as_json=as_json)
