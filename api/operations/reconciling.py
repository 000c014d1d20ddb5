"""Reconciliation for operators: match a month and tell what differs, the worst first."""

from collections import Counter

from api.operations.energy import period_of
from api.outcome import Exit, Outcome
from dashboards.reconciling import run_match
from dashboards.web import Services
from distribution.settlement.intake.refused import refused_lines
from distribution.settlement.matching.results import FATES, line_fates, match_results
from distribution.settlement.reconciliation import OUTCOMES, discrepancies
from registry.actors import SYSTEM
from registry.stations import stations
from store.periods import PeriodKind
from store.problem import Problem, ProblemsError

_STATES = {"matched": "相符", "excepted": "有差异", "waiting": "等结算单"}


def reconcile(services: Services, *, month: str) -> Outcome:
    """Match a month's inverters, meters, bills and receipts; running it again records nothing twice."""
    if period_of(month).kind is not PeriodKind.MONTH:
        raise ProblemsError([Problem("月份", f"“{month}” 不是月份", "写成 2026-10")])
    new = run_match(services, SYSTEM, month)
    with services.database.reading() as session:
        names = {one.id: one.name for one in stations(session, SYSTEM)}
        found = discrepancies(session, SYSTEM, month=month)
        states = Counter(one.state for one in match_results(session, SYSTEM, month=month))
        fates = Counter(one.fate for one in line_fates(session, SYSTEM, month))
        refused = refused_lines(session, SYSTEM, month=month, open_only=True)
    rows = tuple(
        {
            "id": one.id,
            "station": names.get(one.station_id, one.station_id),
            "text": one.text,
            "cause": one.cause,
            "owner": one.owner,
            "due_on": "" if one.due_on is None else one.due_on.isoformat(),
            "outcome": OUTCOMES.get(one.outcome, "待处理"),
            "expected": one.expected,
            "found": one.found,
            "unit": one.unit,
        }
        for one in found
    )
    columns = {
        "station": "电站",
        "text": "差异",
        "cause": "可能的原因",
        "owner": "由谁处理",
        "due_on": "期限",
        "outcome": "结果",
    }
    told = "，".join(f"{_STATES[name]} {count} 站" for name, count in sorted(states.items()))
    lines = "，".join(f"{FATES[name]} {count} 行" for name, count in sorted(fates.items()))
    summary = f"{month}：{told or '没有可比对的电站'}；结算单 {lines or '0 行'}"
    summary += f"；未入库 {len(refused)} 行；新差异 {len(new)} 条"
    is_open = any(not one.outcome for one in found) or bool(refused)
    return Outcome(summary, columns, rows, (), Exit.FOUND if is_open else Exit.DONE)
