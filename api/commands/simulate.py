"""`sunledger simulate`: recorded history played as live Modbus devices."""

import asyncio
import signal
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.chinese import CommandLine
from api.commands.moment import parse_moment
from api.commands.output import refusing

if TYPE_CHECKING:
    from collector.connections import DeviceLink
    from collector.plant import PlantSource


def register(app: CommandLine) -> None:
    """Add the commands of this module."""
    app.command()(simulate)


def simulate(
    replay: Annotated[Path, typer.Option("--replay", help="历史数据文件", exists=True, dir_okay=False)],
    mapping: Annotated[Path, typer.Option("--mapping", help="列映射（TOML）", exists=True, dir_okay=False)],
    port: Annotated[int, typer.Option("--port", help="Modbus TCP 端口（本机）")] = 5020,
    profile: Annotated[str, typer.Option("--profile", help="扮演的设备档案")] = "sungrow_sg_string",
    speed: Annotated[float, typer.Option("--speed", min=0.1, max=3600, help="快放倍数")] = 1.0,
    start: Annotated[str | None, typer.Option("--from", help="从文件的这个时刻放起（北京时间）")] = None,
) -> None:
    """把历史数据文件当作现场设备播放：每台设备是一个真实的 Modbus TCP 从站。按 Ctrl-C 停止。"""
    from api.service import system_clock
    from collector.replay import ReplayPlant, replay_links
    from collector.telemetry import read_mapping

    with refusing():
        origin: datetime | None = parse_moment(start, system_clock(), "--from") if start else None
        plant = ReplayPlant(replay, read_mapping(mapping), system_clock(), speed=speed, origin=origin)
        links = replay_links(plant.device_ids, port=port, profile=profile)
        for link in links:
            typer.echo(f"{link.device_id}  127.0.0.1:{link.port}  站号 {link.unit_id}")
        typer.echo(f"{len(links)} 台设备正在播放 {replay.name}，{speed:g} 倍速，按 Ctrl-C 停止")
        asyncio.run(_play(links, plant))


async def _play(links: "tuple[DeviceLink, ...]", plant: "PlantSource") -> None:
    from api.service import system_clock
    from collector.simulator import Simulator

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    simulator = Simulator(links, plant, system_clock)
    await simulator.start()
    try:
        await stopping.wait()
    finally:
        await simulator.stop()
