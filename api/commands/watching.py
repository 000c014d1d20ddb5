"""Commands about what was measured: energy, foreign history."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.chinese import CommandLine
from api.commands.output import ConfigOption, DataOption, JsonOption, run_operation


def register(app: CommandLine) -> None:
    """Add the commands of this module."""
    app.command()(energy)


def energy(
    period: Annotated[str, typer.Argument(help="期间：2026、2026-Q4、2026-10 或 2026-10-05")],
    station: Annotated[str, typer.Option("--station", help="只看这个电站（编号）")] = "",
    device: Annotated[str, typer.Option("--device", help="只看这个设备（编号）")] = "",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    daily: Annotated[bool, typer.Option("--daily", help="逐日列出")] = False,
    as_json: JsonOption = False,
) -> None:
    """由累计电量计数得出的发电量和上网电量，附完整率和方法。"""
    arguments = {"period": period, "station_id": station, "device": device, "daily": daily}
    run_operation("energy", arguments, data=data, config=config, as_json=as_json)


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
