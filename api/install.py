"""The first start: schema, and the one-time password of the first administrator.

Owns what `sunledger migrate` does beyond the schema. There is no default password.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from api.schema import migrate
from api.settings import Settings
from registry.actors import Actor, Role
from registry.users import NewUser, UserRow, create_user
from store.db import open_database
from store.series import prepare_series

ADMINISTRATOR = "admin"


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """A login and its one-time password, shown once."""

    login: str
    password: str


def install(
    settings: Settings, now: datetime, *, administrator: bool = True
) -> tuple[str, Credential | None]:
    """Bring the stores to the present schema; make the first administrator where there is no user.

    Returns the schema version, and the credential if one was made.
    """
    prepare_series(settings.effective_series_url)
    database = open_database(settings.effective_database_url)
    try:
        version = migrate(database)
        with database.transaction() as session:
            if not administrator or session.scalar(select(func.count()).select_from(UserRow)):
                return version, None
            installer = Actor("installer", "安装程序", Role.COUNTY)
            new = NewUser(ADMINISTRATOR, "管理员", Role.COUNTY)
            return version, Credential(ADMINISTRATOR, create_user(session, installer, new, now))
    finally:
        database.close()
