"""Commands about the collector: its connections, its balance, messages in quarantine."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from api.commands.chinese import CommandLine
from api.commands.output import (
    ConfigOption,
    DataOption,
    JsonOption,
    refusing,
    run_operation,
    settings_of,
    show,
)
from api.door import COLLECTOR_FILE, ask_running_service
from api.outcome import Outcome
from api.settings import Settings

collector = CommandLine("采集：连接、收支平衡、隔离的报文。")


def register(app: CommandLine) -> None:
    """Add the commands of this module."""
    app.add_typer(collector, name="collector")


@collector.command()
def connections(data: DataOption = None, config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """列出每台设备的连接情况，最差的在前，并列出被拒绝的 DTU。"""
    run_operation("collector-connections", {}, data=data, config=config, as_json=as_json)


@collector.command()
def balance(data: DataOption = None, config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """收到的每条数据到了哪里；差额应为 0。"""
    with refusing(as_json=as_json):
        show(_ask(settings_of(config, data), "collector-balance", {}), as_json=as_json)


@collector.command()
def quarantine(
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="最多列几条")] = 50,
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """列出隔离的报文：来源、原因和原始字节。"""
    with refusing(as_json=as_json):
        outcome = _ask(settings_of(config, data), "collector-quarantine", {"limit": limit})
        show(outcome, as_json=as_json)


@collector.command()
def replay(data: DataOption = None, config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """改好映射或台账后，把隔离的报文重新读一遍；读懂的入库，只入一次。"""
    with refusing(as_json=as_json):
        show(_ask(settings_of(config, data), "collector-replay", {}), as_json=as_json)


def _ask(settings: Settings, name: str, arguments: Mapping[str, Any]) -> Outcome:
    """Run an operation on the queue in whoever holds it, or here where no collector runs."""
    outcome = ask_running_service(settings.data_dir, name, arguments, COLLECTOR_FILE)
    if outcome is None and settings.embedded:
        outcome = ask_running_service(settings.data_dir, name, arguments)
    if outcome is not None:
        return outcome
    from api.operations.collecting import SPOOL_OPERATIONS
    from api.service import only_collector, open_services, spool_of, system_clock

    with (
        open_services(settings, system_clock) as services,
        only_collector(settings.data_dir),
        spool_of(settings) as spool,
    ):
        return SPOOL_OPERATIONS[name](services, spool, **arguments)
