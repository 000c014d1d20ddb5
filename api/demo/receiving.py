"""The county's cashier and the village cadres at work on the latest month: bank lines, readings, spending.

Owns made-up evidence that makes the pages of receipts, readings, costs and spending worth looking at. It
changes no run: what was billed, received and distributed is `api.demo.office`'s.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy.orm import Session

from api.demo.office import RECEIPT_DAY, Office, on_day
from api.demo.paperwork import Bill, bills
from api.demo.photo import board_photo, inverter_photo
from distribution.settlement.bank.lines import BankLineFact, keep_lines
from distribution.settlement.bank.linking import link_receipts
from distribution.settlement.metering.readings import ReadingFact, record_reading
from distribution.settlement.reads import costs, receipts
from distribution.settlement.receivables.advances import AdvanceFact, record_advance
from distribution.settlement.receivables.owed import owed_items
from distribution.settlement.spending.spendings import SpendingFact, add_photo
from distribution.spending import Purse, purses, spend
from distribution.types import Component
from documents.attachments import store_attachment
from registry.actors import SYSTEM
from registry.stations import shares
from store.periods import Period, local_date

METERS_READ = 4
SPENDING_VILLAGES = 3
SPENDING_FEN = (36_000, 48_500, 120_000)
SPENDING_WORDS = (
    ("works", "村道路灯维修", "王兴电器维修部"),
    ("labour", "电站周边除草用工", "村民务工组"),
    ("relief", "临时救助一户", "困难农户"),
)
ADVANCE_FEN = 500_000
ATTACHMENTS = "attachments"


def bring_evidence(office: Office, month: Period, until: datetime) -> None:
    """Bring the evidence of a played month, as far as its days lie before `until`; again changes nothing."""
    now = on_day(month, RECEIPT_DAY, 15)
    if now > until:
        return
    billed = bills(office.county, office.plant, month)
    with office.database.transaction() as session:
        _bank(session, office, month, now)
        _readings(session, office, billed, month, now)
        _voucher_photos(session, office, month, now)
        _advance(session, office, now)


def spend_from_purses(office: Office, month: Period, until: datetime) -> None:
    """Let a few villages spend out of what a distributed month left them."""
    now = min(on_day(month, 26), until)
    for place, village in enumerate(office.county.village_codes[:SPENDING_VILLAGES]):
        with office.database.transaction() as session:
            amount = SPENDING_FEN[place]
            held = purses(session, SYSTEM, local_date(now), village_code=village)
            purse = next((one for one in held if one.amount_fen >= amount), None)
            if purse is not None:
                _spend(session, office, (place, purse, amount), now)


def _spend(session: Session, office: Office, what: tuple[int, Purse, int], now: datetime) -> None:
    place, purse, amount = what
    use, text, payee = SPENDING_WORDS[place]
    village = purse.village_code
    fact = SpendingFact(
        *(village, purse.account, purse.holder, use, text, payee, amount),
        local_date(now) - timedelta(days=1),
        f"收据 {now:%Y%m}-{place + 1}",
    )
    cadre = office.village_actor(village)
    spending_id = spend(session, cadre, fact, now)
    picture = store_attachment(office.data_dir / ATTACHMENTS, board_photo(office.county.seed, 900 + place))
    add_photo(session, cadre, (spending_id, village), picture, now)


def _bank(session: Session, office: Office, month: Period, now: datetime) -> None:
    """The bank's statement: every receipt of the month's list, an old subsidy, interest, a stray credit."""
    cashier = office.actor("demo_cashier")
    listed = {
        one.bank_reference: BankLineFact(
            one.received_on, one.amount_fen, "国网云泽县供电公司", one.bank_reference, f"{month.label}结算款"
        )
        for one in receipts(session, cashier, month=str(month))
        if not one.corrects
    }
    facts = [*listed.values(), *_unlisted(session, office, now)]
    keep_lines(session, cashier, (facts, "0" * 64), now)
    link_receipts(session, cashier, set(listed), now)


def _unlisted(session: Session, office: Office, now: datetime) -> Iterable[BankLineFact]:
    on, stamp = local_date(now), f"{local_date(now):%Y%m%d}"
    waiting = [
        one
        for one in owed_items(session, office.actor("demo_cashier"))
        if one.component is Component.SUBSIDY and one.outstanding_fen > 0
    ]
    for number, one in enumerate(waiting[:2], start=1):
        words = f"户号{one.account_number} {Period.parse(one.month).label}可再生能源补贴"
        yield BankLineFact(on, one.outstanding_fen, "国网云泽县供电公司", f"{stamp}9{number}", words)
    yield BankLineFact(on, 8_820, "云泽农村商业银行", f"{stamp}97", "专户结息")
    yield BankLineFact(on, 150_000, "云泽县某公司", f"{stamp}98", "")


def _readings(session: Session, office: Office, billed: Iterable[Bill], month: Period, now: datetime) -> None:
    folder = office.data_dir / ATTACHMENTS
    for place, bill in enumerate(list(billed)[:METERS_READ]):
        cadre = replace(office.village_actor(office.county.village_codes[0]), area=bill.station.division_code)
        figures = ((month.start, bill.previous_reading), (month.end, bill.current_reading))
        for on, reading in figures:
            picture = store_attachment(folder, inverter_photo(office.county.seed, 500 + 2 * place + on.month))
            figure = reading.quantize(Decimal("0.01"))
            fact = ReadingFact(bill.station.id, bill.meter.meter_number, on, figure, picture)
            record_reading(session, cadre, fact, now)


def _voucher_photos(session: Session, office: Office, month: Period, now: datetime) -> None:
    clerk = office.actor("demo_cashier")
    for place, one in enumerate(costs(session, clerk, month=str(month))[:3]):
        picture = store_attachment(
            office.data_dir / ATTACHMENTS, board_photo(office.county.seed, 700 + place)
        )
        add_photo(session, clerk, (one.id, one.village_code), picture, now)


def _advance(session: Session, office: Office, now: datetime) -> None:
    cashier = office.actor("demo_cashier")
    waiting = [
        one
        for one in owed_items(session, cashier)
        if one.component is Component.SUBSIDY and one.outstanding_fen > ADVANCE_FEN
    ]
    if waiting:
        one = waiting[-1]
        owner = shares(session, one.station_id, Period.parse(one.month).start)[0].village_code
        fact = AdvanceFact(
            *(owner, one.station_id, Component.SUBSIDY, one.month, ADVANCE_FEN, local_date(now)),
            *("云泽县财政局", "县光伏帮扶资金垫付审批单 3 号", f"{local_date(now):%Y%m%d}DF"),
        )
        record_advance(session, cashier, fact, now)
