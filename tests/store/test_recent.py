"""Rows that were just sent complete what a server shows, for a while and up to a number."""

from datetime import UTC, datetime, timedelta

from store.engines import recent
from store.engines.batches import microseconds
from store.engines.recent import RecentRows
from store.samples import Sample, samples_to_table

START = datetime(2025, 10, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def rows(*found: tuple[str, int, int]):
    return samples_to_table(
        [Sample(device, START + n * HOUR, START, {"state": state}) for device, n, state in found]
    )


def seen(table) -> list[tuple[str, int, int]]:
    return [
        (row["device_id"], (row["time"] - START) // HOUR, row["state"])
        for row in table.select(["device_id", "time", "state"]).to_pylist()
    ]


def over(kept: RecentRows, shown, devices: list[str], hours: tuple[int, int]):
    span = tuple(microseconds(START + n * HOUR) for n in hours)
    return seen(kept.over(shown, devices, span))


def test_sent_rows_complete_and_replace_the_shown_ones_in_order():
    kept = RecentRows()
    kept.add(rows(("b", 1, 1), ("a", 2, 2), ("c", 2, 3)))
    kept.add(rows(("a", 2, 4), ("a", 9, 5)))
    shown = rows(("a", 0, 0), ("a", 2, 0), ("b", 3, 0))
    assert over(kept, shown, ["b", "a"], (0, 9)) == [("a", 0, 0), ("a", 2, 4), ("b", 1, 1), ("b", 3, 0)]
    assert over(kept, rows(), ["c"], (0, 2)) == []


def test_rows_are_forgotten_after_a_while_and_beyond_a_number(monkeypatch):
    kept = RecentRows()
    kept.add(rows(("a", 1, 1)))
    assert kept
    monkeypatch.setattr(recent, "KEPT_SECONDS", -1.0)
    assert not kept
    monkeypatch.setattr(recent, "KEPT_SECONDS", 60.0)
    monkeypatch.setattr(recent, "KEPT_ROWS", 2)
    for hour in range(4):
        kept.add(rows(("a", hour, 1)))
    assert [hour for _, hour, _ in over(kept, rows(), ["a"], (0, 9))] == [2, 3]
