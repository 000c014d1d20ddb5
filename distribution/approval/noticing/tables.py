"""Tables beside notices: a run's filing and result, and a county's own working days. All are append-only."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from store.db import Base, UtcDateTime, guard_append_only


class RunFilingRow(Base):
    """Table `run_filing`: a run that was filed with an office (备案), or whose result was announced."""

    __tablename__ = "run_filing"
    __table_args__ = (
        CheckConstraint("kind IN ('filing', 'result_notice')", name="kind"),
        CheckConstraint("document <> '' OR evidence <> ''", name="proof"),
    )

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    filed_on: Mapped[date]
    office: Mapped[str]
    document: Mapped[str]
    evidence: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


class WorkingDayRow(Base):
    """Table `working_day`: a county's word on whether a day is worked; the latest word of a place holds."""

    __tablename__ = "working_day"
    __table_args__ = (
        CheckConstraint("length(division_code) = 12", name="division_code"),
        CheckConstraint("document <> ''", name="document"),
    )

    division_code: Mapped[str] = mapped_column(String(12), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    is_working: Mapped[bool]
    document: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


for _row in (RunFilingRow, WorkingDayRow):
    guard_append_only(_row.__table__)  # type: ignore[arg-type]
