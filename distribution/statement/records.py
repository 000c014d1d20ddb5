"""What a village, a household and a station are shown, as frozen records for pages, API and exports."""

from dataclasses import dataclass

from distribution.approval.noticing.notices import Notice, Objection
from distribution.approval.runs import Run
from distribution.approval.voting.votes import Vote
from distribution.ledger.journal import Head
from registry.households import Household


@dataclass(frozen=True, slots=True)
class Figure:
    """An amount [fen] with its name, its rule's clause, and the entries (`book/seq`) it is the sum of.

    `sources` are the records behind the entries (`receipt:…`, `cost:…`, a run); `is_correction` marks a
    reversal, which is shown in red with a minus sign.
    """

    label: str
    amount_fen: int
    entries: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    clause: str = ""
    formula: str = ""
    is_correction: bool = False


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line of a village's list: whom, for what, how much [fen], on what basis, and whether it is paid.

    `household_id` is empty for a line that pays no household; `payout_state` is its Chinese word.
    """

    line_no: int
    purse: str
    item: str
    household_id: str
    name: str
    village_group: str
    amount_fen: int
    basis: str
    clause: str
    entries: tuple[str, ...]
    payout_state: str = ""


@dataclass(frozen=True, slots=True)
class FurtherRun:
    """A top-up or correction of the month: its lines [fen], those of a correction being differences."""

    run: Run
    kind_name: str
    is_booked: bool
    lines: tuple[StatementLine, ...]
    entries: tuple[str, ...]

    @property
    def amount_fen(self) -> int:
        """Sum of the lines [fen]."""
        return sum(line.amount_fen for line in self.lines)


@dataclass(frozen=True, slots=True)
class VillageStatement:
    """A village's month: income - deductions + carried in = distributable = sum of lines, to the fen.

    `difference_fen` is 0 unless something is wrong. `is_booked` tells whether the amounts are the
    ledger's, or still a computed run's. `head` is the end of the book's chain. `further` are the month's
    top-ups and corrections; `recoverable_fen` is what the village's households were overpaid and owe today.
    """

    village_code: str
    village_name: str
    period: str
    period_label: str
    run: Run
    is_booked: bool
    plan_title: str
    plan_source: str
    income: tuple[Figure, ...]
    deductions: tuple[Figure, ...]
    carried_in: Figure | None
    distributable: Figure
    purses: tuple[Figure, ...]
    lines: tuple[StatementLine, ...]
    total_fen: int
    total_uppercase: str
    household_total_fen: int
    difference_fen: int
    receivables: tuple[Figure, ...]
    exported_energy_wh: int | None
    tests: tuple[str, ...]
    warnings: tuple[str, ...]
    votes: tuple[Vote, ...]
    notice: Notice | None
    objections: tuple[Objection, ...]
    made_by: str
    head: Head
    further: tuple[FurtherRun, ...] = ()
    recoverable_fen: int = 0

    @property
    def income_fen(self) -> int:
        """Sum of the income [fen]."""
        return sum(figure.amount_fen for figure in self.income)

    @property
    def deductions_fen(self) -> int:
        """Sum of the deductions [fen]."""
        return sum(figure.amount_fen for figure in self.deductions)

    @property
    def fingerprint(self) -> str:
        """The first 8 characters of the run's content hash."""
        return self.run.content_hash[:8]


@dataclass(frozen=True, slots=True)
class HouseholdLine:
    """One amount of a household [fen]: month, item, the steps in Chinese, its entries and its payment."""

    period: str
    run_id: str
    line_no: int
    item: str
    amount_fen: int
    steps: tuple[str, ...]
    clause: str
    entries: tuple[str, ...]
    is_booked: bool
    payout_state: str
    payout_reason: str = ""


@dataclass(frozen=True, slots=True)
class HouseholdStatement:
    """A household's sheet of a span [fen]: total = booked lines = paid + owed + netted - overpaid.

    Pending lines stay apart. `overpaid_fen` is what corrections took off the span's lines, `netted_fen` what
    runs of the span kept back against it, `recoverable_fen` what the household owes today.
    """

    household: Household
    village_name: str
    period: str
    period_label: str
    lines: tuple[HouseholdLine, ...]
    total_fen: int
    total_uppercase: str
    paid_fen: int
    owed_fen: int
    pending_fen: int
    overpaid_fen: int = 0
    netted_fen: int = 0
    recoverable_fen: int = 0

    @property
    def booked(self) -> tuple[HouseholdLine, ...]:
        """The lines that the ledger holds."""
        return tuple(line for line in self.lines if line.is_booked)


@dataclass(frozen=True, slots=True)
class StationMonth:
    """A station's money of one month [fen]: billed and received by component, and what is outstanding."""

    month: str
    settlement_id: str
    revision: int
    exported_energy_wh: int
    electricity_fen: int
    subsidy_fen: int
    electricity_received_fen: int
    subsidy_received_fen: int

    @property
    def outstanding_fen(self) -> int:
        """What the grid company still owes of the month [fen]."""
        billed = self.electricity_fen + self.subsidy_fen
        return billed - self.electricity_received_fen - self.subsidy_received_fen
