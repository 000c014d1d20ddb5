"""Plans in force, for operators: publish a version."""

from pathlib import Path

from api.operations.people import OPERATOR
from api.outcome import Outcome
from dashboards.web import Services
from distribution.plans.document import plan_hash
from distribution.plans.tables import publish
from store.events import Event, EventKind, Severity, record
from store.problem import Problem, ProblemsError


def publish_plan(services: Services, *, file: str) -> Outcome:
    """Publish a plan for its scope and dates; its checks and cases must pass, twice is once."""
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProblemsError([Problem(file, f"读不了：{error}", "检查路径、权限和编码（UTF-8）")]) from error
    try:
        with services.database.transaction() as session:
            plan = publish(session, OPERATOR, text, services.clock())
    except ProblemsError as error:
        with services.database.transaction() as session:
            record(session, _refusal(services, path, error))
        raise
    row = {
        "id": plan.id,
        "version": plan.version,
        "valid_from": str(plan.valid_from or ""),
        "scope": "、".join(plan.scope) or "全部",
        "hash": plan_hash(plan),
    }
    columns = {"id": "方案", "version": "版本", "valid_from": "起", "scope": "范围", "hash": "内容摘要"}
    return Outcome(f"{plan.title} 第 {plan.version} 版已发布", columns, (row,))


def _refusal(services: Services, path: Path, error: ProblemsError) -> Event:
    return Event(
        at=services.clock(),
        kind=EventKind.IMPORT,
        severity=Severity.WARNING,
        subject_kind="file",
        subject_id=path.name,
        message=f"方案 {path.name} 没有发布：{error.problems[0]}",
        detail={"problems": len(error.problems)},
    )
