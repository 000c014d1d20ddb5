"""Commands about what dispatch ordered: curtailment, ordered stops, majeure."""

from typing import Annotated

import typer

from api.commands.chinese import CommandLine
from api.commands.output import ConfigOption, DataOption, JsonOption, run_operation

app = CommandLine("调度记录：限电、停机令、不可抗力；有依据的停机不算设备原因。")


def register(parent: CommandLine) -> None:
    """Add the commands of this module."""
    parent.add_typer(app, name="dispatch")


@app.command("list")
def list_all(data: DataOption = None, config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """列出全部有效的调度记录，新的在前。"""
    run_operation("dispatch-list", {}, data=data, config=config, as_json=as_json)


@app.command()
def add(
    subject: Annotated[str, typer.Argument(help="电站或设备编号，或 12 位区划代码")],
    kind: Annotated[str, typer.Option("--kind", help="curtailment 限电、stop 停机令、majeure 不可抗力")],
    start: Annotated[str, typer.Option("--from", help="开始时刻，例如 2026-06-15T12:30（北京时间）")],
    document: Annotated[str, typer.Option("--document", help="依据：调度令编号或证明材料")],
    end: Annotated[str, typer.Option("--to", help="结束时刻；还在执行的不写")] = "",
    limit: Annotated[float | None, typer.Option("--limit", help="限至额定的百分之几")] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """登记一条限电、停机令或不可抗力。"""
    arguments = {
        "subject_id": subject,
        "kind": kind,
        "start": start,
        "document": document,
        "end": end,
        "limit_percent": limit,
    }
    run_operation("dispatch-add", arguments, data=data, config=config, as_json=as_json)


@app.command()
def end(
    record: Annotated[str, typer.Argument(help="记录编号")],
    at: Annotated[str, typer.Option("--at", help="结束时刻，例如 2026-06-15T16:00（北京时间）")] = "",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    never: Annotated[bool, typer.Option("--never", help="记错了，整条作废")] = False,
    as_json: JsonOption = False,
) -> None:
    """登记一条记录的结束时刻，或整条作废；原记录保留。"""
    arguments = {"record_id": record, "at": at, "never": never}
    run_operation("dispatch-end", arguments, data=data, config=config, as_json=as_json)
