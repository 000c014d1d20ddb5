"""Commands about upkeep: indicators, the monthly report, planned work."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.chinese import CommandLine
from api.commands.output import ConfigOption, DataOption, JsonOption, run_operation

planned = CommandLine("计划检修：登记（须在开工前）、取消、列出。")
Month = Annotated[str, typer.Argument(help="月份，例如 2026-10")]


def register(app: CommandLine) -> None:
    """Add the commands of this module."""
    app.command()(indicators)
    app.command("uptime-report")(uptime_report)
    app.add_typer(planned, name="planned")


def _absolute(file: Path | None) -> str:
    return "" if file is None else str(file.resolve())


def indicators(
    month: Month,
    xlsx: Annotated[Path | None, typer.Option("--xlsx", help="另写成这个 .xlsx 或 .csv 文件")] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """全国口径的月度运维指标：故障率、在线率、运维覆盖率、运维及时率、发电能力、等效利用小时和排名。"""
    arguments = {"month": month, "out": _absolute(xlsx)}
    run_operation("indicators", arguments, data=data, config=config, as_json=as_json)


def uptime_report(
    month: Month,
    out: Annotated[Path, typer.Option("--out", help="写到这个文件：.pdf 或 .xlsx")],
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """写出运行月报：可用率、指标、停机、工单、计划检修。"""
    arguments = {"month": month, "out": _absolute(out)}
    run_operation("uptime-report", arguments, data=data, config=config, as_json=as_json)


@planned.command("add")
def add(
    subject: Annotated[str, typer.Argument(help="电站或设备的编号")],
    start: Annotated[str, typer.Option("--start", help="开始，2026-11-28T08:30（北京时间）")],
    end: Annotated[str, typer.Option("--end", help="结束")],
    description: Annotated[str, typer.Option("--what", help="检修内容")],
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """登记计划检修；开工之后才登记的不算。"""
    arguments = {"subject": subject, "start": start, "end": end, "description": description}
    run_operation("planned-add", arguments, data=data, config=config, as_json=as_json)


@planned.command("cancel")
def cancel(
    work_id: Annotated[str, typer.Argument(help="计划检修的编号")],
    reason: Annotated[str, typer.Option("--reason", help="取消的原因")],
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """取消计划检修，或让它现在结束。"""
    arguments = {"work_id": work_id, "reason": reason}
    run_operation("planned-cancel", arguments, data=data, config=config, as_json=as_json)


@planned.command("list")
def list_planned(
    month: Annotated[str, typer.Option("--month", help="月份，默认本月")] = "",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """列出一个月的计划检修。"""
    run_operation("planned-list", {"month": month}, data=data, config=config, as_json=as_json)
