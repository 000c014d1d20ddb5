"""Money for operators: statements and receipts in, a month closed, everything verified."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.operations.energy import period_of
from api.outcome import Exit, Outcome
from dashboards.web import Services
from distribution.closing.month import close_month
from distribution.money import yuan
from distribution.settlement.bank.lines import import_bank_lines
from distribution.settlement.columns import load_layout
from distribution.settlement.import_events import import_event, refusal_event
from distribution.settlement.imports import ImportResult, import_statement
from distribution.settlement.intake.layouts import layout_named
from distribution.settlement.receipts import import_receipts
from distribution.settlement.statements import stream_statement
from distribution.verification import verify as verify_money
from documents.refusal import FileRefusedError
from registry import audit
from registry.actors import SYSTEM
from store.events import record
from store.periods import PeriodKind
from store.problem import Problem, ProblemsError

PROBLEMS_SHOWN = 50


def close(services: Services, *, month: str) -> Outcome:
    """Take every village's month as far as the next human gate; running it again changes nothing."""
    if period_of(month).kind is not PeriodKind.MONTH:
        raise ProblemsError([Problem("月份", f"“{month}” 不是月份", "写成 2026-10")])
    report = close_month(services.database, services.series, SYSTEM, month, services.clock())
    rows = tuple(
        {
            "village_code": one.village_code,
            "village_name": one.village_name,
            "state": one.state_name,
            "amount_yuan": yuan(one.amount_fen),
            "amount_fen": one.amount_fen,
            "waiting_for": one.waiting_for,
        }
        for one in report.villages
    )
    columns = {
        "village_code": "村代码",
        "village_name": "村",
        "state": "状态",
        "amount_yuan": "金额（元）",
        "waiting_for": "在等什么",
    }
    waiting = sum(bool(one.waiting_for) for one in report.villages)
    summary = f"{month}：{len(rows)} 个村，{len(rows) - waiting} 个已办完，{waiting} 个在等"
    return Outcome(summary, columns, rows)


def verify(services: Services) -> Outcome:
    """Check every book, run, vote, notice, payout, batch and bill, and the audit trail."""
    with services.database.reading() as session:
        problems = (*verify_money(session), *audit.verify(session))
    if problems:
        return Outcome(f"发现 {len(problems)} 个问题", {}, (), problems, Exit.FOUND)
    return Outcome("账本、分配、公示、发放、结算和审计链全部相符", {})


def statement(services: Services, *, file: str, layout: str = "standard", dry_run: bool = False) -> Outcome:
    """Import a grid statement (CSV or Excel); a bad row keeps out its station and month only.

    `layout` is a company whose columns were mapped on the page, a shipped layout, or a TOML file's path.
    """

    def run(path: Path) -> ImportResult:
        with services.database.reading() as session:
            chosen = layout_named(session, SYSTEM, layout)
        read = stream_statement(path, chosen)
        with services.database.transaction() as session:
            return import_statement(session, SYSTEM, read, services.clock(), dry_run=dry_run)

    return _imported(services, Path(file), "电费结算单", run, dry_run=dry_run)


def receipts(services: Services, *, file: str, layout: str = "receipts", dry_run: bool = False) -> Outcome:
    """Import a list of bank receipts (CSV or Excel)."""

    def run(path: Path) -> ImportResult:
        source = (path.read_bytes(), path.name, load_layout(layout))
        with services.database.transaction() as session:
            return import_receipts(session, SYSTEM, source, services.clock(), dry_run=dry_run)

    return _imported(services, Path(file), "到账清单", run, dry_run=dry_run)


def bank(services: Services, *, file: str, layout: str = "bank", dry_run: bool = False) -> Outcome:
    """Import the lines of a bank statement (CSV or Excel)."""

    def run(path: Path) -> ImportResult:
        source = (path.read_bytes(), path.name, load_layout(layout))
        with services.database.transaction() as session:
            return import_bank_lines(session, SYSTEM, source, services.clock(), dry_run=dry_run)

    return _imported(services, Path(file), "银行流水", run, dry_run=dry_run)


def _imported(
    services: Services, path: Path, what: str, run: Callable[[Path], ImportResult], *, dry_run: bool
) -> Outcome:
    try:
        result = run(path)
    except FileRefusedError as error:
        refused = Problem(error.where, error.what, error.how_to_fix)
        if not dry_run:
            with services.database.transaction() as session:
                record(session, refusal_event(SYSTEM, what, path.name, [refused], services.clock()))
        raise ProblemsError([refused]) from error
    except OSError as error:
        raise ProblemsError([Problem(str(path), f"读不了：{error.strerror}", "检查路径和权限")]) from error
    if not result.dry_run:
        with services.database.transaction() as session:
            record(session, import_event(SYSTEM, what, result, services.clock()))
    counts: dict[str, Any] = {
        "added": len(result.added),
        "revised": len(result.revised),
        "unchanged": len(result.unchanged),
        "problems": len(result.problems),
        "warnings": len(result.warnings),
        "sha256": result.sha256,
    }
    columns = {
        "added": "新增",
        "revised": "修订",
        "unchanged": "不变",
        "problems": "错误",
        "warnings": "提醒",
    }
    words = "试导" if result.dry_run else "导入"
    shown = (*result.problems, *result.warnings)[:PROBLEMS_SHOWN]
    exit_code = Exit.FOUND if result.problems else Exit.DONE
    return Outcome(f"{words}{what} {result.file_name}", columns, (counts,), shown, exit_code)
