import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from distribution.approval.runs import frozen_hashes
from distribution.approval.tables import RunRow
from distribution.disbursing import take_return
from distribution.verification import verify
from registry.actors import Actor, Role
from store.canonical import canonical_json
from store.db import open_database

VILLAGE = "520499101201"
FINANCE = Actor("u_finance", "县财务", Role.FINANCE, "520499000000")
MOMENT = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)


@pytest.fixture
def answered(booked):
    booked.remit(VILLAGE, 773300, date(2026, 11, 26))
    booked.close()
    batch, file = booked.batch()
    rows = ["批内编号,金额,结果"]
    for number, line in enumerate(file.content.decode("gb18030").splitlines()[1:-1]):
        parts = line.split("|")
        rows.append(f"{parts[1]},{parts[5]},{('失败', '成功', '处理中')[number]}")
    with booked.database.transaction() as session:
        take_return(session, FINANCE, ("\n".join(rows).encode(), "回盘.csv"), batch.id, MOMENT)
    return booked


LAST = f"book = '{VILLAGE}' AND seq = (SELECT max(seq) FROM journal WHERE book = '{VILLAGE}')"  # noqa: S608, a test
TAMPERINGS = {
    "a line's amount": (
        "UPDATE allocation_line SET amount_fen = amount_fen + 1 WHERE line_no = 1",
        "第 1 行",
    ),
    "a frozen result": ("UPDATE run SET content = replace(content, '60000', '60001')", "分配批次"),
    "a frozen input": (
        "UPDATE run SET inputs = replace(inputs, '2026-10-31', '2026-10-30'), made_by = 'x'",
        "",
    ),
    "a run's hash": ("UPDATE run SET content_hash = replace(content_hash, 'a', 'b')", "分配批次"),
    "a run's state": ("UPDATE run SET state = 'closed' WHERE state <> 'computed'", "分配批次"),
    "an explanation": ("UPDATE line_explanation SET formula = 'x' WHERE step_no = 1", "步"),
    "a vote": (
        "UPDATE vote SET content_hash = replace(content_hash, substr(content_hash, 1, 1), 'z')",
        "表决",
    ),
    "all votes": ("DELETE FROM vote", "分配批次"),
    "a notice's list": ("UPDATE public_notice SET list_json = replace(list_json, '一', '二')", "公示"),
    "a notice": ("DELETE FROM notice_closure; DELETE FROM public_notice", "分配批次"),
    "a posting": ("UPDATE posting SET amount_fen = amount_fen + 1 WHERE seq = 1", "账簿"),
    "an entry's tail": (f"DELETE FROM posting WHERE {LAST}; DELETE FROM journal WHERE {LAST}", "账簿"),  # noqa: S608
    "a payout": ("UPDATE payout SET amount_fen = amount_fen + 100", "分配批次"),
    "a removed payout": ("DELETE FROM payout WHERE household_id = 'h_201_2'", "h_201_2"),
    "an attempt's state": ("UPDATE payout_attempt SET state = 'succeeded'", "发放"),
    "an attempt's amount": ("UPDATE payout_attempt SET amount_fen = amount_fen + 1", "代发批次"),
    "a batch's total": ("UPDATE bank_batch SET total_fen = total_fen + 1", "代发批次"),
    "a bill's line": ("UPDATE settlement_line SET electricity_fen = electricity_fen + 1", "结算单"),
    "a bill's total": ("UPDATE settlement SET electricity_fen = electricity_fen + 1", "结算单"),
    "a receivable": ("UPDATE receivable SET amount_fen = amount_fen + 1", "结算单"),
    "a receipt": ("UPDATE receipt SET amount_fen = amount_fen + 1", "到账"),
}


def test_an_untouched_county_has_nothing_to_report(answered):
    with answered.database.reading() as session:
        assert verify(session) == []


def test_what_an_older_program_froze_keeps_its_hash(answered):
    """A field that a newer program adds to its records is not in the texts of runs made before."""
    with answered.database.reading() as session:
        row = session.get(RunRow, f"run:{VILLAGE}:2026-10:regular:1")
        older = {name: json.loads(getattr(row, name)) for name in ("inputs", "content")}
        head, digest = (row.book, row.period, row.kind, row.plan_hash), row.content_hash
    del older["content"]["plan_title"]
    for household in older["inputs"]["households"]:
        household.pop("valid_to", None)
    texts = [canonical_json(older[name]) for name in ("inputs", "content")]
    input_hash, content_hash = frozen_hashes(head, *texts)
    with answered.database.engine.connect() as connection:
        raw = connection.connection.driver_connection
        raw.execute("PRAGMA foreign_keys=OFF")
        for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {trigger}")
        given = (*texts, input_hash, content_hash, digest)
        raw.execute(
            "UPDATE run SET inputs = ?, content = ?, input_hash = ?, content_hash = ? WHERE content_hash = ?",
            given,
        )
        for table in ("vote", "public_notice"):
            sql = f"UPDATE {table} SET content_hash = ? WHERE content_hash = ?"  # noqa: S608, a test
            assert raw.execute(sql, (content_hash, digest)).rowcount
        raw.execute("DELETE FROM seal")
        raw.commit()
    with answered.database.reading() as session:
        assert verify(session) == []


def _tamper(database, statements):
    with database.engine.connect() as connection:
        raw = connection.connection.driver_connection
        raw.execute("PRAGMA foreign_keys=OFF")
        raw.execute("PRAGMA ignore_check_constraints=ON")
        for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {trigger}")
        changed = 0
        for statement in statements.split("; "):
            changed += raw.execute(statement).rowcount
        raw.commit()
    assert changed > 0


def test_every_kind_of_tampering_is_found_and_its_place_named(answered, tmp_path):
    source = Path(answered.database.engine.url.database)
    with answered.database.engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    answered.database.close()
    missed = []
    for number, (name, (statements, place)) in enumerate(TAMPERINGS.items()):
        copy = tmp_path / f"copy{number}.sqlite3"
        shutil.copyfile(source, copy)
        opened = open_database(f"sqlite:///{copy}")
        _tamper(opened, statements)
        with opened.reading() as session:
            problems = verify(session)
        opened.close()
        if not problems or not any(place in problem.where for problem in problems):
            missed.append((name, problems[:2]))
    assert missed == []
