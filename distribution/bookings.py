"""Posting templates: which journal entry each fact of the flow makes. Pure.

Owns the double entry of accruals, receipts, costs, remittances, allocations, batches and bank results, and
how an amount is spread over funds. It posts nothing; `closing` and `disbursing` hand the drafts to the
ledger.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from distribution.types import (
    Allocation,
    AllocationLine,
    Component,
    DeductionKind,
    Fund,
    JournalDraft,
    PayeeKind,
    Posting,
)
from store.periods import Period

FUND_OF = {
    Component.ELECTRICITY: Fund.ELECTRICITY,
    Component.SUBSIDY: Fund.SUBSIDY,
    Component.LOCAL_SUBSIDY: Fund.SUBSIDY,
    Component.ASSET_GAIN: Fund.ELECTRICITY,
    Component.ADVANCE: Fund.ELECTRICITY,
}
COMPONENT_NAMES = {
    Component.ELECTRICITY: "电费",
    Component.SUBSIDY: "财政补贴",
    Component.LOCAL_SUBSIDY: "地方补贴",
    Component.ASSET_GAIN: "资产收益",
    Component.ADVANCE: "垫付款",
}
_RECEIVABLE = {
    Component.ELECTRICITY: "receivable_electricity",
    Component.SUBSIDY: "receivable_subsidy",
    Component.LOCAL_SUBSIDY: "receivable_local_subsidy",
    Component.ASSET_GAIN: "receivable_electricity",
    Component.ADVANCE: "receivable_electricity",
}
_LINE_ACCOUNT = {
    PayeeKind.HOUSEHOLD: "payable_household",
    PayeeKind.PERSON: "payable_household",
    PayeeKind.VILLAGE_COLLECTIVE: "village_collective",
    PayeeKind.DIVISION: "payable_division",
    PayeeKind.SUPPLIER: "payable_cost",
    PayeeKind.PURSE: "purse",
    PayeeKind.RESERVE: "reserve",
}
_FUND_ORDER = (Fund.ELECTRICITY, Fund.SUBSIDY, Fund.RESERVE, Fund.COLLECTIVE)


def county_book(village_code: str) -> str:
    """Return the book of the county's account that serves a village: its first six digits."""
    return village_code[:6].ljust(12, "0")


def last_day_of(month: str) -> date:
    """Return the last calendar day of a month such as `2026-10`."""
    return Period.parse(month).end - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Holding:
    """An amount [fen] that is to be spread: where it stands, in which fund, and of which line it is."""

    account: str
    holder: str
    fund: Fund
    amount_fen: int
    line_no: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """An amount [fen] that is to be filled from holdings: where it goes, and its line."""

    account: str
    holder: str
    amount_fen: int
    line_no: int | None = None


def accrual(
    book: str, settlement: tuple[str, str, str], parts: Mapping[Component, int]
) -> JournalDraft | None:
    """Dr receivable / Cr deferred income, by component, for a village's part of a settlement.

    `settlement` is (id, station id, month). None when nothing is owed.
    """
    settlement_id, station_id, month = settlement
    legs: list[Posting] = []
    for component, amount in parts.items():
        if amount:
            fund = FUND_OF[component]
            legs.append(Posting(_RECEIVABLE[component], station_id, amount, fund))
            legs.append(Posting("deferred_income", station_id, -amount, fund))
    if not legs:
        return None
    return JournalDraft(
        book=book,
        business_date=last_day_of(month),
        kind="accrual",
        text=f"计提 {month} 应收电费和补贴",
        idempotency_key=f"accrual:{settlement_id}:{book}",
        source=settlement_id,
        postings=tuple(legs),
        attributes={"station": station_id, "month": month},
    )


@dataclass(frozen=True, slots=True)
class Arrival:
    """A receipt as the templates see it: id, station, component, the month it pays, day, reference."""

    id: str
    station_id: str
    component: Component
    month: str
    received_on: date
    bank_reference: str


def receipt(book: str, arrival: Arrival, amount_fen: int) -> JournalDraft:
    """A village's part of a receipt: the county owes it, no longer the grid; it may be distributed."""
    fund = FUND_OF[arrival.component]
    return JournalDraft(
        book=book,
        business_date=arrival.received_on,
        kind="receipt",
        text=f"{arrival.month} {COMPONENT_NAMES[arrival.component]}到账（流水号 {arrival.bank_reference}）",
        idempotency_key=f"{arrival.id}:{book}",
        source=arrival.id,
        postings=(
            Posting("due_from_county", "", amount_fen, fund),
            Posting(_RECEIVABLE[arrival.component], arrival.station_id, -amount_fen, fund),
            Posting("deferred_income", arrival.station_id, amount_fen, fund),
            Posting("distributable", "", -amount_fen, fund),
        ),
        attributes={"station": arrival.station_id, "month": arrival.month},
    )


def county_receipt(arrival: Arrival, village_code: str, amount_fen: int) -> JournalDraft:
    """The same part in the county's book: Dr bank / Cr due to the village."""
    fund = FUND_OF[arrival.component]
    book = county_book(village_code)
    return JournalDraft(
        book=book,
        business_date=arrival.received_on,
        kind="receipt",
        text=f"代收 {arrival.month} {COMPONENT_NAMES[arrival.component]}（流水号 {arrival.bank_reference}）",
        idempotency_key=f"{arrival.id}:{book}:{village_code}",
        source=arrival.id,
        postings=(
            Posting("bank", "", amount_fen, fund),
            Posting("due_to_village", village_code, -amount_fen, fund),
        ),
        attributes={"station": arrival.station_id, "month": arrival.month},
    )


def cost(book: str, fact: tuple[str, str, int, date]) -> JournalDraft:
    """Dr cost / Cr payable, for a recorded cost given as (id, text, fen, day)."""
    cost_id, text, amount_fen, on = fact
    return JournalDraft(
        book=book,
        business_date=on,
        kind="cost",
        text=text,
        idempotency_key=cost_id,
        source=cost_id,
        postings=(
            Posting("cost", "", amount_fen, Fund.ELECTRICITY),
            Posting("payable_cost", "", -amount_fen, Fund.ELECTRICITY),
        ),
    )


def cost_payment(book: str, fact: tuple[str, str, int, date]) -> JournalDraft:
    """Dr payable / Cr bank, for a cost that was paid, given as (id, text, fen, day paid)."""
    cost_id, text, amount_fen, on = fact
    return JournalDraft(
        book=book,
        business_date=on,
        kind="cost_payment",
        text=f"支付{text}",
        idempotency_key=f"{cost_id}:paid",
        source=cost_id,
        postings=(
            Posting("payable_cost", "", amount_fen, Fund.ELECTRICITY),
            Posting("bank", "", -amount_fen, Fund.ELECTRICITY),
        ),
    )


def remittance(
    book: str, fact: tuple[str, int, date, str], due: Mapping[Fund, int]
) -> tuple[JournalDraft, JournalDraft]:
    """Money passed on, given as (id, fen, day, reference): the village's entry and the county's.

    `due` is what the county owes the village by fund; what exceeds it is taken as electricity.
    """
    remittance_id, amount_fen, on, reference = fact
    parts = spread_over(amount_fen, due)
    village = JournalDraft(
        book=book,
        business_date=on,
        kind="remittance",
        text=f"县专户拨入（流水号 {reference}）",
        idempotency_key=f"{remittance_id}:{book}",
        source=remittance_id,
        postings=tuple(
            leg
            for fund, part in parts.items()
            for leg in (Posting("bank", "", part, fund), Posting("due_from_county", "", -part, fund))
        ),
    )
    county = JournalDraft(
        book=county_book(book),
        business_date=on,
        kind="remittance",
        text=f"拨付到村（流水号 {reference}）",
        idempotency_key=f"{remittance_id}:{county_book(book)}",
        source=remittance_id,
        postings=tuple(
            leg
            for fund, part in parts.items()
            for leg in (Posting("due_to_village", book, part, fund), Posting("bank", "", -part, fund))
        ),
    )
    return village, county


def spread_over(amount_fen: int, available: Mapping[Fund, int]) -> dict[Fund, int]:
    """Take an amount from funds in their fixed order; a rest beyond them is electricity."""
    parts: dict[Fund, int] = {}
    left = amount_fen
    for fund in _FUND_ORDER:
        part = min(left, max(available.get(fund, 0), 0))
        if part:
            parts[fund] = part
            left -= part
    if left:
        parts[Fund.ELECTRICITY] = parts.get(Fund.ELECTRICITY, 0) + left
    return parts


def fill(holdings: Iterable[Holding], claims: Iterable[Claim]) -> tuple[Posting, ...]:
    """Fill claims in order from holdings in order: debit what is taken, credit where it goes, fund by fund.

    Raises ValueError unless both sides have the same total.
    """
    sources = [one for one in holdings if one.amount_fen > 0]
    rests = [one.amount_fen for one in sources]
    legs = [Posting(one.account, one.holder, one.amount_fen, one.fund, one.line_no) for one in sources]
    place = 0
    for claim in claims:
        left = claim.amount_fen
        while left > 0:
            if place >= len(sources):
                raise ValueError(f"the claims exceed the holdings by {left} fen or more")
            part = min(left, rests[place])
            legs.append(Posting(claim.account, claim.holder, -part, sources[place].fund, claim.line_no))
            left -= part
            rests[place] -= part
            place += rests[place] == 0
    if place < len(sources):
        raise ValueError("the holdings exceed the claims")
    return tuple(legs)


def allocation_claims(allocation: Allocation) -> list[Claim]:
    """Return where an allocation's money goes: deductions first, then the lines in order."""
    claims = [
        Claim(*deduction_account(one.kind, one.name), one.amount_fen)
        for one in allocation.deductions
        if one.amount_fen
    ]
    for line in allocation.lines:
        if line.amount_fen < 0:
            raise ValueError(f"line {line.line_no} of a regular run is negative")
        claims.append(Claim(*line_account(line), line.amount_fen, line.line_no))
    return claims


def deduction_account(kind: DeductionKind, name: str) -> tuple[str, str]:
    """Return the account and the holder on which a deduction's money stands."""
    if kind is DeductionKind.COST:
        return "cost", ""
    return ("reserve" if kind is DeductionKind.RESERVE else "payable_cost"), name


def allocation(
    book: str, run: tuple[str, str, date], result: Allocation, purses: Sequence[Holding]
) -> JournalDraft | None:
    """The entry of an approved run, given as (id, content hash, day): distributable to everyone it names.

    `purses` are the balances that the run carried in. None when the run moves nothing.
    """
    run_id, content_hash, on = run
    income: dict[Fund, int] = {}
    for part in result.income:
        income[FUND_OF[part.component]] = income.get(FUND_OF[part.component], 0) + part.amount_fen
    holdings = [Holding("distributable", "", fund, income.get(fund, 0)) for fund in _FUND_ORDER]
    claims = allocation_claims(result)
    legs = fill([*holdings, *purses], claims)
    if not legs:
        return None
    return JournalDraft(
        book=book,
        business_date=on,
        kind="allocation",
        text=f"{result.period} 收益分配",
        idempotency_key=f"allocation:{run_id}",
        source=run_id,
        postings=legs,
        attributes={"content_hash": content_hash, "distribution_period": result.period},
    )


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment of a payout to a household by fund [fen]."""

    payout_id: str
    household_id: str
    parts: tuple[tuple[Fund, int], ...]


def _transfer(payments: Sequence[Payment], debit: str, credit: str) -> tuple[Posting, ...]:
    legs = []
    for payment in payments:
        for fund, amount in payment.parts:
            legs.append(Posting(debit, payment.household_id, amount, fund))
            holder = "" if credit == "bank" else payment.household_id
            legs.append(Posting(credit, holder, -amount, fund))
    return tuple(legs)


_MOVES = {
    "sent": ("payable_household", "payout_clearing", "代发送银行"),
    "resent": ("returned_household", "payout_clearing", "退回款重新发放送银行"),
    "succeeded": ("payout_clearing", "bank", "银行代发成功"),
    "failed": ("payout_clearing", "returned_household", "银行代发失败，款项待付"),
    "returned": ("payout_clearing", "returned_household", "银行代发退回，款项待付"),
    "bounced": ("bank", "returned_household", "已发放款项退回，款项待付"),
}


def payments(
    place: tuple[str, date], move: str, source: tuple[str, str], every: Sequence[Payment]
) -> JournalDraft:
    """The entry of payments that moved together: `place` is (book, day), `source` (record, key)."""
    debit, credit, text = _MOVES[move]
    return JournalDraft(
        book=place[0],
        business_date=place[1],
        kind=f"payout_{move}",
        text=f"{text} {len(every)} 户",
        idempotency_key=f"{source[1]}:{move}:{place[0]}",
        source=source[0],
        postings=_transfer(every, debit, credit),
    )


def top_up(book: str, run: tuple[str, str, date], result: Allocation) -> JournalDraft | None:
    """The entry of approved late money of a month that was distributed already; as that of a first run."""
    draft = allocation(book, run, result, ())
    return None if draft is None else replace(draft, kind="top_up", text=f"{result.period} 补发")


def line_account(line: AllocationLine) -> tuple[str, str]:
    """Return the account and the holder on which a line's money stands."""
    return _LINE_ACCOUNT[line.payee_kind], line.payee_id or line.purse
