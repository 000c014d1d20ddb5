"""The spool keeps what it took: over kill -9, refusals of the store, damage, a full disk and its cap."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from collector.delivery import Rejected
from collector.spool import Spool
from store.samples import Sample, table_to_samples
from store.series import SeriesStore, SeriesUnavailableError, WriteResult, open_series

KILLS = 500 if os.environ.get("SUNLEDGER_SOAK") else 5
NOON = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)


def sample(number: int, device: str = "device_a", **values: float) -> Sample:
    moment = NOON + timedelta(seconds=number)
    return Sample(device, moment, moment, values or {"active_power_w": float(number)})


class Ledger:
    """A store in memory with the contract of the engines, and switches for its moods."""

    def __init__(self, settling: timedelta = timedelta(0)) -> None:
        self.settling = settling
        self.rows: dict[tuple[str, datetime], Sample] = {}
        self.refusing = False
        self.poison: str | None = None
        self.writes: list[int] = []

    def write(self, batch: pa.Table) -> WriteResult:
        if self.refusing:
            raise SeriesUnavailableError("down")
        samples = table_to_samples(batch)
        if self.poison is not None and any(one.device_id == self.poison for one in samples):
            raise ValueError("poison")
        new = {
            (one.device_id, one.time): one for one in samples if (one.device_id, one.time) not in self.rows
        }
        self.rows.update(new)
        self.writes.append(len(samples))
        return WriteResult(len(new), len(samples) - len(new))


def drain(spool: Spool, store: object, limit_rows: int = 5000) -> None:
    while spool.balance().waiting:
        outcome = spool.deliver(store, now=NOON, limit_rows=limit_rows)  # type: ignore[arg-type]
        assert not outcome.unavailable


def test_everything_taken_reaches_the_store_once(tmp_path: Path) -> None:
    spool, store = Spool(tmp_path / "spool.sqlite3"), Ledger()
    spool.append([sample(number) for number in range(10)], at=NOON)
    spool.append([sample(number) for number in range(5, 15)], at=NOON)
    drain(spool, store)
    balance = spool.audit()
    assert (balance.published, balance.stored, balance.duplicates, balance.waiting) == (20, 15, 5, 0)
    assert balance.difference == 0
    assert sorted(store.rows)[3][1] == NOON + timedelta(seconds=3)
    assert store.rows["device_a", NOON + timedelta(seconds=3)].values == {"active_power_w": 3.0}


def test_a_store_that_is_down_loses_nothing_and_is_named(tmp_path: Path) -> None:
    spool, store = Spool(tmp_path / "spool.sqlite3"), Ledger()
    store.refusing = True
    spool.append([sample(1)], at=NOON)
    assert spool.deliver(store, now=NOON).unavailable == "down"  # type: ignore[arg-type]
    assert spool.balance().waiting == 1
    store.refusing = False
    drain(spool, store)
    assert len(store.rows) == 1


def test_the_newest_can_overtake_a_backlog(tmp_path: Path) -> None:
    spool, store = Spool(tmp_path / "spool.sqlite3"), Ledger()
    for number in range(10):
        spool.append([sample(number)], at=NOON)
    spool.deliver(store, now=NOON, limit_rows=1, newest=True)  # type: ignore[arg-type]
    assert [key[1] for key in store.rows] == [NOON + timedelta(seconds=9)]


def test_the_cap_drops_the_oldest_and_counts_them(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite3", cap_bytes=2000)
    dropped = 0
    for number in range(100):
        dropped += spool.append([sample(number)], at=NOON)
        assert spool.size_bytes <= 2000
    balance = spool.audit()
    assert balance.dropped == dropped > 0
    assert balance.difference == 0
    store = Ledger()
    drain(spool, store)
    assert max(store.rows)[1] == NOON + timedelta(seconds=99)
    assert len(store.rows) == 100 - dropped


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"active_power_w": float("nan")}, "有限"),
        ({"active_power_w": 1e308 * 10}, "有限"),
        ({"generated_energy_wh": 2**70}, "整数范围"),
        ({"no_such_quantity": 1.0}, "没有名为"),
    ],
)
def test_a_value_that_no_engine_can_keep_goes_to_quarantine(
    tmp_path: Path, values: dict[str, float], reason: str
) -> None:
    spool, store = Spool(tmp_path / "spool.sqlite3"), Ledger()
    spool.append([sample(1, **values), sample(2)], at=NOON)
    drain(spool, store)
    assert len(store.rows) == 1
    assert reason in spool.quarantined()[0].reason
    assert spool.audit().difference == 0


def test_one_sample_that_the_store_refuses_stops_no_other(tmp_path: Path) -> None:
    spool, store = Spool(tmp_path / "spool.sqlite3"), Ledger()
    store.poison = "bad"
    spool.append([*(sample(number) for number in range(20)), sample(3, "bad")], at=NOON)
    drain(spool, store)
    assert len(store.rows) == 20
    assert spool.quarantined()[0].source == "bad"
    assert spool.audit().difference == 0


def test_delivered_batches_stay_for_the_settling_time_and_are_written_again(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    spool, store = Spool(path), Ledger(settling=timedelta(minutes=5))
    spool.append([sample(1), sample(2)], at=NOON)
    drain(spool, store)
    spool.close()
    amnesic = Ledger(settling=timedelta(minutes=5))
    spool = Spool(path)
    assert spool.redeliver(amnesic) == 2  # type: ignore[arg-type]
    assert len(amnesic.rows) == 2
    assert spool.audit().difference == 0
    spool.append([sample(3)], at=NOON)
    spool.deliver(amnesic, now=NOON + timedelta(minutes=6))  # type: ignore[arg-type]
    assert spool.size_bytes > 0
    spool.append([sample(4)], at=NOON)
    spool.deliver(amnesic, now=NOON + timedelta(minutes=12))  # type: ignore[arg-type]
    rows = sqlite3.connect(path).execute("SELECT count(*) FROM batch").fetchone()
    assert rows == (1,)


def test_a_flipped_bit_is_found_and_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    spool, store = Spool(path), Ledger()
    spool.append([sample(1), sample(2)], at=NOON)
    spool.append([sample(3)], at=NOON)
    with sqlite3.connect(path) as other:
        payload = bytearray(other.execute("SELECT payload FROM batch WHERE sequence = 1").fetchone()[0])
        payload[len(payload) // 2] ^= 4
        other.execute("UPDATE batch SET payload = ? WHERE sequence = 1", (bytes(payload),))
    other.close()
    drain(spool, store)
    assert len(store.rows) == 1
    assert spool.quarantined()[0].reason == "校验和不符"
    balance = spool.audit()
    assert (balance.quarantined, balance.difference) == (2, 0)


def test_a_damaged_file_is_kept_aside_and_collection_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    path.write_bytes(b"this is no database at all" * 1000)
    spool = Spool(path)
    assert spool.set_aside is not None
    assert spool.set_aside.exists()
    spool.append([sample(1)], at=NOON)
    assert spool.balance().waiting == 1


def test_quarantine_keeps_the_message_and_is_replayed_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite3")
    spool.append([], [Rejected("topic/a", "不是 JSON", b"\xff" * 100_000)], at=NOON)
    kept = spool.quarantined()[0]
    assert (kept.size, len(kept.raw), kept.at, kept.replayed_at) == (100_000, 65_536, NOON, None)
    spool.mark_replayed(kept.id, [sample(1)], at=NOON)
    spool.mark_replayed(kept.id, [sample(1)], at=NOON)
    balance = spool.audit()
    assert (balance.published, balance.waiting, balance.difference) == (2, 1, 0)


WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from collector.spool import Spool
from store.samples import Sample
spool = Spool(Path(sys.argv[1]))
start = datetime(2026, 6, 1, tzinfo=UTC)
number = int(sys.argv[2])
while True:
    moment = start + timedelta(seconds=number)
    spool.append([Sample("device_a", moment, moment, {"active_power_w": float(number)})], at=moment)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


@pytest.mark.soak
def test_kill_9_of_the_writer_loses_nothing_that_was_taken(tmp_path: Path) -> None:
    path, seed, rounds = tmp_path / "spool.sqlite3", 20260601, KILLS
    chance, acknowledged = random.Random(seed), []
    for round_number in range(rounds):
        command = [sys.executable, "-c", WRITER, str(path), str(round_number * 100_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            acknowledged.append(int(process.stdout.readline()))
            time.sleep(chance.uniform(0.02, 0.15))
            os.kill(process.pid, signal.SIGKILL)
            acknowledged.extend(int(line) for line in process.stdout.read().split("\n")[:-1])
    spool = Spool(path)
    store = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}")
    drain(spool, store)
    start = datetime(2026, 6, 1, tzinfo=UTC)
    stored = _powers(store, start, start + timedelta(seconds=rounds * 100_000))
    print(f"seed {seed}, {rounds} kills, {len(acknowledged)} acknowledged, {len(stored)} stored")
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))
    assert spool.audit().difference == 0
    store.close()


def _powers(store: SeriesStore, start: datetime, end: datetime) -> Sequence[int]:
    table = store.read(["device_a"], start, end, ["active_power_w"])
    return [round(value) for value in table["active_power_w"].to_pylist()]
