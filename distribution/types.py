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
    DIVISION = "division"
    SUPPLIER = "supplier"


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
class LineDetail:
    """What a statement says of a line beside its amounts: invoice, payee, days of reading, reason."""

    invoice_number: str = ""
    invoice_state: str = ""
    payee: str = ""
    previous_read_on: date | None = None
    current_read_on: date | None = None
    adjustment_reason: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the grid company owes one station for one month; a revision never edits an earlier one.

    A settlement without lines is one that was taken back. `details` has one entry for each line.
    """

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
    details: tuple[LineDetail, ...] = ()


@dataclass(frozen=True, slots=True)
class IncomePart:
    """Received money of one component that a village may distribute; `source` names the receipt."""

    component: Component
    amount_fen: int
    received_on: date
    source: str
    station_id: str = ""


@dataclass(frozen=True, slots=True)
class CostItem:
    """A deductible cost of one village and period, with the voucher that proves it."""

    kind: str
    amount_fen: int
    source: str


@dataclass(frozen=True, slots=True)
class Receivable:
    """Accrued money that has not arrived: shown beside an allocation, never distributed."""

    component: Component
    amount_fen: int
    month: str
    source: str
    station_id: str = ""


@dataclass(frozen=True, slots=True)
class EnrolmentInput:
    """A household's part in one component: its weight, or a fixed amount [fen], and the days it holds.

    `valid_from` and `valid_to` are half-open; None means without limit on that side.
    """

    component: str
    weight: Fraction = Fraction(1)
    amount_fen: int | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class ClassInput:
    """A class of a household (or of `persons` of its members) and the days on which it holds."""

    name: str
    persons: int | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class HouseholdInput:
    """What a plan may know of a household: an opaque id and facts of the period, no personal data.

    `measures` are named figures (`work_points`, `stars`, `kw`, `attendance` …); `flags` are facts that
    hold (`whole_household_away`, `reviewed_2026` …); `support` names what it receives elsewhere.
    """

    id: str
    village_code: str
    persons: int = 1
    classes: tuple[ClassInput, ...] = ()
    enrolments: tuple[EnrolmentInput, ...] = ()
    measures: Mapping[str, Fraction] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    support: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None


@dataclass(frozen=True, slots=True)
class PostInput:
    """A public-welfare post in the period: rate [fen per unit] x units x coefficient x headcount.

    `units` are months, days or hours served, as `rate_unit` says; `evidence` names the attendance or
    assessment record, and is empty where there is none.
    """

    id: str
    household_id: str
    kind: str
    rate_fen: int
    units: Fraction
    rate_unit: str = "month"
    coefficient: Fraction = Fraction(1)
    headcount: int = 1
    evidence: str = ""
    village_code: str = ""


@dataclass(frozen=True, slots=True)
class StationShare:
    """A village's part in a station: `weight` counts kW, capital or shares, as the plan says."""

    village_code: str
    weight: Fraction


@dataclass(frozen=True, slots=True)
class StationInput:
    """A station behind the income: its rated power [W], its energy, and who owns which part."""

    id: str
    rated_power_w: int
    shares: tuple[StationShare, ...] = ()
    exported_energy_wh: int | None = None
    subsidy_list_status: str = ""


@dataclass(frozen=True, slots=True)
class DivisionInput:
    """A division that takes part in a pooled distribution; `measures` are named weights."""

    code: str
    name: str
    measures: Mapping[str, Fraction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpendingInput:
    """A planned payment out of a purse for a named use: works, labour, relief, an award."""

    id: str
    purse: str
    use: str
    recipient_kind: str
    recipient_id: str
    amount_fen: int
    evidence: str = ""
    village_code: str = ""


@dataclass(frozen=True, slots=True)
class PurseBalance:
    """What a purse holds when the period opens; `since` is the month of its oldest money (`2026-03`)."""

    purse: str
    amount_fen: int
    since: str = ""
    division_code: str = ""


@dataclass(frozen=True, slots=True)
class YearToDate:
    """What was already booked in this calendar year, before this period, under a name of the plan.

    `name` is a purse, a deduction, a component or `income`; `household_id` narrows it to one household,
    `division_code` to one division of a pooled run.
    """

    name: str
    amount_fen: int
    household_id: str = ""
    division_code: str = ""


@dataclass(frozen=True, slots=True)
class Recoverable:
    """What a household was overpaid [fen], found by a correction and not yet given back."""

    household_id: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class PlanInput:
    """Everything that a plan may look at: the frozen input of one run, for one village or division.

    Money counts that arrived until and with `received_until`; None means the last day of the period. A
    month's bill is often paid in the next month, and is distributed with the month it was billed for.

    `top_up` marks late money of a period that was distributed already: what a plan pays once per period
    (posts, fixed amounts, planned spendings, debt) is not paid again out of it.

    The same record as JSON (`docs/plan-format.md`) is what `plan simulate` reads.
    """

    village_code: str
    period: str
    income: tuple[IncomePart, ...] = ()
    receivables: tuple[Receivable, ...] = ()
    costs: tuple[CostItem, ...] = ()
    quantities: Mapping[str, Fraction] = field(default_factory=dict)
    stations: tuple[StationInput, ...] = ()
    divisions: tuple[DivisionInput, ...] = ()
    households: tuple[HouseholdInput, ...] = ()
    posts: tuple[PostInput, ...] = ()
    spendings: tuple[SpendingInput, ...] = ()
    opening: tuple[PurseBalance, ...] = ()
    year_to_date: tuple[YearToDate, ...] = ()
    received_until: date | None = None
    recoverables: tuple[Recoverable, ...] = ()
    top_up: bool = False


@dataclass(frozen=True, slots=True)
class StepInput:
    """One input of an explanation step: its name, its value as text, and the record it comes from."""

    name: str
    value: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an explanation: what was done with which inputs, exactly, and what it gave.

    `formula` is the Chinese arithmetic with figures, without the result; `exact` is in fen.
    """

    label: str
    formula: str
    inputs: tuple[StepInput, ...]
    exact: Fraction
    amount_fen: int
    clause: str = ""


@dataclass(frozen=True, slots=True)
class AllocationLine:
    """One line of an allocation: who gets how much out of which purse, and why.

    `tie_break` is the opaque number that decides equal remainders; it is published with the weight.
    """

    line_no: int
    purse: str
    payee_kind: PayeeKind
    payee_id: str
    amount_fen: int
    weight: Fraction
    explanation: tuple[Step, ...] = ()
    note: str = ""
    component: str = ""
    division_code: str = ""
    tie_break: str = ""


@dataclass(frozen=True, slots=True)
class PurseTotal:
    """One purse of an allocation: what it held to give, which is the sum of its lines."""

    purse: str
    label: str
    amount_fen: int


class DeductionKind(StrEnum):
    """Where deducted money goes."""

    COST = "cost"
    RESERVE = "reserve"
    DEBT = "debt"
    ADVANCE = "advance"
    NOT_OURS = "not_ours"


@dataclass(frozen=True, slots=True)
class Deduction:
    """One deduction step: what was asked, what the caps allowed, and its clause."""

    name: str
    label: str
    amount_fen: int
    clause: str = ""
    explanation: tuple[Step, ...] = ()
    kind: DeductionKind = DeductionKind.COST
    asked_fen: int | None = None


@dataclass(frozen=True, slots=True)
class TestResult:
    """A constraint test of the plan, such as wages at least 80 % of the year: its figures and outcome."""

    __test__ = False  # the name begins as pytest's classes do

    name: str
    label: str
    numerator_fen: int
    denominator_fen: int
    threshold: Fraction
    passed: bool
    blocks: bool
    text: str


@dataclass(frozen=True, slots=True)
class GateVotes:
    """How many votes pass a gate from a total [fen] on; 0 means everybody who holds the gate's right."""

    gate: str
    needed: int
    from_fen: int = 0


@dataclass(frozen=True, slots=True)
class ApprovalTerms:
    """What the plan asks of the approval of this allocation: the ordered gates and the notice's length."""

    gates: tuple[str, ...] = ("village", "township", "county")
    notice_working_days: int = 0
    notice_places: tuple[str, ...] = ()
    objection_holds: str = "line"
    result_notice: bool = False
    clause: str = ""
    votes: tuple[GateVotes, ...] = ()


@dataclass(frozen=True, slots=True)
class Netting:
    """What of a household's payment is kept back against what it was overpaid [fen], and by which clause.

    `owed_fen` is what it still owed before.
    """

    household_id: str
    amount_fen: int
    owed_fen: int
    clause: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """Where one line is booked: sub-ledger, ledger account, use for the pay file and national system."""

    line_no: int
    sub_ledger: str
    account: str
    use: str
    payee_id: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """The whole result for one village and period, to the fen.

    Income - deductions + carried_in = distributable = sum of purses = sum of lines. What a purse keeps
    for the next period is a line of its own (payee kind `purse`), so nothing is left over in silence.
    """

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
    carried_in_fen: int = 0
    receivables: tuple[Receivable, ...] = ()
    tests: tuple[TestResult, ...] = ()
    approval: ApprovalTerms = ApprovalTerms()
    traces: tuple[Trace, ...] = ()
    plan_title: str = ""
    nettings: tuple[Netting, ...] = ()


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
    """A journal entry to be posted by the ledger; the key makes posting it twice the same as once.

    `period` is the accounting month (`2026-10`); empty, it is the month of the business date.
    """

    book: str
    business_date: date
    kind: str
    text: str
    idempotency_key: str
    source: str
    postings: tuple[Posting, ...]
    reverses: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    period: str = ""
