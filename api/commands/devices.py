"""Commands about devices: profiles and register dumps."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from api.commands.chinese import CommandLine
from api.commands.output import JsonOption, print_problems, refusing, show
from api.outcome import Exit, Outcome
from store.problem import Problem

profiles = CommandLine("设备档案：列出、检查、导出模式。", no_args_is_help=False)
ExistingFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]

MISSING_WORDS = {
    "not_read": "没有读全",
    "refused": "设备拒绝",
    "damaged": "所在的帧损坏",
    "not_available": "设备标为无此值",
    "partial": "只有一半",
    "no_scale": "没有比例因子",
    "not_applicable": "此时不适用",
    "unreadable": "无法识别",
}


def register(app: CommandLine) -> None:
    """Add the commands of this module."""
    app.command()(decode)
    app.add_typer(profiles, name="profiles")


def decode(
    dump: Annotated[Path, typer.Argument(help="寄存器转储（JSON）", exists=True, dir_okay=False)],
    profile: Annotated[str, typer.Option("--profile", help="设备档案名，见 sunledger profiles list")],
    pt: Annotated[int, typer.Option("--pt", min=1, help="电压互感器变比（电能表）")] = 1,
    ct: Annotated[int, typer.Option("--ct", min=1, help="电流互感器变比（电能表）")] = 1,
    *,
    as_json: JsonOption = False,
) -> None:
    """按设备档案解出寄存器转储里的每个量；损坏的帧另行列出，从不变成数值。"""
    from collector.decode import read_file
    from collector.profile import Ratios, point_record

    with refusing(as_json=as_json):
        reading = read_file(profile, dump, Ratios(pt, ct))
        rows = tuple(point_record(point) for point in reading.points)
        known = sum(row["value"] is not None for row in rows)
        wrong = Problem(dump.name, "这个档案一个量也解不出", "用 sunledger profiles list 找对设备档案")
        problems = reading.problems if known else (*reading.problems, wrong)
        found = Exit.FOUND if problems else Exit.DONE
        if as_json:
            typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
            print_problems(problems)
            raise typer.Exit(int(found))
        show(_decoded_table(rows, known, problems, found), as_json=False)


def _decoded_table(
    rows: tuple[dict[str, Any], ...], known: int, problems: tuple[Problem, ...], found: Exit
) -> Outcome:
    """Return the points as a table for people, without those of which the dump holds nothing."""
    shown = tuple(
        {
            **row,
            "missing": MISSING_WORDS.get(row["missing"]),
            "raw": " ".join("----" if word is None else f"{word:04X}" for word in row["raw"]),
        }
        for row in rows
        if row["missing"] != "not_read" or any(word is not None for word in row["raw"])
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
    summary = f"{len(shown)} 个量，有值的 {known} 个；档案中另有 {len(rows) - len(shown)} 个量转储里没有"
    return Outcome(summary, columns, shown, problems, found)


@profiles.callback(invoke_without_command=True)
def profiles_or_list(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """设备档案：列出、检查、导出模式；不写命令时列出。"""
    if context.invoked_subcommand is None:
        list_all(as_json=as_json)


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
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="档案文件；不写则检查随程序提供的", exists=True, dir_okay=False),
    ] = None,
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
