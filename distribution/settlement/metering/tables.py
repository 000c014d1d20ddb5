"""Table of manual meter readings: first-class evidence, never edited, never without its photo."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.db import Base, UtcDateTime, guard_append_only


class MeterReadingRow(Base):
    """Table `meter_reading`: what the face of a revenue meter showed [kWh, before the multiplier] on a day.

    `reading` is decimal text. A correction is another reading that names the wrong one; a withdrawal has the
    mark `withdrawn`.
    """

    __tablename__ = "meter_reading"
    __table_args__ = (
        CheckConstraint("length(photo_sha256) = 64", name="photo"),
        CheckConstraint("corrects IS NULL OR note <> ''", name="reason"),
        UniqueConstraint("corrects"),
        Index(None, "station_id", "read_on"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(ForeignKey("station.id"))
    meter_number: Mapped[str]
    read_on: Mapped[date]
    reading: Mapped[str]
    photo_sha256: Mapped[str] = mapped_column(String(64))
    note: Mapped[str]
    withdrawn: Mapped[bool]
    corrects: Mapped[str | None] = mapped_column(ForeignKey("meter_reading.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]
    recorded_name: Mapped[str]


guard_append_only(MeterReadingRow.__table__)  # type: ignore[arg-type]
