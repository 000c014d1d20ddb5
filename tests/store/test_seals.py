from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Mapped, mapped_column

from store.db import Base, UtcDateTime, open_database
from store.seals import SEALED, SealRow, put_under_seal, verify_seals
from tests.postgres import own_postgres

MOMENT = datetime(2026, 11, 1, tzinfo=UTC)


class CoinRow(Base):
    __tablename__ = "sealed_coin"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    box: Mapped[str]
    value: Mapped[int]
    put_at: Mapped[datetime] = mapped_column(UtcDateTime)


TABLES = [CoinRow.__table__, SealRow.__table__]


@pytest.fixture(scope="module")
def server():
    with own_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def boxes(request, tmp_path):
    on_server = request.param == "postgresql"
    url = request.getfixturevalue("server") if on_server else f"sqlite:///{tmp_path / 'x.sqlite3'}"
    database = open_database(url)
    Base.metadata.create_all(database.engine, TABLES)
    put_under_seal(CoinRow.__table__, "硬币", group="box", since="put_at")
    kept = {name: SEALED.pop(name) for name in list(SEALED) if name != "sealed_coin"}
    with database.transaction() as session:
        session.add_all([coin(1, "a"), coin(2, "a")])
        session.execute(insert(CoinRow), [values(3, "b"), values(4, "b"), values(5, "b")])
    yield database
    SEALED.clear()
    SEALED.update(kept)
    Base.metadata.drop_all(database.engine, TABLES)
    database.close()


def values(number, box, at=MOMENT):
    return {"id": number, "box": box, "value": number * 100, "put_at": at}


def coin(number, box, at=MOMENT):
    return CoinRow(**values(number, box, at))


def behind(database, sql):
    with database.engine.begin() as connection:
        for trigger in ("seal_no_update", "seal_no_delete"):
            if database.engine.dialect.name == "sqlite":
                connection.execute(text(f"DROP TRIGGER IF EXISTS {trigger}"))
        if database.engine.dialect.name == "postgresql":
            connection.execute(text("ALTER TABLE seal DISABLE TRIGGER ALL"))
        connection.execute(text(sql))


def places(database):
    with database.reading() as session:
        return [problem.where for problem in verify_seals(session)]


def test_what_a_session_wrote_is_whole(boxes):
    assert places(boxes) == []
    with boxes.reading() as session:
        kinds = session.execute(select(SealRow.kind, SealRow.group_key)).all()
    assert [tuple(row) for row in kinds] == [("sealed_coin", "a"), ("sealed_coin", "b")]


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("UPDATE sealed_coin SET value = 401 WHERE id = 4", "硬币 b 4"),
        ("UPDATE sealed_coin SET box = 'a' WHERE id = 4", "硬币"),
        ("DELETE FROM sealed_coin WHERE id = 4", "硬币 b 5"),
        ("DELETE FROM sealed_coin WHERE id = 5", "硬币 b"),
        ("DELETE FROM sealed_coin WHERE box = 'b'", "硬币 b"),
        ("UPDATE seal SET digest = previous_hash WHERE seq = 2", "封存记录第 2 号"),
        ("DELETE FROM seal WHERE seq = 1", "封存记录第 1 号"),
        ("DELETE FROM seal WHERE seq = 2", "硬币 b 3"),
        ("INSERT INTO sealed_coin SELECT 6, 'b', 1, put_at FROM sealed_coin WHERE id = 1", "硬币 b 6"),
        ("INSERT INTO sealed_coin SELECT 6, 'c', 1, put_at FROM sealed_coin WHERE id = 1", "硬币 c 6"),
    ],
)
def test_what_was_done_behind_the_programs_back_is_named(boxes, sql, place):
    behind(boxes, sql)
    assert places(boxes)[0].startswith(place)


def test_a_row_that_the_program_changes_is_sealed_anew(boxes):
    with boxes.transaction() as session:
        session.get(CoinRow, 4).value = 7
    assert places(boxes) == []


def test_what_was_rolled_back_leaves_no_seal(boxes):
    with pytest.raises(ZeroDivisionError), boxes.transaction() as session:
        session.add(coin(9, "z"))
        session.flush()
        raise ZeroDivisionError
    with boxes.transaction() as session:
        nested = session.begin_nested()
        session.add(coin(10, "y"))
        session.flush()
        nested.rollback()
        session.add(coin(11, "x"))
    assert places(boxes) == []


def test_rows_from_before_the_first_seal_are_left_alone(boxes):
    behind(boxes, "INSERT INTO sealed_coin VALUES (0, 'old', 1, '2026-10-31 00:00:00')")
    assert places(boxes) == []
