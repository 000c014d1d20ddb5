"""The demo's offices at work: what people bring into the system month by month, on a simulated clock.

Owns the calendar of a month's papers (statement, receipts, costs, attendance) and who brings them. The
gates of a run are played in `api.demo.money`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.demo.county import County
from api.demo.paperwork import bills, expenses, receipts_file, statement_file, subsidy_is_paid
from api.demo.people import People, attendance
from api.demo.plant import Plant
from api.demo.registration import played, register_attendance
from distribution.plans.tables import publish
from distribution.settlement.columns import load_layout
from distribution.settlement.imports import import_statement
from distribution.settlement.receipts import import_receipts
from distribution.settlement.receivables.remittances import RemittanceFact, record_remittance
from distribution.settlement.spending.costs import CostFact, record_cost
from distribution.settlement.statements import read_statement
from distribution.settlement.tables import CostRow, ReceiptRow, ReceiptShareRow
from registry.actors import Actor
from registry.enrolment import AttendanceRow
from store.db import Database
from store.periods import Period, local_date, local_midnight
from store.problem import Problem, ProblemsError

STATEMENT_DAY = 5
RECEIPT_DAY = 8


@dataclass(frozen=True)
class Office:
    """Everything that the played offices work with."""

    database: Database
    data_dir: Path
    county: County
    people: People
    plant: Plant
    actors: Mapping[str, Actor] = field(default_factory=dict)

    def actor(self, user_id: str) -> Actor:
        """Return one of the played people."""
        return self.actors[user_id]

    def village_actor(self, village_code: str) -> Actor:
        """Return the played cadre of a village."""
        return self.actors[f"demo_village_{village_code[6:]}"]

    def township_actor(self, village_code: str) -> Actor:
        """Return the played clerk of the township in which a village lies."""
        return self.actors[f"demo_township_{village_code[6:9]}"]


def open_office(database: Database, data_dir: Path, county: County, people: People, plant: Plant) -> Office:
    """Return the offices of a county, staffed."""
    staff = {actor.user_id: actor for actor in played(county)}
    return Office(database, data_dir, county, people, plant, staff)


def on_day(month: Period, day: int, hour: int = 10) -> datetime:
    """Return the instant of a day (1 is the first) of the month that follows `month`."""
    return local_midnight(month.end + timedelta(days=day - 1)) + timedelta(hours=hour)


def publish_plan(office: Office) -> None:
    """Publish the county's distribution plan: the shipped template, for the whole county."""
    text = (resources.files("distribution.plans") / "templates" / "default_county.toml").read_text("utf-8")
    now = local_midnight(office.county.story.epoch)
    with office.database.transaction() as session:
        publish(session, office.actor("demo_leader"), text, now)


def bring_papers(office: Office, month: Period, until: datetime) -> None:
    """Bring in what a month's papers say, each on its day, as far as the days lie before `until`.

    Bringing them again changes nothing. Raises ProblemsError when the system refuses a paper.
    """
    billed = bills(office.county, office.plant, month)
    if (now := on_day(month, STATEMENT_DAY)) <= until:
        with office.database.transaction() as session:
            name = f"云泽县供电公司_{month}_电费结算单.csv"
            read = read_statement(statement_file(billed), name, load_layout("standard"))
            _accept(import_statement(session, office.actor("demo_settler"), read, now).problems)
            _bring_costs(session, office, month, now)
            _bring_attendance(session, office, month, now)
    if (now := on_day(month, RECEIPT_DAY)) <= until:
        with office.database.transaction() as session:
            paid = subsidy_is_paid(office.county, month)
            content = receipts_file(billed, local_date(now), with_subsidy=paid)
            source = (content, f"云泽县专户_{month}_到账明细.csv", load_layout("receipts"))
            _accept(import_receipts(session, office.actor("demo_cashier"), source, now).problems)
            _pass_on(session, office, month, now + timedelta(hours=5))


def _pass_on(session: Session, office: Office, month: Period, now: datetime) -> None:
    """Pass on to every village what arrived for it with the month's bills."""
    statement = (
        select(ReceiptShareRow.village_code, func.sum(ReceiptShareRow.amount_fen))
        .join(ReceiptRow, ReceiptRow.id == ReceiptShareRow.receipt_id)
        .where(ReceiptRow.month == str(month))
        .group_by(ReceiptShareRow.village_code)
    )
    for number, (village, amount_fen) in enumerate(session.execute(statement).all(), start=1):
        fact = RemittanceFact(village, int(amount_fen), local_date(now), f"{month.end:%Y%m}{number:04d}Z")
        record_remittance(session, office.actor("demo_cashier"), fact, now)


def _accept(problems: tuple[Problem, ...]) -> None:
    if problems:
        raise ProblemsError(problems)


def _bring_costs(session: Session, office: Office, month: Period, now: datetime) -> None:
    if session.scalar(select(CostRow.id).where(CostRow.month == str(month)).limit(1)) is not None:
        return
    words = {"maintenance": "运维费", "land_rent": "土地租金", "insurance": "电站保险费"}
    for one in expenses(office.county, month):
        fact = CostFact(
            month=str(month),
            kind=one.kind,
            text=f"{month.label}{words[one.kind]}",
            amount_fen=one.amount_fen,
            incurred_on=month.end - timedelta(days=1),
            voucher=one.voucher,
            village_code=one.village_code,
            paid_on=local_date(now),
        )
        record_cost(session, office.actor("demo_clerk"), fact, now)


def _bring_attendance(session: Session, office: Office, month: Period, now: datetime) -> None:
    statement = select(AttendanceRow.id).where(AttendanceRow.month == str(month)).limit(1)
    if session.scalar(statement) is None:
        register_attendance(session, attendance(office.people, office.county.seed, month), now)
