"""Dry run, commit and undo of a list.

Owns the order: read the file, plan each row, show what would happen, do it in one transaction, remember
how to take it back. What a row means is in the list modules; the caller owns the transaction.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from documents.cells import cell_address
from documents.reading import FileRefusedError, read_sheets
from documents.writing import Column, SheetContent, write_xlsx
from registry import audit
from registry.actors import Actor, Permission, scope
from registry.intake.columns import ReadList, ReadRow, read_list
from registry.intake.people.attendance_list import AttendanceList
from registry.intake.people.class_list import ClassList
from registry.intake.people.enrolment_list import EnrolmentList
from registry.intake.people.household_list import HouseholdList
from registry.intake.people.measure_list import MeasureList
from registry.intake.people.member_list import MemberList
from registry.intake.people.post_list import PostList
from registry.intake.people.review_list import ReviewList
from registry.intake.places.archive_list import ArchiveList
from registry.intake.places.device_list import DeviceList
from registry.intake.places.division_list import DivisionList
from registry.intake.places.holding_list import HoldingList
from registry.intake.places.meter_list import MeterList
from registry.intake.places.share_list import ShareList
from registry.intake.places.station_list import StationList
from registry.intake.places.system_list import SystemList
from registry.intake.plans import Change, Claim, IntakeList, Outcome, RowPlan
from registry.intake.steps import Desk, steps_json, steps_of, take_back
from registry.intake.tables import ImportBatchRow, ImportRowRow
from registry.intake.values import Choice
from registry.secrets import KeyRing
from store.db import new_id
from store.problem import Problem, ProblemsError

LISTS: dict[str, IntakeList] = {
    one.spec.kind: one
    for one in (
        DivisionList(),
        StationList(),
        ArchiveList(),
        ShareList(),
        HoldingList(),
        DeviceList(),
        MeterList(),
        HouseholdList(),
        MemberList(),
        ClassList(),
        EnrolmentList(),
        PostList(),
        AttendanceList(),
        MeasureList(),
        ReviewList(),
        SystemList(),
    )
}
"""Every kind of list, in the order in which a county takes them in."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to be taken in as a kind of list: a key of LISTS.

    With `partial`, the rows without problems are taken in although others are refused. `columns` is a
    person's own assignment of fields to columns (from 0) instead of the guess.
    """

    kind: str
    file_name: str
    content: bytes
    partial: bool = False
    columns: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What a row would do, or did: its row number in the file, its label, changes and problems."""

    row_no: int
    label: str
    outcome: Outcome
    changes: tuple[Change, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """A dry run: rows in file order, problems of the file, what was assumed, and which column is which."""

    kind: str
    file_name: str
    file_hash: str
    rows: tuple[RowOutcome, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    places: Mapping[str, int] = field(default_factory=dict)

    def count(self, outcome: Outcome) -> int:
        """Return how many rows have an outcome."""
        return sum(row.outcome is outcome for row in self.rows)

    @property
    def all_problems(self) -> tuple[Problem, ...]:
        """Every problem: of the file, then of its rows."""
        return (*self.problems, *(problem for row in self.rows for problem in row.problems))

    @property
    def summary(self) -> str:
        """The counts in words: 新增 3，修改 1，不变 20，错误 0."""
        return "，".join(f"{outcome.word} {self.count(outcome)}" for outcome in Outcome)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that was taken in."""

    id: str
    kind: str
    file_name: str
    committed_at: datetime
    committed_by: str
    added: int
    changed: int
    unchanged: int
    refused: int
    undone_at: datetime | None


def intake_list(kind: str) -> IntakeList:
    """Return a kind of list; raises ProblemsError for one that does not exist."""
    found = LISTS.get(kind)
    if found is None:
        raise ProblemsError([Problem("导入类型", f"没有“{kind}”", f"只能是：{'、'.join(LISTS)}")])
    return found


def template(kind: str) -> bytes:
    """Return an .xlsx to fill in: Chinese headers, an example row, and what each column takes."""
    spec = intake_list(kind).spec
    columns = tuple(
        Column(
            f"{one.title}{'*' if one.required else ''}",
            width=18,
            choices=tuple(one.parse.words) if isinstance(one.parse, Choice) else (),
            note=one.hint,
        )
        for one in spec.columns
    )
    hints = tuple(f"{one.title}：{one.hint}" for one in spec.columns if one.hint)
    notes = ("带 * 的列每行都要填；示例行请改成实际内容。", *spec.notes, "；".join(hints))
    rows = [[one.example for one in spec.columns]]
    return write_xlsx([SheetContent(spec.label, spec.label, columns, rows, notes)])


def preview(session: Session, actor: Actor, ring: KeyRing, upload: Upload, now: datetime) -> Preview:
    """Return what a file would do, without doing anything.

    Problems are returned with the address of their cell; nothing is raised for a bad file.
    """
    actor.require(Permission.EDIT_REGISTRY)
    return _look(Desk(session, actor, now), ring, upload)[0]


def _look(desk: Desk, ring: KeyRing, upload: Upload) -> tuple[Preview, tuple[RowPlan | None, ...]]:
    kind = intake_list(upload.kind)
    base = Preview(upload.kind, upload.file_name, hashlib.sha256(upload.content).hexdigest())
    try:
        read = read_list(kind.spec, read_sheets(upload.content, upload.file_name), upload.columns)
    except FileRefusedError as error:
        return replace(base, problems=(Problem(error.where, error.what, error.how_to_fix),)), ()
    plans = [_plan(desk, ring, kind, (read, row)) for row in read.rows]
    outcomes = _refuse_repeated(
        kind, read.rows, [_outcome(row, plan) for row, plan in zip(read.rows, plans, strict=True)]
    )
    look = replace(
        base,
        rows=outcomes,
        problems=read.problems,
        warnings=read.warnings,
        headers=read.headers,
        places=read.places,
    )
    return look, tuple(plans)


def _plan(desk: Desk, ring: KeyRing, kind: IntakeList, place: tuple[ReadList, ReadRow]) -> RowPlan | None:
    read, row = place
    if row.problems or read.problems:
        return None
    plan = kind.plan(desk, ring, row.values)
    if not plan.problems:
        return plan
    problems = tuple(replace(one, where=_address(read, row.row_no, one.where)) for one in plan.problems)
    return replace(plan, problems=problems)


def _address(read: ReadList, row_no: int, field: str) -> str:
    column = read.places.get(field)
    return f"第 {row_no} 行" if column is None else cell_address(row_no - 1, column)


def _outcome(row: ReadRow, plan: RowPlan | None) -> RowOutcome:
    if plan is None:
        return RowOutcome(row.row_no, "", Outcome.REFUSED, problems=row.problems)
    return RowOutcome(row.row_no, plan.label, plan.outcome, plan.changes, plan.problems, plan.warnings)


def _refuse_repeated(
    kind: IntakeList, rows: Sequence[ReadRow], outcomes: Sequence[RowOutcome]
) -> tuple[RowOutcome, ...]:
    taken: dict[tuple[object, ...], list[tuple[Claim, int]]] = defaultdict(list)
    checked = []
    for row, outcome in zip(rows, outcomes, strict=True):
        claims = () if row.problems else kind.claims(row.values)
        earlier = [row_no for claim in claims for other, row_no in taken[claim.key] if claim.overlaps(other)]
        for claim in claims:
            taken[claim.key].append((claim, row.row_no))
        checked.append(_repeated(outcome, min(earlier)) if earlier else outcome)
    return tuple(checked)


def _repeated(outcome: RowOutcome, earlier: int) -> RowOutcome:
    problem = Problem(f"第 {outcome.row_no} 行", f"与第 {earlier} 行重复或重叠", "只留一行，或改正日期")
    return replace(outcome, outcome=Outcome.REFUSED, problems=(*outcome.problems, problem))


def commit(session: Session, actor: Actor, ring: KeyRing, upload: Upload, now: datetime) -> Batch:
    """Take a file in and return its batch; all of it, or with `partial` all rows without problems.

    Raises ProblemsError, and changes nothing, when the file or (without `partial`) any row has a problem.
    """
    actor.require(Permission.EDIT_REGISTRY)
    desk = Desk(session, actor, now)
    look, plans = _look(desk, ring, upload)
    if look.problems or (look.all_problems and not upload.partial):
        raise ProblemsError(look.all_problems)
    row = ImportBatchRow(
        id=new_id("import"),
        kind=upload.kind,
        file_name=upload.file_name[:255],
        file_hash=look.file_hash,
        area=actor.area,
        committed_at=now,
        committed_by=actor.user_id,
        **{outcome.value: look.count(outcome) for outcome in Outcome},
    )
    session.add(row)
    session.flush()
    for outcome, plan in zip(look.rows, plans, strict=True):
        done = () if plan is None or outcome.outcome is Outcome.REFUSED else plan.act()
        session.add(
            ImportRowRow(
                batch_id=row.id,
                row_no=outcome.row_no,
                outcome=outcome.outcome,
                label=outcome.label,
                undo=steps_json(done),
            )
        )
    session.flush()
    detail = {"file": look.file_hash, "rows": len(look.rows), "kind": upload.kind}
    audit.record(session, actor, audit.Entry("import", "import_batch", row.id, detail=detail), now)
    return _batch(row)


def _batch(row: ImportBatchRow) -> Batch:
    return Batch(
        row.id,
        row.kind,
        row.file_name,
        row.committed_at,
        row.committed_by,
        row.added,
        row.changed,
        row.unchanged,
        row.refused,
        row.undone_at,
    )


def batches(session: Session, actor: Actor, limit: int = 100) -> tuple[Batch, ...]:
    """Return the batches taken in by people whose area lies inside the actor's, the latest first."""
    actor.require(Permission.EDIT_REGISTRY)
    statement = scope(select(ImportBatchRow), actor, ImportBatchRow.area)
    statement = statement.order_by(ImportBatchRow.committed_at.desc(), ImportBatchRow.id).limit(limit)
    return tuple(_batch(row) for row in session.scalars(statement))


def undo(session: Session, actor: Actor, batch_id: str, now: datetime) -> Batch:
    """Take a batch back, last row first; what was known meanwhile stays readable.

    Raises ProblemsError, and changes nothing, when any of it was changed or used since; LookupError for a
    batch outside the actor's area.
    """
    actor.require(Permission.EDIT_REGISTRY)
    row = session.scalar(
        scope(select(ImportBatchRow), actor, ImportBatchRow.area).where(ImportBatchRow.id == batch_id)
    )
    if row is None:
        raise LookupError(f"{actor.name} 的辖区内没有导入批次 {batch_id}")
    if row.undone_at is not None:
        raise ProblemsError([Problem(f"批次 {row.file_name}", "已经撤销过", "不必再撤销")])
    desk = Desk(session, actor, now)
    statement = select(ImportRowRow).where(ImportRowRow.batch_id == batch_id)
    with session.begin_nested():
        for done in session.scalars(statement.order_by(ImportRowRow.row_no.desc())).all():
            for step in reversed(steps_of(done.undo)):
                take_back(desk, step, f"{row.file_name} 第 {done.row_no} 行 {done.label}".strip())
        row.undone_at, row.undone_by = now, actor.user_id
        session.flush()
    audit.record(session, actor, audit.Entry("undo", "import_batch", batch_id), now)
    return _batch(row)


def marked_copy(upload: Upload, look: Preview) -> bytes:
    """Return the sender's table as .xlsx: each wrong cell coloured with a comment, each row with its outcome.

    Raises FileRefusedError for a file that cannot be read at all.
    """
    sheets = read_sheets(upload.content, upload.file_name)
    read = read_list(intake_list(upload.kind).spec, sheets, upload.columns)
    sheet = next((one for one in sheets if one.name == read.sheet_name and not one.hidden), sheets[0])
    outcomes = {row.row_no: row for row in look.rows}
    header = sheet.rows[read.header_row - 1] if read.header_row else sheet.rows[0]
    columns = (*(Column(cell.text) for cell in header), Column("结果", width=8), Column("问题", width=60))
    numbered = list(enumerate(sheet.rows[read.header_row :], start=read.header_row + 1))
    rows = [(*(cell.text for cell in cells), *_remark(outcomes.get(number))) for number, cells in numbered]
    marks = {}
    for place, (number, cells) in enumerate(numbered):
        for problem in outcomes[number].problems if number in outcomes else ():
            wrong = [index for index, cell in enumerate(cells) if cell.address == problem.where]
            marks[place, wrong[0] if wrong else len(header) + 1] = f"{problem.what}。{problem.how_to_fix}"
    return write_xlsx([SheetContent(sheet.name, look.summary, columns, rows, marks=marks)])


def _remark(outcome: RowOutcome | None) -> tuple[str, str]:
    if outcome is None:
        return "", ""
    said = [*(str(problem) for problem in outcome.problems), *outcome.warnings]
    return outcome.outcome.word, "；".join(said)
