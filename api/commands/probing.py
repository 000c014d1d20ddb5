"""The command that asks a device what it is, at the site."""

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.commands.chinese import CommandLine
from api.commands.output import ConfigOption, JsonOption, print_problems, refusing, settings_of, show
from api.outcome import Exit, Outcome
from documents.refusal import FileRefusedError
from store.problem import Problem, ProblemsError

if TYPE_CHECKING:
    from collector.modbus import Line
    from collector.probe import Findings, UnitReport

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\s/]+)(?::(\d{1,5}))?")
_UNITS = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?")
LAST_PORT = 65_535
LAST_UNIT = 255
HINT = "写成 主机、主机:端口，或串口 /dev/ttyUSB0"


def register(app: CommandLine) -> None:
    """Add the commands of this module."""
    app.command()(probe)


def unit_ids(texts: list[str]) -> list[int]:
    """Return unit ids written as `3`, `1-10` or `1,5,7-9`, each once; raises ProblemsError for others."""
    found: dict[int, None] = {}
    for part in ",".join(texts).split(","):
        match = _UNITS.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 0 <= first <= last <= LAST_UNIT:
            raise ProblemsError(
                [Problem("--unit", f"“{part}” 不是站号", "写成 3、1-10 或 1,5,7-9，0 到 255")]
            )
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def line_of(address: str, *, rtu: bool, baud: int, parity: str, timeout: float) -> "Line":
    """Return the line that an address names; raises ProblemsError for one that names none."""
    from collector.modbus import Line
    from collector.networks import port_settings_problem

    if address.startswith("/"):
        problem = port_settings_problem(str(baud), parity)
        if problem:
            raise ProblemsError([Problem(address, problem, "照设备说明书写 --baud 和 --parity")])
        return Line(address, serial=True, baudrate=baud, parity=parity, timeout=timeout)
    match = _ADDRESS.fullmatch(address)
    port = int(match[2] or "502") if match else 0
    if match is None or not 0 < port <= LAST_PORT:
        raise ProblemsError([Problem("地址", f"“{address}” 认不出", HINT)])
    return Line(match[1].strip("[]"), port, rtu=rtu, timeout=timeout)


def probe(
    address: Annotated[str, typer.Argument(help=HINT)],
    units: Annotated[
        list[str] | None, typer.Option("--unit", help="站号，如 3、1-10、1,5,7-9；不写则试常用的")
    ] = None,
    profile: Annotated[str, typer.Option("--profile", help="只按这个档案（名称或 .toml 文件）读全部量")] = "",
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="写出设备接入单：.pdf，其他后缀为纯文本", dir_okay=False)
    ] = None,
    baud: Annotated[int, typer.Option("--baud", help="串口波特率")] = 9600,
    parity: Annotated[str, typer.Option("--parity", help="串口校验：N、E 或 O")] = "N",
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, max=30, help="每次等应答多久 [秒]")] = 1.0,
    config: ConfigOption = None,
    *,
    rtu: Annotated[bool, typer.Option("--rtu-over-tcp", help="TCP 里是 RTU 帧（透传网关）")] = False,
    as_json: JsonOption = False,
) -> None:
    """只读地问一台设备是什么：扫站号、认档案、列出解出的量，可写出设备接入单。"""
    from collector.networks import DEFAULT_NETWORKS
    from collector.probe import USUAL_UNITS
    from collector.probe import probe as ask

    with refusing(as_json=as_json):
        line = line_of(address, rtu=rtu, baud=baud, parity=parity, timeout=timeout)
        networks = (*DEFAULT_NETWORKS, *(str(one) for one in settings_of(config, None).modbus_networks))
        asked = unit_ids(units) if units else USUAL_UNITS
        findings = asyncio.run(ask(line, asked, profile_name=profile, networks=networks))
        outcome = _outcome(findings, address)
        if sheet is not None and findings.reports:
            _write_sheet(sheet, findings, line)
        if as_json:
            show(outcome, as_json=True)
        for report in findings.reports:
            _tell(report)
        print_problems(outcome.problems)
        typer.echo(outcome.summary)
        raise typer.Exit(int(outcome.exit_code))


def _write_sheet(path: Path, findings: "Findings", line: "Line") -> None:
    from api.service import system_clock
    from collector.sheet import sheet_of, sheets_pdf, sheets_text

    sheets = [sheet_of(report, line) for report in findings.reports]
    now = system_clock()
    as_pdf = path.suffix.lower() == ".pdf"
    try:
        path.write_bytes(sheets_pdf(sheets, now) if as_pdf else sheets_text(sheets, now).encode())
    except FileRefusedError as error:
        raise ProblemsError([Problem(error.where, error.what, error.how_to_fix)]) from error
    except OSError as error:
        raise ProblemsError([Problem(str(path), f"写不了：{error.strerror}", "换一个文件名")]) from error


def _outcome(findings: "Findings", address: str) -> Outcome:
    rows = tuple(_record(report) for report in findings.reports)
    problems = [Problem(address, findings.remark, "需要时用 --unit 指定站号再试")] if findings.remark else []
    if not rows:
        how = "核对站号和波特率；透传网关加 --rtu-over-tcp；电能表加 --profile dlt645_2007"
        problems.append(Problem(address, "连上了，但没有一个站号应答", how))
    problems += [
        Problem(
            f"站号 {row['unit_id']}", "有应答，但没有认出设备", "用 --profile 指定档案，或按说明书新建档案"
        )
        for row in rows
        if not row["profile"]
    ]
    known = sum(bool(row["profile"]) for row in rows)
    summary = f"{len(rows)} 个站号有应答，认出 {known} 台设备"
    return Outcome(summary, {}, rows, tuple(problems), Exit.FOUND if problems else Exit.DONE)


def _record(report: "UnitReport") -> dict[str, Any]:
    """Return a unit as plain values: the likeliest family with its points, and the other candidates."""
    from collector.profile import point_record

    best = report.best
    record: dict[str, Any] = {"unit_id": report.unit_id, "profile": "", "certainty": "", "points": []}
    if best is None:
        return record
    identity = best.decoded.identity
    return record | {
        "profile": best.profile,
        "certainty": best.certainty,
        "serial": identity.serial,
        "model": identity.model,
        "firmware": identity.firmware,
        "rated_power_w": identity.rated_power_w,
        "state": best.decoded.state_text,
        "signs": [{"weight": sign.weight, "words": sign.words} for sign in best.signs],
        "points": [point_record(point) for point in best.decoded.points],
        "values": dict(best.decoded.values),
        "word_orders": [
            {
                "quantity": order.name,
                "unit": order.unit,
                "high_word_first": order.high_word_first,
                "low_word_first": order.low_word_first,
                "profile_says": "low" if order.profile_says_low else "high",
            }
            for order in best.orders
        ],
        "others": [
            {"profile": other.profile, "certainty": other.certainty, "weight": other.weight}
            for other in report.candidates[1:]
        ],
    }


def _tell(report: "UnitReport") -> None:
    """Print a unit for a person: who it is and why, its values, and both word orders where unsure."""
    from rich.console import Console
    from rich.table import Table

    from collector.sheet import measured, value_text
    from store.samples import QUANTITIES

    console, best = Console(highlight=False), report.best
    if best is None:
        console.print(f"站号 {report.unit_id}：有应答，没有认出设备")
        return
    identity = best.decoded.identity
    name = " ".join(part for part in (best.vendor, identity.model, identity.serial) if part)
    console.print(f"站号 {report.unit_id}：{name}　档案 {best.profile}（{best.certainty}）", markup=False)
    console.print("  依据：" + "；".join(sign.words for sign in best.signs), markup=False)
    others = "、".join(
        f"{other.profile}（{other.certainty}）" for other in report.candidates[1:] if other.weight > 0
    )
    if others:
        console.print(f"  也像：{others}", markup=False)
    table = Table("量", "值", show_edge=False, header_style="bold")
    for quantity in measured(best.decoded.values):
        table.add_row(QUANTITIES[quantity].label, value_text(quantity, best.decoded.values[quantity]))
    console.print(table)
    alarms = "、".join(alarm.chinese for alarm in best.decoded.alarms)
    console.print(f"  状态：{best.decoded.state_text or '—'}　告警：{alarms or '无'}", markup=False)
    if best.orders and best.certainty != "确定":
        orders = Table("没有把握时看两种字序", "高字在前", "低字在前", "档案取", show_edge=False)
        for order in best.orders:
            chosen = "低字在前" if order.profile_says_low else "高字在前"
            values = (order.high_word_first, order.low_word_first)
            orders.add_row(
                QUANTITIES[order.name].label, *(value_text(order.name, one) for one in values), chosen
            )
        console.print(orders)
