"""Frozen records passed between the rooms of distribution; no logic.

Money is integer fen, energy integer Wh, prices Decimal [yuan/kWh], shares integer weights or Fraction.
Records here are hashed by `store.canonical`, so they hold no float.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction


class Component(StrEnum):
    """What kind of revenue an amount is; each arrives on its own date and is distributable by itself."""

    ELECTRICITY = "electricity"
    SUBSIDY = "subsidy"
    LOCAL_SUBSIDY = "local_subsidy"
    ASSET_GAIN = "asset_gain"
    ADVANCE = "advance"


class PayeeKind(StrEnum):
    """Who an allocation line pays."""

    HOUSEHOLD = "household"
    PERSON = "person"
    VILLAGE_COLLECTIVE = "village_collective"
    PURSE = "purse"
    RESERVE = "reserve"


@dataclass(frozen=True, slots=True)
class SettlementLine:
    """One row of a grid statement: one station, meter and tariff window, as the grid company billed it."""

    account_number: str
    meter_number: str
    meter_multiplier: int
    previous_reading: Decimal
    current_reading: Decimal
    exported_energy_wh: int
    electricity_price: Decimal
    electricity_fen: int
    subsidy_price: Decimal
    subsidy_fen: int
    local_subsidy_fen: int = 0
    tax_fen: int = 0
    adjustment_fen: int = 0
    tariff_window: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the grid company owes one station for one month; a revision never edits an earlier one."""

    id: str
    station_id: str
    month: str
    revision: int
    lines: tuple[SettlementLine, ...]
    electricity_fen: int
    subsidy_fen: int
    local_subsidy_fen: int
    exported_energy_wh: int
    source: str


@dataclass(frozen=True, slots=True)
class IncomePart:
    """Received money of one component that a village may distribute; `source` names the receipt."""

    component: Component
    amount_fen: int
    received_on: date
    source: str


@dataclass(frozen=True, slots=True)
class CostItem:
    """A deductible cost of one village and period, with the voucher that proves it."""

    kind: str
    amount_fen: int
    source: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an explanation: what was done with which inputs, exactly, and what it gave."""

    label: str
    formula: str
    inputs: Mapping[str, str]
    exact: Fraction
    amount_fen: int
    clause: str = ""


@dataclass(frozen=True, slots=True)
class AllocationLine:
    """One line of an allocation: who gets how much out of which purse, and why."""

    line_no: int
    purse: str
    payee_kind: PayeeKind
    payee_id: str
    amount_fen: int
    weight: Fraction
    explanation: tuple[Step, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class PurseTotal:
    """One purse of an allocation: its name in the plan, its Chinese label, and its amount."""

    purse: str
    label: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Deduction:
    """One deduction step: what was asked, what the caps allowed, and its clause."""

    name: str
    label: str
    amount_fen: int
    clause: str = ""
    explanation: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Allocation:
    """The whole result for one village and period: income - deductions = purses = lines, to the fen."""

    village_code: str
    period: str
    plan_id: str
    plan_version: int
    income: tuple[IncomePart, ...]
    deductions: tuple[Deduction, ...]
    distributable_fen: int
    purses: tuple[PurseTotal, ...]
    lines: tuple[AllocationLine, ...]
    warnings: tuple[str, ...] = ()
    input_hash: str = ""


class Fund(StrEnum):
    """The pools that a journal must balance in, each by itself."""

    ELECTRICITY = "electricity"
    SUBSIDY = "subsidy"
    RESERVE = "reserve"
    COLLECTIVE = "collective"


@dataclass(frozen=True, slots=True)
class Posting:
    """One leg of a journal entry: account code, holder (household, station …), signed fen (debit +)."""

    account: str
    holder: str
    amount_fen: int
    fund: Fund
    line_no: int | None = None


@dataclass(frozen=True, slots=True)
class JournalDraft:
    """A journal entry to be posted by the ledger; the key makes posting it twice the same as once."""

    book: str
    business_date: date
    kind: str
    text: str
    idempotency_key: str
    source: str
    postings: tuple[Posting, ...]
    reverses: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
