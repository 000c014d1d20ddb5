"""Commands that bring files in."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.chinese import CommandLine
from api.commands.output import ConfigOption, DataOption, JsonOption, refusing, run_operation
from api.commands.watching import telemetry
from store.problem import Problem, ProblemsError

app = CommandLine("导入文件：台账、历史数据、电费结算单、到账清单。")
ImportFile = Annotated[Path, typer.Argument(help="文件（.csv 或 .xlsx）", exists=True, dir_okay=False)]
KINDS = "名单种类，例如 households、members、posts；全部见 docs/intake.md"
DryRun = Annotated[bool, typer.Option("--dry-run", help="只试导，不写入")]


def register(parent: CommandLine) -> None:
    """Add the commands of this module."""
    app.command()(telemetry)
    parent.add_typer(app, name="import")


@app.command()
def settlement(
    file: ImportFile,
    layout: Annotated[
        str, typer.Option("--layout", help="列名对照：页面上保存的供电公司名称，standard，或 .toml 文件")
    ] = "standard",
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
def receipts(
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


@app.command()
def bank(
    file: ImportFile,
    layout: Annotated[str, typer.Option("--layout", help="列布局的名称")] = "bank",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    dry_run: DryRun = False,
    as_json: JsonOption = False,
) -> None:
    """导入专户的银行流水；以后在页面“到账核对”里与应收款核对。"""
    arguments = {"file": str(file.resolve()), "layout": layout, "dry_run": dry_run}
    run_operation("import-bank", arguments, data=data, config=config, as_json=as_json)


@app.command()
def registry(
    file: ImportFile,
    kind: Annotated[str, typer.Option("--kind", help=KINDS)],
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    dry_run: DryRun = False,
    partial: Annotated[bool, typer.Option("--partial", help="有错的行不要，其余照常导入")] = False,
    as_json: JsonOption = False,
) -> None:
    """导入台账：行政区划、电站、设备、农户、家庭成员、参与分配的登记。"""
    arguments = {"file": str(file.resolve()), "kind": kind, "dry_run": dry_run, "partial": partial}
    run_operation("import-registry", arguments, data=data, config=config, as_json=as_json)


@app.command()
def template(
    kind: Annotated[str, typer.Argument(help=KINDS)],
    out: Annotated[Path, typer.Option("--out", help="写到这个 .xlsx 文件")],
) -> None:
    """写出一张可以填写的台账模板。"""
    from documents.files import write_whole
    from registry.intake.service import template as made

    with refusing():
        content = made(kind)
        try:
            write_whole(out, content)
        except OSError as error:
            wrong = Problem(str(out), f"写不了：{error.strerror}", "检查目录和权限")
            raise ProblemsError([wrong]) from error
        typer.echo(f"已写出 {out}")
