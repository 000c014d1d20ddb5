"""Tables of the station file: dated entries, holdings, household systems, exchanges of meters and devices.

Owns the rows and their guards only.
"""

from datetime import date

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from registry.actors import CODE_LENGTH
from registry.facts import Fact, Recorded, guard_facts, guard_no_overlap
from registry.households import HouseholdRow
from registry.stations import StationRow
from store.db import Base, guard_append_only

assert StationRow.__tablename__ == "station"  # noqa: S101, the tables that the rows below point at
assert HouseholdRow.__tablename__ == "household"  # noqa: S101


class ArchiveEntryRow(Fact, Base):
    """Table `station_archive_entry`: one field of a station's file, in one span of days."""

    __tablename__ = "station_archive_entry"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        CheckConstraint("value <> ''", name="value"),
        Index(None, "station_id", "field"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(ForeignKey("station.id"))
    field: Mapped[str]
    value: Mapped[str]
    document: Mapped[str]


class HoldingRow(Fact, Base):
    """Table `equity_holding`: who holds which part of a station, or of a body that holds stations.

    `owner` is a 12-digit division code or the name of a body; `held` a station's id or the name of a body.
    """

    __tablename__ = "equity_holding"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        CheckConstraint("weight > 0", name="weight"),
        CheckConstraint("owner <> held", name="itself"),
        Index(None, "held"),
        Index(None, "owner"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    held: Mapped[str]
    weight: Mapped[int] = mapped_column(BigInteger)
    document: Mapped[str]


class HouseholdSystemRow(Fact, Base):
    """Table `household_system`: the part of a 户用 group that stands on one household's roof [W]."""

    __tablename__ = "household_system"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        CheckConstraint("rated_power_w > 0", name="rated_power"),
        CheckConstraint("length(village_code) = 12", name="village_code"),
        Index(None, "station_id"),
        Index(None, "household_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(ForeignKey("station.id"))
    household_id: Mapped[str] = mapped_column(ForeignKey("household.id"))
    village_code: Mapped[str] = mapped_column(String(CODE_LENGTH))
    rated_power_w: Mapped[int] = mapped_column(BigInteger)
    account_number: Mapped[str]
    document: Mapped[str]


class ReplacementRow(Recorded, Base):
    """Table `replacement`: one device or revenue meter gave way to another; readings are decimal text."""

    __tablename__ = "replacement"
    __table_args__ = (
        CheckConstraint("kind IN ('device', 'meter')", name="kind"),
        CheckConstraint("old_id <> new_id", name="two"),
        Index(None, "station_id", "replaced_on"),
        Index(None, "old_id", unique=True),
        Index(None, "new_id", unique=True),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(ForeignKey("station.id"))
    kind: Mapped[str]
    old_id: Mapped[str]
    new_id: Mapped[str]
    replaced_on: Mapped[date]
    closing_reading: Mapped[str]
    opening_reading: Mapped[str]
    document: Mapped[str]


guard_facts(ArchiveEntryRow.__table__)  # type: ignore[arg-type]
guard_facts(HoldingRow.__table__)  # type: ignore[arg-type]
guard_facts(HouseholdSystemRow.__table__)  # type: ignore[arg-type]
guard_append_only(ReplacementRow.__table__)  # type: ignore[arg-type]
guard_no_overlap(
    ArchiveEntryRow.__table__,  # type: ignore[arg-type]
    key=("station_id", "field"),
    what="a field of a station file has one value at a time",
)
guard_no_overlap(
    HoldingRow.__table__,  # type: ignore[arg-type]
    key=("owner", "held"),
    what="an owner has one holding in a thing at a time",
)
guard_no_overlap(
    HouseholdSystemRow.__table__,  # type: ignore[arg-type]
    key=("station_id", "household_id"),
    what="a household has one system in a group at a time",
)
