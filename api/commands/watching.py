"""Commands about what was measured: energy, foreign history."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands import dispatch
from api.commands.chinese import CommandLine
from api.commands.output import ConfigOption, DataOption, JsonOption, refusing, run_operation
from store.problem import Problem, ProblemsError


def register(app: CommandLine) -> None:
    """Add the commands of this module."""
    app.command()(energy)
    app.command()(availability)
    dispatch.register(app)


def energy(
    period: Annotated[str, typer.Argument(help="期间：2026、2026-Q4、2026-10 或 2026-10-05")],
    station: Annotated[str, typer.Option("--station", help="只看这个电站（编号）")] = "",
    device: Annotated[str, typer.Option("--device", help="只看这个设备（编号）")] = "",
    level: Annotated[str, typer.Option("--level", help="device 逐台，station 为每个电站的合计")] = "device",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    daily: Annotated[bool, typer.Option("--daily", help="逐日列出")] = False,
    as_json: JsonOption = False,
) -> None:
    """由累计电量计数得出的发电量和上网电量，附完整率和方法。"""
    operation, arguments = "energy", {"period": period, "station_id": station, "daily": daily}
    with refusing(as_json=as_json):
        if level not in {"device", "station"} or (level == "station" and device):
            wrong = Problem(
                "--level", f"“{level}” 不能这样用", "写 device 或 station；station 不与 --device 同用"
            )
            raise ProblemsError([wrong])
    if level == "station":
        operation = "energy-of-stations"
    else:
        arguments["device"] = device
    run_operation(operation, arguments, data=data, config=config, as_json=as_json)


def availability(
    since: Annotated[str, typer.Option("--from", help="从这一刻起：2026-06、2026-06-01 或 2026-06-01T08:00")],
    until: Annotated[str, typer.Option("--to", help="到这一刻为止（不含）：整个 6 月写 2026-07-01")],
    level: Annotated[str, typer.Option("--level", help="device、station、township 或 county")] = "station",
    rule: Annotated[
        str,
        typer.Option(
            "--rule",
            help="日照规则：auto、irradiance:50、measured:50（W/m²）、expected:5（%）、elevation:5（度）",
        ),
    ] = "auto",
    station: Annotated[
        str, typer.Option("--station", help="只看这个电站（编号；imported 为未登记的导入设备）")
    ] = "",
    minutes: Annotated[float, typer.Option("--at-least", help="停机至少有日照多少分钟才列出")] = 30.0,
    zone: Annotated[str, typer.Option("--zone", help="--from、--to 的时区，默认北京时间")] = "",
    place: Annotated[str, typer.Option("--place", help="未登记设备的 纬度,经度")] = "",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    outages: Annotated[bool, typer.Option("--outages", help="列出停机，不列可用率")] = False,
    as_json: JsonOption = False,
) -> None:
    """可用率（设备原因、全部原因、上下限、数据完整率、按电量）和停机清单，附所用的日照规则。"""
    arguments = {
        "since": since,
        "until": until,
        "level": level,
        "rule": rule,
        "station_id": station,
        "outages": outages,
        "minutes": minutes,
        "zone": zone,
        "place": place,
    }
    run_operation("availability", arguments, data=data, config=config, as_json=as_json)


def telemetry(
    file: Annotated[Path, typer.Argument(help="历史数据文件 .csv 或 .csv.xz", exists=True, dir_okay=False)],
    mapping: Annotated[Path, typer.Option("--mapping", help="列映射（TOML）", exists=True, dir_okay=False)],
    station: Annotated[
        str, typer.Option("--station", help="把文件里没登记的设备登记为这个电站的逆变器")
    ] = "",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """把外来的历史数据装入时序库；同一文件再装一次不会重复。"""
    arguments = {"file": str(file.resolve()), "mapping": str(mapping.resolve()), "station_id": station}
    run_operation("import-telemetry", arguments, data=data, config=config, as_json=as_json)
