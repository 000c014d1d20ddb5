"""Records of dispatch for operators: curtailment, ordered stops, majeure."""

from datetime import datetime

from api.operations.people import OPERATOR
from api.outcome import Outcome
from dashboards.web import Services
from monitoring.calendar.dispatch import (
    KIND_LABELS,
    DispatchKind,
    DispatchRecord,
    dispatch_records,
    end_dispatch,
    record_dispatch,
)
from store.periods import SHANGHAI
from store.problem import Problem, ProblemsError

COLUMNS = {
    "id": "编号",
    "kind_label": "种类",
    "subject_id": "对象",
    "start": "开始",
    "end": "结束",
    "limit_percent": "限至 %",
    "document": "依据",
}


def _moment(where: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        how = "写成 2026-06-15T12:30（北京时间）"
        raise ProblemsError([Problem(where, f"“{text}” 不是时刻", how)]) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)


def _row(record: DispatchRecord) -> dict[str, str | float | None]:
    end = "" if record.end is None else record.end.astimezone(SHANGHAI).isoformat(timespec="minutes")
    return {
        "id": record.id,
        "kind": str(record.kind),
        "kind_label": KIND_LABELS[record.kind],
        "subject_id": record.subject_id,
        "start": record.start.astimezone(SHANGHAI).isoformat(timespec="minutes"),
        "end": end,
        "limit_percent": record.limit_percent,
        "document": record.document,
    }


def dispatch_add(  # noqa: PLR0913, one argument an option
    services: Services,
    *,
    subject_id: str,
    kind: str,
    start: str,
    document: str,
    end: str = "",
    limit_percent: float | None = None,
) -> Outcome:
    """Record curtailment, an ordered stop or majeure for a station, a device or a division."""
    if kind not in set(DispatchKind):
        how = "写成 curtailment（限电）、stop（停机令）或 majeure（不可抗力）"
        raise ProblemsError([Problem("--kind", f"没有“{kind}”这一种", how)])
    record = DispatchRecord(
        subject_id,
        DispatchKind(kind),
        _moment("--from", start),
        _moment("--to", end) if end else None,
        document,
        limit_percent,
    )
    with services.database.transaction() as session:
        made = record_dispatch(session, OPERATOR, record, services.clock())
    return Outcome(f"已登记 {record.note}，编号 {made}", {"id": "编号"}, ({"id": made},))


def dispatch_end(services: Services, *, record_id: str, at: str = "", never: bool = False) -> Outcome:
    """Say when a record ended, or that it never held."""
    if bool(at) == never:
        raise ProblemsError([Problem("--at", "要写结束时刻，或用 --never 作废", "两者写一个")])
    moment = None if never else _moment("--at", at)
    with services.database.transaction() as session:
        try:
            end_dispatch(session, OPERATOR, record_id, moment, services.clock())
        except LookupError as error:
            how = "用 sunledger dispatch list 查看"
            raise ProblemsError([Problem("编号", f"没有 {record_id}", how)]) from error
    return Outcome(f"{record_id} 已作废" if never else f"{record_id} 已登记结束", {})


def dispatch_list(services: Services) -> Outcome:
    """Return every record that is not withdrawn, the newest first."""
    with services.database.reading() as session:
        rows = tuple(_row(record) for record in dispatch_records(session, OPERATOR))
    return Outcome(f"{len(rows)} 条调度记录", COLUMNS, rows)
