"""Which logins belong to an O&M company (运维单位).

Owns table `company_login`. A login of a company sees only the stations whose registry names that company;
the limit itself is `registry.stations`' (`station_in_area`).
"""

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from registry.facts import Recorded
from store.db import Base, guard_append_only


class CompanyLoginRow(Recorded, Base):
    """Table `company_login`: the O&M company of a user; who changes company gets a new login."""

    __tablename__ = "company_login"
    __table_args__ = (CheckConstraint("company <> ''", name="company"),)

    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"), primary_key=True)
    company: Mapped[str]


guard_append_only(CompanyLoginRow.__table__)  # type: ignore[arg-type]
