"""Commands about MQTT payload mappings: which there are, and what a mapping makes of a message."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.chinese import CommandLine
from api.commands.output import JsonOption, refusing, show
from api.outcome import Exit, Outcome
from store.problem import Problem

mapping = CommandLine("MQTT 报文映射：列出、检查。", no_args_is_help=False)
MessageFile = Annotated[
    Path, typer.Option("--message", help="一条报文的原始字节", exists=True, dir_okay=False)
]


def register(app: CommandLine) -> None:
    """Add the commands of this module."""
    app.add_typer(mapping, name="mapping")


@mapping.command("list")
def list_all(*, as_json: JsonOption = False) -> None:
    """列出随程序提供的报文映射。"""
    from collector.payloads import list_mappings, load_mapping

    with refusing(as_json=as_json):
        rows = tuple({"name": name, "title": load_mapping(name).title} for name in list_mappings())
        show(Outcome(f"{len(rows)} 个映射", {"name": "映射", "title": "说明"}, rows), as_json=as_json)


@mapping.command("check")
def check(
    file: Annotated[str, typer.Argument(help="映射文件（.toml），或随程序提供的映射名")],
    message: MessageFile,
    topic: Annotated[str, typer.Option("--topic", help="报文的主题；主题里有站名、设备名时要写")] = "",
    device: Annotated[list[str] | None, typer.Option("--device", help="主题下登记的设备名，可重复")] = None,
    station: Annotated[str, typer.Option("--station", help="主题所属电站")] = "",
    births: Annotated[
        list[Path] | None, typer.Option("--birth", help="Sparkplug 出生报文，可重复", exists=True)
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """用映射读一条报文，列出解出的样本和不能用的部分。"""
    from api.service import system_clock
    from collector.trial import Trial, try_message

    with refusing(as_json=as_json):
        trial = Trial(file, topic, tuple(device or ()), station)
        earlier = [path.read_bytes() for path in births or ()]
        samples, faults = try_message(trial, message.read_bytes(), earlier, system_clock())
        rows = tuple(
            {"device": sample.device_id, "time": sample.time.isoformat(), "quantity": name, "value": value}
            for sample in samples
            for name, value in sample.values.items()
        )
        problems = tuple(Problem(message.name, fault, "修改映射、主题或报文") for fault in faults)
        if not rows and not problems:
            problems = (Problem(message.name, "没有映射里写的量", "核对量的 path 与报文里的名字"),)
        columns = {"device": "设备", "time": "时刻", "quantity": "量", "value": "值"}
        summary = f"{len(samples)} 个样本，{len(problems)} 处不能用"
        exit_code = Exit.FOUND if problems else Exit.DONE
        show(Outcome(summary, columns, rows, problems, exit_code), as_json=as_json)
