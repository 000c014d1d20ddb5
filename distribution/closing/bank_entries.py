"""Posting templates of the county's bank account, and of advances and a village's own spending. Pure.

Owns the double entry of these facts. A bank line stands as money to be checked until a match says what it
is; what a match leaves over stands on the same account under the name 对账尾差, so that no fen is dropped.
"""

from collections.abc import Mapping
from datetime import date

from distribution.bookings import FUND_OF, county_book, spread_over
from distribution.settlement.bank.reads import BankLine, Difference
from distribution.settlement.receivables.advances import Advance, Clearing
from distribution.settlement.spending.spendings import Spending
from distribution.types import Component, Fund, JournalDraft, Posting

UNMATCHED = "unmatched_receipt"
DIFFERENCE_HOLDER = "对账尾差"
_PLAIN = Fund.ELECTRICITY
"""The fund of money that nobody has named yet."""


def bank_line_key(line_id: str, county: str) -> str:
    """Return the key of a line's entry in the county's book."""
    return f"{line_id}:{county}"


def bank_line(line: BankLine) -> JournalDraft:
    """A credit as the bank's list has it: Dr bank / Cr money to be checked."""
    return JournalDraft(
        book=line.division_code,
        business_date=line.received_on,
        kind="bank_line",
        text=f"银行到账待核对（流水号 {line.reference}）",
        idempotency_key=bank_line_key(line.id, line.division_code),
        source=line.id,
        postings=(
            Posting("bank", "", line.amount_fen, _PLAIN),
            Posting(UNMATCHED, line.id, -line.amount_fen, _PLAIN),
        ),
    )


def link_key(receipt_id: str, county: str) -> str:
    """Return the key of the entry by which a receipt uses up its bank line."""
    return f"{receipt_id}:line:{county}"


def link(county: str, fact: tuple[str, str, str, int, date]) -> JournalDraft:
    """A match used part of a line, given as (receipt, line, reference, fen, day): its provisional entry ends.

    The receipt's own entry debits the bank in the fund that it turned out to be.
    """
    receipt_id, line_id, reference, amount_fen, on = fact
    return JournalDraft(
        book=county,
        business_date=on,
        kind="bank_match",
        text=f"核对银行流水 {reference}",
        idempotency_key=link_key(receipt_id, county),
        source=receipt_id,
        postings=(
            Posting(UNMATCHED, line_id, amount_fen, _PLAIN),
            Posting("bank", "", -amount_fen, _PLAIN),
        ),
    )


def surplus(one: Difference) -> JournalDraft:
    """What a line had too much within tolerance: it stays as 对账尾差 in the county's book."""
    return JournalDraft(
        book=one.division_code,
        business_date=one.on,
        kind="difference",
        text="对账尾差：银行多付",
        idempotency_key=f"{one.id}:{one.division_code}",
        source=one.id,
        postings=(
            Posting(UNMATCHED, one.bank_line_id, one.amount_fen, _PLAIN),
            Posting(UNMATCHED, DIFFERENCE_HOLDER, -one.amount_fen, _PLAIN),
        ),
        attributes={"match": one.match_id},
    )


def shortfall(village: str, one: Difference, amount_fen: int) -> JournalDraft:
    """A village's part of what a receivable lost within tolerance: it moves to 对账尾差."""
    component = Component(one.component)
    fund = FUND_OF[component]
    return JournalDraft(
        book=village,
        business_date=one.on,
        kind="difference",
        text=f"对账尾差：{one.month} 少付",
        idempotency_key=f"{one.id}:{village}",
        source=one.id,
        postings=(
            Posting(UNMATCHED, DIFFERENCE_HOLDER, amount_fen, fund),
            Posting(f"receivable_{component}", one.station_id, -amount_fen, fund),
        ),
        attributes={"match": one.match_id, "month": one.month},
    )


def advance(one: Advance) -> JournalDraft:
    """Money that somebody advanced to a village: Dr bank / Cr payable to who advanced it."""
    fact = one.fact
    fund = FUND_OF[fact.component]
    return JournalDraft(
        book=fact.village_code,
        business_date=fact.advanced_on,
        kind="advance",
        text=f"{fact.advancer}垫付 {fact.month}（{fact.document}）",
        idempotency_key=f"{one.id}:{fact.village_code}",
        source=one.id,
        postings=(
            Posting("bank", "", fact.amount_fen, fund),
            Posting("payable_cost", one.id, -fact.amount_fen, fund),
        ),
        attributes={"station": fact.station_id, "month": fact.month},
    )


def clearing(one: Advance, part: Clearing) -> tuple[JournalDraft, JournalDraft]:
    """The county pays an advance back out of what arrived: the village's entry and the county's."""
    village, county = one.fact.village_code, county_book(one.fact.village_code)
    fund = FUND_OF[one.fact.component]
    text = f"归还{one.fact.advancer}垫付 {one.fact.month}"
    mine = JournalDraft(
        book=village,
        business_date=part.cleared_on,
        kind="advance_clearing",
        text=text,
        idempotency_key=f"{part.id}:{village}",
        source=part.id,
        postings=(
            Posting("payable_cost", one.id, part.amount_fen, fund),
            Posting("due_from_county", "", -part.amount_fen, fund),
        ),
        attributes={"receipt": part.receipt_id},
    )
    theirs = JournalDraft(
        book=county,
        business_date=part.cleared_on,
        kind="advance_clearing",
        text=text,
        idempotency_key=f"{part.id}:{county}",
        source=part.id,
        postings=(
            Posting("due_to_village", village, part.amount_fen, fund),
            Posting("bank", "", -part.amount_fen, fund),
        ),
        attributes={"receipt": part.receipt_id},
    )
    return mine, theirs


def spending(one: Spending, held: Mapping[Fund, int]) -> JournalDraft:
    """A payment out of a purse: Dr the purse / Cr bank, out of the funds that the purse holds [fen]."""
    fact = one.fact
    parts = spread_over(fact.amount_fen, held)
    return JournalDraft(
        book=fact.village_code,
        business_date=fact.spent_on,
        kind="spending",
        text=f"{one.use_word}：{fact.text}（{fact.payee}）",
        idempotency_key=one.id,
        source=one.id,
        postings=tuple(
            leg
            for fund, part in parts.items()
            for leg in (
                Posting(fact.account, fact.holder, part, fund),
                Posting("bank", "", -part, fund),
            )
        ),
        attributes={"voucher": fact.voucher, "decision": fact.decision_document},
    )
