"""Lines of a bank statement: read, kept once, corrected, set apart or ignored with a reason.

Owns what becomes of a line that is not matched. Which receivable it pays is `matching`'s.
"""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from distribution.money import yuan
from distribution.settlement.bank.linking import link_receipts
from distribution.settlement.bank.reads import BankLine, bank_lines
from distribution.settlement.bank.tables import BankLineDecisionRow, BankLineRow
from distribution.settlement.columns import Layout, RowReader, table_rows
from distribution.settlement.imports import FileFacts, ImportResult, remember_file
from distribution.settlement.statements import sha256_of
from documents.cells import half_width
from registry import audit
from registry.actors import CODE_LENGTH, Actor, Permission
from registry.stations import stations
from store.canonical import content_hash
from store.problem import Problem, ProblemsError

REQUIRED = ("received_on", "amount", "reference")
_COUNTY_DIGITS = 6
EXCEPTED, IGNORED, REOPENED = "excepted", "ignored", "reopened"


@dataclass(frozen=True, slots=True)
class BankLineFact:
    """One credit [fen] as the bank's list has it."""

    received_on: date
    amount_fen: int
    payer: str
    reference: str
    remark: str
    place: str = "录入"


@dataclass(frozen=True, slots=True)
class LineDecision:
    """What becomes of a line: excepted (with owner and due date), ignored, or taken up again; and why."""

    decision: str
    reason: str
    owner: str = ""
    due_on: date | None = None


def read_bank_lines(
    source: Path | bytes, file_name: str, layout: Layout
) -> tuple[list[BankLineFact], list[Problem]]:
    """Read a bank statement from CSV or Excel; payments out are passed over, bad cells are problems.

    Raises FileRefusedError when the file cannot be opened as a table.
    """
    facts: list[BankLineFact] = []
    problems: list[Problem] = []
    for reader in table_rows(source, file_name, layout, ("银行流水", REQUIRED)):
        fact, wrong = _fact(reader)
        problems += wrong
        facts += [] if fact is None else [fact]
    return facts, problems


def _fact(reader: RowReader) -> tuple[BankLineFact | None, list[Problem]]:
    credit, debit = reader.cell("amount").text, reader.cell("debit").text
    if debit.strip("0., ") and not credit.strip("0., "):
        return None, []
    amount_fen = reader.fen("amount", "到账金额")
    if amount_fen <= 0 and not reader.problems:
        reader.refuse("amount", "到账金额不大于零", "退款请用“更正”登记，不要填负数")
    fact = BankLineFact(
        reader.day("received_on", "到账日期"),
        amount_fen,
        half_width(reader.cell("payer").text),
        reader.code("reference", "银行流水号"),
        half_width(reader.cell("remark").text),
        reader.place("amount"),
    )
    return (None, reader.problems) if reader.problems else (fact, [])


def import_bank_lines(
    session: Session, actor: Actor, source: tuple[bytes, str, Layout], now: datetime, *, dry_run: bool = False
) -> ImportResult:
    """Read and keep a bank statement, given as (content, file name, layout); repeats change nothing."""
    content, name, layout = source
    facts, problems = read_bank_lines(content, name, layout)
    digest = sha256_of(content)
    added, unchanged, refused = keep_lines(session, actor, (facts, digest), now, dry_run=dry_run)
    if not dry_run:
        remember_file(session, actor, FileFacts(digest, name, "bank", len(facts)), now)
        link_receipts(session, actor, {fact.reference for fact in facts}, now)
    return ImportResult(name, digest, dry_run, tuple(added), (), tuple(unchanged), (*problems, *refused))


def keep_lines(
    session: Session,
    actor: Actor,
    what: tuple[list[BankLineFact], str],
    now: datetime,
    *,
    dry_run: bool = False,
) -> tuple[list[str], list[str], list[Problem]]:
    """Keep lines of a file, given with its hash; returns the new ids, the known ids, and conflicts.

    Raises ProblemsError when it cannot be told whose account the lines are of.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    facts, digest = what
    county = account_owner(session, actor)
    added: list[str] = []
    unchanged: list[str] = []
    problems: list[Problem] = []
    for fact in facts:
        line_id = f"bank:{content_hash([county, fact.reference])[:32]}"
        present = session.get(BankLineRow, line_id)
        if present is None and line_id not in added:
            added.append(line_id)
            if not dry_run:
                _write(session, actor, (line_id, county, digest), fact, now)
        elif present is not None and _is_same(present, fact):
            unchanged.append(line_id)
        else:
            problems.append(_conflict(fact, present))
    return added, unchanged, problems


def _is_same(row: BankLineRow, fact: BankLineFact) -> bool:
    return (row.amount_fen, row.received_on) == (fact.amount_fen, fact.received_on)


def _conflict(fact: BankLineFact, present: BankLineRow | None) -> Problem:
    if present is None:
        return Problem(fact.place, f"流水号 {fact.reference} 在文件中出现两次", "请核对银行流水，只留一行")
    what = (
        f"流水号 {fact.reference} 已登记为 {present.received_on} 到账 {yuan(present.amount_fen)} 元，"
        f"与本次 {fact.received_on} {yuan(fact.amount_fen)} 元不同"
    )
    return Problem(fact.place, what, "请核对银行流水；登记有误请用“更正”")


def account_owner(session: Session, actor: Actor) -> str:
    """Return the county (12 digits) whose dedicated account an actor keeps.

    Raises ProblemsError for somebody above or without a county, unless there is only one.
    """
    prefix = actor.area_prefix
    if len(prefix) >= _COUNTY_DIGITS:
        return prefix[:_COUNTY_DIGITS].ljust(CODE_LENGTH, "0")
    counties = {one.division_code[:_COUNTY_DIGITS] for one in stations(session, actor)}
    if len(counties) != 1:
        raise ProblemsError([Problem("银行流水", "不知道是哪个县的专户", "请由县级财务用户导入")])
    return counties.pop().ljust(CODE_LENGTH, "0")


def _write(
    session: Session, actor: Actor, key: tuple[str, str, str], fact: BankLineFact, now: datetime
) -> None:
    line_id, county, digest = key
    session.add(
        BankLineRow(
            id=line_id,
            division_code=county,
            received_on=fact.received_on,
            amount_fen=fact.amount_fen,
            payer=fact.payer,
            reference=fact.reference,
            remark=fact.remark,
            source=fact.place,
            file_sha256=digest,
            corrects=None,
            recorded_at=now,
            recorded_by=actor.user_id,
        )
    )
    session.flush()


def own_line(session: Session, actor: Actor, line_id: str) -> BankLine:
    """Return a line of the actor's area; raises LookupError when there is none."""
    found = bank_lines(session, actor, ids=(line_id,))
    if not found:
        raise LookupError(f"辖区内没有银行流水 {line_id}")
    return found[0]


def decide_line(session: Session, actor: Actor, line_id: str, what: LineDecision, now: datetime) -> None:
    """Set a line that is not matched in full apart, ignore it, or take it up again; with a reason.

    Raises ProblemsError without a reason, without owner and due date of an exception, or for a matched line.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    line = own_line(session, actor, line_id)
    problems = []
    if not what.reason.strip():
        problems.append(Problem("银行流水", "没有写明原因", "请写明为什么这样处理"))
    if what.decision == EXCEPTED and (not what.owner.strip() or what.due_on is None):
        problems.append(Problem("列为例外", "没有负责人或期限", "请写明谁在哪天之前查清"))
    if line.rest_fen == 0 or (what.decision == IGNORED and line.matched_fen):
        problems.append(Problem("银行流水", "这笔流水已经核对", "先撤销核对，再作处理"))
    if problems:
        raise ProblemsError(problems)
    last = select(func.max(BankLineDecisionRow.seq)).where(BankLineDecisionRow.bank_line_id == line_id)
    row = BankLineDecisionRow(
        bank_line_id=line_id,
        seq=(session.scalar(last) or 0) + 1,
        decision=what.decision,
        reason=what.reason.strip(),
        owner=what.owner.strip(),
        due_on=what.due_on,
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor, audit.Entry(what.decision, "bank_line", line_id, after=what), now)


def correct_line(session: Session, actor: Actor, line_id: str, reason: str, now: datetime) -> str:
    """Take a line back by a negative row that names it; returns the new row's id, the same when repeated.

    Raises ProblemsError without a reason, or while a match holds part of the line.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    line = own_line(session, actor, line_id)
    correction_id = f"bank:{content_hash(['correction', line_id])[:32]}"
    if session.get(BankLineRow, correction_id) is not None:
        return correction_id
    if not reason.strip() or line.matched_fen or line.surplus_fen:
        raise ProblemsError(
            [Problem("更正流水", "没有写明原因，或流水已经核对", "先撤销核对，再写明原因更正")]
        )
    fact = BankLineFact(
        line.received_on, -line.amount_fen, line.payer, f"{line.reference} 冲正", line.remark, reason
    )
    session.add(
        BankLineRow(
            id=correction_id,
            division_code=line.division_code,
            received_on=fact.received_on,
            amount_fen=fact.amount_fen,
            payer=fact.payer,
            reference=fact.reference,
            remark=fact.remark,
            source=f"更正：{reason.strip()}",
            file_sha256=line.file_sha256,
            corrects=line_id,
            recorded_at=now,
            recorded_by=actor.user_id,
        )
    )
    session.flush()
    audit.record(session, actor, audit.Entry("correct", "bank_line", line_id, reason=reason), now)
    return correction_id
