"""The operator's door: `sunledger`.

Owns which commands exist and how the service is started. What a command does is in `api/operations/`;
how it prints and ends is in `api/commands/output.py`.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from api.commands import (
    alarms,
    backups,
    collecting,
    devices,
    exports,
    imports,
    keys,
    mappings,
    money,
    plans,
    probing,
    simulate,
    stores,
    upkeep,
    users,
    watching,
)
from api.commands.chinese import CommandLine, run
from api.commands.moment import parse_moment
from api.commands.output import ConfigOption, DataOption, JsonOption, refusing, settings_of, show
from api.outcome import Outcome

app = CommandLine("阳光账本：村级光伏帮扶电站的采集、监测、收益分配与公示。")


@app.command()
def demo(
    data: Annotated[Path, typer.Option("--data", help="演示数据目录")] = Path("demo-data"),
    port: Annotated[int, typer.Option("--port", help="网页端口")] = 8350,
    at: Annotated[str | None, typer.Option("--at", help="演示时刻，例如 12:30 或 2026-06-15T12:30")] = None,
    *,
    small: Annotated[bool, typer.Option("--small", help="小县：4 个村、两个月，几秒就绪")] = False,
    seed_only: Annotated[bool, typer.Option("--seed-only", help="只准备数据，不启动服务")] = False,
) -> None:
    """启动一个装满数据的演示县：真实的 Modbus 与 MQTT 设备、一年的历史、已结的账。"""
    from api.demo.county import FULL, SMALL
    from api.demo.run import run_demo
    from api.service import shifted_clock, system_clock
    from api.settings import load_settings

    with refusing():
        clock = shifted_clock(parse_moment(at, system_clock())) if at else system_clock
        run_demo(
            load_settings(data_dir=data, port=port), clock, size=SMALL if small else FULL, seed_only=seed_only
        )


@app.command()
def serve(
    data: DataOption = None,
    config: ConfigOption = None,
    roles: Annotated[
        str | None, typer.Option("--roles", help="本进程的角色，例如 web,collector,scheduler")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", help="网页端口")] = None,
) -> None:
    """启动服务：采集、调度和网页。"""
    from api.run import run_service
    from api.service import system_clock
    from api.settings import load_settings

    with refusing():
        run_service(load_settings(config, data_dir=data, roles=roles, port=port), system_clock)


@app.command()
def migrate(data: DataOption = None, config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """建立数据库，或把它升级到本程序的结构；第一次运行时给出管理员的一次性口令。"""
    from api.install import install
    from api.service import exclusive, system_clock

    with refusing():
        settings = settings_of(config, data)
        with exclusive(settings.data_dir):
            revision, credential = install(settings, system_clock())
        rows = ({"login": credential.login, "password": credential.password},) if credential else ()
        summary = f"数据库结构 {revision}，已是最新"
        show(Outcome(summary, {"login": "登录名", "password": "一次性口令"}, rows), as_json=as_json)


for group in (
    collecting,
    devices,
    mappings,
    probing,
    simulate,
    watching,
    stores,
    money,
    plans,
    imports,
    exports,
    alarms,
    upkeep,
    users,
    backups,
    keys,
):
    group.register(app)


def main() -> None:
    """Run the command line."""
    try:
        sys.exit(run(app))
    except BrokenPipeError:
        sys.exit(0)
