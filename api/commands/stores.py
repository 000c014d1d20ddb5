"""Commands about the time-series store: what is in it, and moving it."""

from typing import Annotated

import typer

from api.commands.chinese import CommandLine
from api.commands.output import (
    ConfigOption,
    DataOption,
    JsonOption,
    outcome_of,
    refusing,
    run_operation,
    settings_of,
    show,
    show_csv,
)

app = CommandLine("时序库：大小、搬迁、原始数据的保存期。")
FromOption = Annotated[
    str, typer.Option("--from", help="从这一刻起（北京时间），例如 2026-10-01 或 2026-10-01T08:00")
]
ToOption = Annotated[str, typer.Option("--to", help="到这一刻为止，不含")]


def register(parent: CommandLine) -> None:
    """Add the commands of this module."""
    parent.command()(series)
    parent.command()(coverage)
    parent.command()(adjustments)
    parent.add_typer(app, name="store")


def series(
    device: Annotated[str, typer.Argument(help="设备编号")],
    quantity: Annotated[list[str] | None, typer.Option("--quantity", help="量的名称，可写多次")] = None,
    since: FromOption = "",
    until: ToOption = "",
    interval: Annotated[str, typer.Option("--interval", help="raw、1m、5m、15m、1h 或 1d")] = "raw",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="输出 CSV")] = False,
) -> None:
    """列出一台设备的数据；不写起止就是最近一天。"""
    arguments = {
        "device": device,
        "quantities": quantity or [],
        "during": [since, until],
        "interval": interval,
    }
    with refusing(as_json=as_json):
        outcome = outcome_of("series", arguments, data=data, config=config)
        if as_csv:
            show_csv(outcome)
        show(outcome, as_json=as_json)


def coverage(
    station: Annotated[str, typer.Option("--station", help="只看这个电站（编号）")] = "",
    device: Annotated[str, typer.Option("--device", help="只看这台设备（编号）")] = "",
    since: FromOption = "",
    until: ToOption = "",
    interval: Annotated[str, typer.Option("--interval", help="应有的间隔：1m、5m、15m、1h")] = "5m",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """逐台逐日：应收到多少个间隔的数据，收到多少。"""
    arguments = {"station_id": station, "device": device, "during": [since, until], "interval": interval}
    run_operation("coverage", arguments, data=data, config=config, as_json=as_json)


def adjustments(
    month: Annotated[str, typer.Argument(help="已结账的月份，例如 2026-10")],
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """已结账的月份里，迟到的数据会改变哪些设备的电量；只列出，不改已冻结的数。"""
    run_operation("adjustments", {"month": month}, data=data, config=config, as_json=as_json)


@app.command()
def info(data: DataOption = None, config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """时序库有多少行、多大、从何时到何时。"""
    run_operation("store-info", {}, data=data, config=config, as_json=as_json)


@app.command()
def retire(
    before: Annotated[str, typer.Option("--before", help="这一天（北京时间）之前的原始数据")],
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """把旧的原始数据换成 15 分钟均值；日电量照旧。"""
    run_operation("store-retire", {"before": before}, data=data, config=config, as_json=as_json)


@app.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="来源时序库地址")],
    target: Annotated[str, typer.Argument(metavar="TO", help="目标时序库地址")],
    since: Annotated[str, typer.Option("--from", help="第一天，例如 2026-01-01")] = "",
    until: Annotated[str, typer.Option("--to", help="到这一天为止，不含")] = "",
    device: Annotated[list[str] | None, typer.Option("--device", help="只搬这台设备，可写多次")] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """把历史数据搬到另一个时序库：逐日核对行数和校验和，停下后再运行就接着搬。"""
    from api.moving import move

    with refusing(as_json=as_json):
        order = (tuple(device or ()), since, until)
        show(move((source, target), order, settings_of(config, data).data_dir), as_json=as_json)
