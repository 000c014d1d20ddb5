"""What is filed and announced of a run: the filing with an office (备案), and the result notice at the end.

Owns the records and when each may be made. Whether a run must be filed before it is paid is what its terms of
approval say.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.approval.noticing.tables import RunFilingRow
from distribution.approval.runs import ApprovalError, WrongStateError, own_row
from distribution.approval.states import BOOKED, STATE_NAMES, RunState, is_approved
from distribution.approval.voting.votes import gates_of
from registry.actors import Actor, NotPermittedError, Permission

FILING, RESULT = "filing", "result_notice"
FILING_NAMES = {FILING: "备案", RESULT: "结果公告"}
_MAY = {
    FILING: (Permission.APPROVE_TOWNSHIP, Permission.APPROVE_COUNTY, Permission.OPEN_NOTICE),
    RESULT: (Permission.OPEN_NOTICE,),
}


@dataclass(frozen=True, slots=True)
class Filing:
    """A filing or an announced result: the day, the office or place, the document number, the photos."""

    kind: str
    filed_on: date
    office: str
    document: str = ""
    evidence: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What was done, in Chinese."""
        return FILING_NAMES[self.kind]


def may_file(actor: Actor, kind: str) -> bool:
    """Tell whether an actor's role records filings, or announced results."""
    return any(actor.may(one) for one in _MAY[kind])


def file_run(session: Session, actor: Actor, run_id: str, filing: Filing, now: datetime) -> Filing:
    """Record that a run was filed (once its gates are passed) or its result announced (once it is booked).

    The first record stays: again returns it. Raises WrongStateError before its time, ApprovalError without
    a document or photo, NotPermittedError for a role that does not do this.
    """
    if not may_file(actor, filing.kind):
        raise NotPermittedError(f"{actor.name}（{actor.role.word}）无权登记{filing.name}")
    row = own_row(session, actor, run_id, lock=True)
    present = session.get(RunFilingRow, (run_id, filing.kind))
    if present is not None:
        return _record(present)
    state = RunState(row.state)
    ready = state in BOOKED or (filing.kind == FILING and is_approved(gates_of(row), state))
    if not ready:
        raise WrongStateError(f"{row.book} {row.period} 现为“{STATE_NAMES[state]}”，还不能登记{filing.name}")
    if not filing.document.strip() and not filing.evidence:
        raise ApprovalError(f"登记{filing.name}请填写文号或上传照片")
    made = RunFilingRow(
        run_id=run_id,
        kind=filing.kind,
        filed_on=filing.filed_on,
        office=filing.office.strip(),
        document=filing.document.strip(),
        evidence=",".join(filing.evidence),
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(made)
    session.flush()
    return _record(made)


def filings_of(session: Session, actor: Actor, run_id: str) -> tuple[Filing, ...]:
    """Return what was filed and announced of a run."""
    own_row(session, actor, run_id)
    statement = select(RunFilingRow).where(RunFilingRow.run_id == run_id).order_by(RunFilingRow.kind)
    return tuple(_record(row) for row in session.scalars(statement))


def waits_for_filing(session: Session, actor: Actor, run_id: str) -> bool:
    """Tell whether a run's terms ask for a filing before it is booked, and none is recorded yet."""
    row = own_row(session, actor, run_id)
    return FILING in gates_of(row) and session.get(RunFilingRow, (run_id, FILING)) is None


def _record(row: RunFilingRow) -> Filing:
    photos = tuple(one for one in row.evidence.split(",") if one)
    return Filing(row.kind, row.filed_on, row.office, row.document, photos)
