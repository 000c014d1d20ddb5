"""The entries of corrections and of netting: who owes what back, and how that is settled. Pure.

Owns these two posting templates; the others are `bookings`'. It posts nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from distribution.bookings import FUND_OF, Claim, Holding, deduction_account, fill, line_account, spread_over
from distribution.types import Allocation, Fund, JournalDraft, Netting, PayeeKind, Posting

_OVERPAID = "recoverable_household"
_HOUSEHOLDS = frozenset({PayeeKind.HOUSEHOLD, PayeeKind.PERSON})
Standing = Mapping[tuple[str, str], Mapping[Fund, int]]
"""What stands on an account for a holder [fen], by fund."""


def correction(
    book: str, run: tuple[str, str, date], result: Allocation, had: Standing
) -> JournalDraft | None:
    """The entry of an approved correction, given as (id, content hash, day): what it takes, to whom it goes.

    What a household had too much it owes from now on (Dr recoverable); others give it back from where it
    stands. `had` is what the month's runs gave by account and holder, so that each amount is taken out of the
    fund it came from. Money of a receipt that was withdrawn goes back to its own fund. None when it moves
    nothing.
    """
    run_id, content_hash, on = run
    taken: list[Holding] = []
    claims: list[Claim] = []
    withdrawn: dict[Fund, int] = {}
    for part in result.income:
        fund = FUND_OF[part.component]
        withdrawn[fund] = withdrawn.get(fund, 0) - part.amount_fen
    taken += [Holding("distributable", "", fund, -fen) for fund, fen in withdrawn.items() if fen < 0]
    for one in result.deductions:
        place = deduction_account(one.kind, one.name)
        if one.amount_fen > 0:
            claims.append(Claim(*place, one.amount_fen))
        elif one.amount_fen < 0:
            taken += _take(place, -one.amount_fen, had, (*place, None))
    for line in result.lines:
        account, holder = line_account(line)
        if line.amount_fen > 0:
            claims.append(Claim(account, holder, line.amount_fen, line.line_no))
        elif line.amount_fen < 0:
            debit = _OVERPAID if line.payee_kind in _HOUSEHOLDS else account
            taken += _take((account, holder), -line.amount_fen, had, (debit, holder, line.line_no))
    taken, first = _to_own_fund(taken, {fund: fen for fund, fen in withdrawn.items() if fen > 0})
    legs = (*first, *fill(taken, claims))
    if not legs:
        return None
    return JournalDraft(
        book=book,
        business_date=on,
        kind="correction",
        text=f"{result.period} 收益分配更正",
        idempotency_key=f"correction:{run_id}",
        source=run_id,
        postings=legs,
        attributes={"content_hash": content_hash, "distribution_period": result.period},
    )


def _take(
    place: tuple[str, str], amount_fen: int, had: Standing, debit: tuple[str, str, int | None]
) -> list[Holding]:
    account, holder, line_no = debit
    parts = spread_over(amount_fen, had.get(place, {}))
    return [Holding(account, holder, fund, part, line_no) for fund, part in parts.items()]


def _to_own_fund(
    taken: list[Holding], wanted: Mapping[Fund, int]
) -> tuple[list[Holding], tuple[Posting, ...]]:
    """Give withdrawn money back to its fund, out of what was taken in that fund first; return the rest.

    Where another fund has to serve, the bank's money changes its fund by the same amount.
    """
    legs: list[Posting] = []
    rests = [one.amount_fen for one in taken]
    for fund, amount in wanted.items():
        left = amount
        for index in sorted(range(len(taken)), key=lambda number: taken[number].fund is not fund):
            one, part = taken[index], min(left, rests[index])
            if part:
                legs.append(Posting(one.account, one.holder, part, one.fund, one.line_no))
                legs += _change_fund(part, one.fund, fund)
                legs.append(Posting("distributable", "", -part, fund))
                rests[index] -= part
                left -= part
        if left:
            raise ValueError(f"{left} fen were withdrawn, but nobody gives them back")
    return [replace(one, amount_fen=rest) for one, rest in zip(taken, rests, strict=True)], tuple(legs)


def _change_fund(amount_fen: int, given: Fund, wanted: Fund) -> list[Posting]:
    if given is wanted:
        return []
    return [Posting("bank", "", -amount_fen, given), Posting("bank", "", amount_fen, wanted)]


def netting(
    book: str,
    run: tuple[str, date],
    nettings: Sequence[Netting],
    standing: Standing,
) -> JournalDraft | None:
    """What a run keeps back against earlier overpayments, given as (id, day): Dr payable / Cr recoverable.

    `standing` holds what the run just made payable and what each household owes, by account, holder and fund
    [fen, positive]. Raises ValueError when a household owes less, or is paid less, than is netted.
    """
    run_id, on = run
    legs: list[Posting] = []
    for one in nettings:
        payable = dict(standing.get(("payable_household", one.household_id), {}))
        owed = dict(standing.get((_OVERPAID, one.household_id), {}))
        legs += _net(one, payable, owed)
    if not legs:
        return None
    return JournalDraft(
        book=book,
        business_date=on,
        kind="netting",
        text=f"冲抵以前多发款 {len(nettings)} 户",
        idempotency_key=f"netting:{run_id}",
        source=run_id,
        postings=tuple(legs),
        attributes={},
    )


def _net(one: Netting, payable: dict[Fund, int], owed: dict[Fund, int]) -> list[Posting]:
    legs: list[Posting] = []
    left = one.amount_fen
    pairs = [(fund, fund) for fund in tuple(Fund)]
    pairs += [(given, wanted) for given in tuple(Fund) for wanted in tuple(Fund) if given is not wanted]
    for given, wanted in pairs:
        part = min(left, payable.get(given, 0), owed.get(wanted, 0))
        if part > 0:
            legs.append(Posting("payable_household", one.household_id, part, given))
            legs += _change_fund(part, given, wanted)
            legs.append(Posting(_OVERPAID, one.household_id, -part, wanted))
            payable[given] -= part
            owed[wanted] -= part
            left -= part
    if left:
        raise ValueError(f"{one.household_id} owes or is paid {left} fen less than is netted")
    return legs
