"""The relational database: engine, transactions, naming conventions, append-only guards.

Owns how the program talks to SQLite and PostgreSQL alike. It knows no table of the domain; every table
module declares its tables on `Base`, and the composition root hands the metadata to the migrations.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DDL, DateTime, Dialect, Engine, MetaData, Table, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from store.problem import Problem, ProblemsError

BUSY_TIMEOUT_MS = 15_000


class Base(DeclarativeBase):
    """Declarative base of every table; constraint names are stable so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant, stored in UTC on both databases; a naive datetime is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; SQLite keeps it without zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant without a time zone cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002, the signature is SQLAlchemy's
        """Return the instant aware and in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def new_id(prefix: str) -> str:
    """Return a fresh identifier such as `run_0f3c…`, made before anything is sent or stored."""
    return f"{prefix}_{uuid.uuid4().hex}"


def append_only_statements(table: str, dialect: str) -> list[str]:
    """Return the DDL that makes `table` refuse UPDATE and DELETE on `sqlite` or `postgresql`."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        (
            "CREATE OR REPLACE FUNCTION sunledger_append_only() RETURNS trigger AS $$ "
            "BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$ LANGUAGE plpgsql"
        ),
        (
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION sunledger_append_only()"
        ),
        (
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION sunledger_append_only()"
        ),
    ]


def guard(table: Table, *, sqlite: Sequence[str] = (), postgresql: Sequence[str] = ()) -> None:
    """Attach triggers to a table: whoever creates the table creates its guards with it.

    The statements are kept in `table.info["guards"]`, so that a test can compare them with what the
    migrations made.
    """
    guards = table.info.setdefault("guards", {"sqlite": [], "postgresql": []})
    for dialect, statements in (("sqlite", sqlite), ("postgresql", postgresql)):
        for statement in statements:
            guards[dialect].append(statement)
            ddl = DDL(statement.replace("%", "%%")).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", ddl)


def guard_append_only(table: Table) -> None:
    """Make a table append-only: it refuses UPDATE and DELETE on both databases."""
    guard(
        table,
        sqlite=append_only_statements(table.name, "sqlite"),
        postgresql=append_only_statements(table.name, "postgresql"),
    )


def guard_refusal(table: Table, name: str, verb: str, refused: tuple[str, str]) -> None:
    """Make a table refuse what `verb` (INSERT, UPDATE, DELETE) would do where a condition holds.

    `refused` is the condition on NEW and OLD, in SQL that both databases read alike, and the message.
    """
    condition, message = refused
    result = "OLD" if verb == "DELETE" else "NEW"
    guard(
        table,
        sqlite=(
            (
                f"CREATE TRIGGER {name} BEFORE {verb} ON {table.name} WHEN {condition} "
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            ),
        ),
        postgresql=(
            (
                f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger AS $$ BEGIN IF {condition} THEN "
                f"RAISE EXCEPTION '{message}'; END IF; RETURN {result}; END $$ LANGUAGE plpgsql"
            ),
            (f"CREATE TRIGGER {name} BEFORE {verb} ON {table.name} FOR EACH ROW EXECUTE FUNCTION {name}()"),
        ),
    )


def _configure_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Any) -> None:
        # A read-then-write transaction begun without IMMEDIATE fails at once when another writes.
        reading = connection.get_execution_options().get("sunledger_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


class Database:
    """One database, opened once per process; hands out transactions.

    `transaction()` gives a session that commits when the block ends and rolls back when it raises.
    `reading()` gives a session that never writes.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._reader = engine.execution_options(sunledger_reading=True, postgresql_readonly=True)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a write transaction; everything in the block happens, or nothing does."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a consistent read-only view of the database."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


def open_database(url: str) -> Database:
    """Open `sqlite:///FILE` or `postgresql+psycopg://…` and check that it answers.

    Raises ProblemsError when the address cannot be read or the server does not answer.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ProblemsError(
            [
                Problem(
                    "SUNLEDGER_DATABASE_URL",
                    f"“{url}” 不是数据库地址",
                    "写成 sqlite:///路径 或 postgresql+psycopg://用户@主机/库",
                )
            ]
        ) from error
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ProblemsError(
            [
                Problem(
                    "SUNLEDGER_DATABASE_URL",
                    f"不支持 {parsed.get_backend_name()}",
                    "请用 SQLite 或 PostgreSQL",
                )
            ]
        )
    engine = create_engine(parsed, pool_pre_ping=parsed.get_backend_name() == "postgresql")
    if parsed.get_backend_name() == "sqlite":
        _configure_sqlite(engine)
    try:
        with engine.connect():
            pass
    except OperationalError as error:
        engine.dispose()
        raise ProblemsError(
            [
                Problem(
                    "SUNLEDGER_DATABASE_URL",
                    f"数据库打不开：{error.orig}",
                    "检查地址、口令、目录权限和服务是否在运行",
                )
            ]
        ) from error
    return Database(engine)
