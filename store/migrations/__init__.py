"""Migrations of the relational database: forward only, the same on SQLite and PostgreSQL.

Owns how versions are applied and generated. Which tables exist is told by the metadata that the caller
hands in; this package knows none.
"""

import io
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, text

from store.db import Database
from store.problem import Problem, ProblemsError

_LOCK = 7_215_080_213


def _config(metadata: MetaData | None = None) -> Config:
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["metadata"] = metadata
    return config


def head() -> str | None:
    """Return the newest version that this program knows, None when there is none."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def current(database: Database) -> str | None:
    """Return the version of a database, None when it has never been migrated."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def check(database: Database) -> None:
    """Raise ProblemsError unless the database has exactly the version of this program."""
    found, wanted = current(database), head()
    if found == wanted:
        return
    where = database.engine.url.render_as_string()
    if found is not None and found not in _known():
        raise ProblemsError(
            [Problem(where, f"数据库版本 {found} 比程序新", "升级程序，或换用与它相配的数据库备份")]
        )
    raise ProblemsError(
        [Problem(where, f"数据库版本 {found or '空'}，程序需要 {wanted}", "先运行 sunledger migrate")]
    )


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def upgrade(database: Database, metadata: MetaData) -> str | None:
    """Bring a database to the newest version in one transaction and return that version.

    Safe to run again and by two processes at once. Raises ProblemsError when the database is newer than
    the program.
    """
    config = _config(metadata)
    with database.engine.begin() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        found = MigrationContext.configure(connection).get_current_revision()
        if found is not None and found not in _known():
            where = database.engine.url.render_as_string()
            raise ProblemsError([Problem(where, f"数据库版本 {found} 比程序新", "请升级程序")])
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return head()


def generate(database: Database, metadata: MetaData, message: str) -> Path:
    """Write a new version that takes a migrated database to `metadata`; returns its file.

    For developers: the file is to be read and committed, and never changed after its release.
    """
    config = _config(metadata)
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        number = len(_known()) + 1
        made = command.revision(config, message=message, autogenerate=True, rev_id=f"{number:04d}")
    if made is None or isinstance(made, list):
        raise RuntimeError("one version was expected")
    return Path(made.path)


def differences(database: Database, metadata: MetaData) -> list[str]:
    """Return in words where a database's tables differ from the metadata."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        return [str(item) for item in compare_metadata(context, metadata)]
