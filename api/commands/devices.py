"""Commands about devices: profiles, register dumps, payload mappings."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from api.commands.chinese import CommandLine
from api.commands.output import JsonOption, refusing, show
from api.outcome import Exit, Outcome
from store.problem import Problem

profiles = CommandLine("设备档案：列出、检查、导出模式。")
mapping = CommandLine("MQTT 报文映射：检查。")
ExistingFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]


def register(app: CommandLine) -> None:
    """Add the commands of this module."""
    app.command()(decode)
    app.add_typer(profiles, name="profiles")
    app.add_typer(mapping, name="mapping")


def decode(
    dump: Annotated[Path, typer.Argument(help="寄存器转储（JSON）", exists=True, dir_okay=False)],
    profile: Annotated[str, typer.Option("--profile", help="设备档案名，见 sunledger profiles list")],
    *,
    as_json: JsonOption = False,
) -> None:
    """按设备档案解出寄存器转储里的每个量。"""
    from collector.decode import decode_file

    with refusing(as_json=as_json):
        points = decode_file(profile, dump).points
        rows: list[dict[str, Any]] = [
            {
                "quantity": point.quantity or point.name,
                "value": point.value,
                "missing": str(point.missing) if point.missing else None,
                "unit": point.unit,
                "function_code": point.function_code,
                "address": point.address,
                "raw": list(point.raw),
            }
            for point in points
        ]
        if as_json:
            typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
            raise typer.Exit(int(Exit.DONE))
        shown = tuple(
            {**row, "raw": " ".join("----" if w is None else f"{w:04X}" for w in row["raw"])} for row in rows
        )
        columns = {
            "quantity": "量",
            "value": "值",
            "unit": "单位",
            "missing": "缺少的原因",
            "function_code": "功能码",
            "address": "地址",
            "raw": "原始字",
        }
        known = sum(row["value"] is not None for row in rows)
        found = Exit.DONE if known else Exit.FOUND
        wrong = Problem(dump.name, "这个档案一个量也解不出", "用 sunledger profiles list 找对设备档案")
        problems = () if known else (wrong,)
        show(Outcome(f"{len(rows)} 个量，有值的 {known} 个", columns, shown, problems, found), as_json=False)


@profiles.command("list")
def list_all(*, as_json: JsonOption = False) -> None:
    """列出随程序提供的设备档案。"""
    from collector.profile import list_profiles, load_profile

    with refusing(as_json=as_json):
        rows = tuple(
            {"name": name, "vendor": found.vendor, "products": found.products}
            for name in list_profiles()
            for found in (load_profile(name),)
        )
        columns = {"name": "档案", "vendor": "厂家", "products": "适用产品"}
        show(Outcome(f"{len(rows)} 个档案", columns, rows), as_json=as_json)


@profiles.command("check")
def check(
    files: Annotated[list[Path] | None, typer.Argument(help="档案文件；不写则检查随程序提供的")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """检查设备档案。"""
    from collector.profile import check_profiles

    with refusing(as_json=as_json):
        problems = tuple(check_profiles(files or ()))
        exit_code = Exit.FOUND if problems else Exit.DONE
        summary = f"发现 {len(problems)} 个问题" if problems else "全部正确"
        show(Outcome(summary, {}, (), problems, exit_code), as_json=as_json)


@profiles.command()
def schema() -> None:
    """输出设备档案的 JSON Schema，供编辑器使用。"""
    from collector.profile import profile_json_schema

    typer.echo(json.dumps(profile_json_schema(), ensure_ascii=False, indent=2))


@mapping.command("check")
def check_mapping(
    file: Annotated[Path, typer.Argument(help="映射文件（TOML）", exists=True, dir_okay=False)],
    message: Annotated[Path, typer.Option("--message", help="一条报文", exists=True, dir_okay=False)],
    device: Annotated[str, typer.Option("--device", help="报文里设备的名称")] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """用映射读一条报文，列出解出的样本和不能用的部分。"""
    from api.service import system_clock
    from collector.payloads import parse_mapping, read_message

    with refusing(as_json=as_json):
        found = parse_mapping(file.read_text(encoding="utf-8"), file.name)
        reading = read_message(found, message.read_bytes(), {device: device or "设备"}, system_clock())
        rows = tuple(
            {"device": sample.device_id, "time": sample.time.isoformat(), "quantity": name, "value": value}
            for sample in reading.samples
            for name, value in sample.values.items()
        )
        problems = tuple(Problem(message.name, fault, "修改映射或报文") for fault in reading.faults)
        columns = {"device": "设备", "time": "时刻", "quantity": "量", "value": "值"}
        summary = f"{len(reading.samples)} 个样本，{len(problems)} 处不能用"
        exit_code = Exit.FOUND if problems else Exit.DONE
        show(Outcome(summary, columns, rows, problems, exit_code), as_json=as_json)
