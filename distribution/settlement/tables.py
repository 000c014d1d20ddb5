"""Tables of settlement: what the grid company owes, what arrived, what was spent, and where figures differ.

Owns statements and their revisions, receivables by village, receipts, costs and remittances. Every table
is append-only: a correction of a statement is its next revision, a correction of a receipt or cost is a
new row with a negative amount that names the first.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.db import Base, UtcDateTime, guard_append_only

_COMPONENT = "component IN ('electricity', 'subsidy', 'local_subsidy', 'asset_gain', 'advance')"


class _Recorded:
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


class StatementFileRow(_Recorded, Base):
    """Table `statement_file`: an imported file, once for ever by its content hash."""

    __tablename__ = "statement_file"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    layout: Mapped[str]
    row_count: Mapped[int]


class SettlementRow(_Recorded, Base):
    """Table `settlement`: one station and month as the grid company billed it, in revisions from 1."""

    __tablename__ = "settlement"
    __table_args__ = (
        CheckConstraint("revision > 0", name="revision"),
        CheckConstraint("exported_energy_wh >= 0", name="energy"),
        UniqueConstraint("station_id", "month", "revision"),
        Index(None, "month"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(ForeignKey("station.id"))
    month: Mapped[str] = mapped_column(String(7))
    revision: Mapped[int]
    exported_energy_wh: Mapped[int] = mapped_column(BigInteger)
    electricity_fen: Mapped[int] = mapped_column(BigInteger)
    subsidy_fen: Mapped[int] = mapped_column(BigInteger)
    local_subsidy_fen: Mapped[int] = mapped_column(BigInteger)
    source: Mapped[str]
    file_sha256: Mapped[str] = mapped_column(String(64))
    content_hash: Mapped[str] = mapped_column(String(64))


class SettlementLineRow(Base):
    """Table `settlement_line`: one tariff window of a settlement; decimals are kept as exact text."""

    __tablename__ = "settlement_line"

    settlement_id: Mapped[str] = mapped_column(ForeignKey("settlement.id"), primary_key=True)
    line_no: Mapped[int] = mapped_column(primary_key=True)
    account_number: Mapped[str]
    meter_number: Mapped[str]
    meter_multiplier: Mapped[int]
    previous_reading: Mapped[str]
    current_reading: Mapped[str]
    exported_energy_wh: Mapped[int] = mapped_column(BigInteger)
    electricity_price: Mapped[str]
    electricity_fen: Mapped[int] = mapped_column(BigInteger)
    subsidy_price: Mapped[str]
    subsidy_fen: Mapped[int] = mapped_column(BigInteger)
    local_subsidy_fen: Mapped[int] = mapped_column(BigInteger)
    tax_fen: Mapped[int] = mapped_column(BigInteger)
    adjustment_fen: Mapped[int] = mapped_column(BigInteger)
    tariff_window: Mapped[str]
    place: Mapped[str]


class ReceivableRow(Base):
    """Table `receivable`: a village's part [fen] of one component of a settlement."""

    __tablename__ = "receivable"
    __table_args__ = (CheckConstraint(_COMPONENT, name="component"), Index(None, "village_code"))

    settlement_id: Mapped[str] = mapped_column(ForeignKey("settlement.id"), primary_key=True)
    component: Mapped[str] = mapped_column(primary_key=True)
    village_code: Mapped[str] = mapped_column(String(12), primary_key=True)
    amount_fen: Mapped[int] = mapped_column(BigInteger)


class ReceiptRow(_Recorded, Base):
    """Table `receipt`: money that arrived for one station, component and settlement month."""

    __tablename__ = "receipt"
    __table_args__ = (
        CheckConstraint("amount_fen <> 0", name="amount"),
        CheckConstraint(_COMPONENT, name="component"),
        CheckConstraint("amount_fen > 0 OR corrects IS NOT NULL", name="negative_corrects"),
        UniqueConstraint("bank_reference", "station_id", "component", "month"),
        Index(None, "station_id", "month"),
        Index(None, "corrects", unique=True),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(ForeignKey("station.id"))
    component: Mapped[str]
    month: Mapped[str] = mapped_column(String(7))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    received_on: Mapped[date]
    bank_reference: Mapped[str]
    source: Mapped[str]
    corrects: Mapped[str | None] = mapped_column(ForeignKey("receipt.id"))


class ReceiptShareRow(Base):
    """Table `receipt_share`: a village's part [fen] of a receipt."""

    __tablename__ = "receipt_share"
    __table_args__ = (Index(None, "village_code"),)

    receipt_id: Mapped[str] = mapped_column(ForeignKey("receipt.id"), primary_key=True)
    village_code: Mapped[str] = mapped_column(String(12), primary_key=True)
    amount_fen: Mapped[int] = mapped_column(BigInteger)


class CostRow(_Recorded, Base):
    """Table `cost`: a deductible cost of one village and month, with its voucher."""

    __tablename__ = "cost"
    __table_args__ = (
        CheckConstraint("amount_fen <> 0", name="amount"),
        CheckConstraint("amount_fen > 0 OR corrects IS NOT NULL", name="negative_corrects"),
        Index(None, "village_code", "month"),
        Index(None, "corrects", unique=True),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    village_code: Mapped[str] = mapped_column(String(12))
    month: Mapped[str] = mapped_column(String(7))
    kind: Mapped[str]
    text: Mapped[str]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    incurred_on: Mapped[date]
    paid_on: Mapped[date | None]
    voucher: Mapped[str]
    station_id: Mapped[str]
    corrects: Mapped[str | None] = mapped_column(ForeignKey("cost.id"))


class RemittanceRow(_Recorded, Base):
    """Table `remittance`: money passed on from the county's account to a village's."""

    __tablename__ = "remittance"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        UniqueConstraint("bank_reference", "village_code"),
        Index(None, "village_code"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    village_code: Mapped[str] = mapped_column(String(12))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    remitted_on: Mapped[date]
    bank_reference: Mapped[str]


class DiscrepancyRow(_Recorded, Base):
    """Table `discrepancy`: two figures of a station and month that differ beyond tolerance."""

    __tablename__ = "discrepancy"
    __table_args__ = (UniqueConstraint("station_id", "month", "kind", "basis_hash"), Index(None, "month"))

    id: Mapped[str] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(ForeignKey("station.id"))
    month: Mapped[str] = mapped_column(String(7))
    kind: Mapped[str]
    expected: Mapped[int] = mapped_column(BigInteger)
    found: Mapped[int] = mapped_column(BigInteger)
    unit: Mapped[str]
    text: Mapped[str]
    cause: Mapped[str]
    basis_hash: Mapped[str] = mapped_column(String(64))


class DiscrepancyResolutionRow(_Recorded, Base):
    """Table `discrepancy_resolution`: how a discrepancy was settled, by whom and why; once."""

    __tablename__ = "discrepancy_resolution"
    __table_args__ = (
        CheckConstraint("outcome IN ('explained', 'corrected', 'ignored')", name="outcome"),
        CheckConstraint("reason <> ''", name="reason"),
    )

    discrepancy_id: Mapped[str] = mapped_column(ForeignKey("discrepancy.id"), primary_key=True)
    outcome: Mapped[str]
    reason: Mapped[str]
    source: Mapped[str]


for _row in (
    StatementFileRow,
    SettlementRow,
    SettlementLineRow,
    ReceivableRow,
    ReceiptRow,
    ReceiptShareRow,
    CostRow,
    RemittanceRow,
    DiscrepancyRow,
    DiscrepancyResolutionRow,
):
    guard_append_only(_row.__table__)  # type: ignore[arg-type]
