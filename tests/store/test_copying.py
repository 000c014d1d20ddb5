"""Copies between stores: everything arrives, a stopped copy goes on, a difference is refused."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from store.copying import CopyOrder, checksum, copy_series
from store.problem import ProblemsError
from store.samples import QUANTITIES, Sample, samples_to_table
from store.series import SeriesStore, open_series

START = datetime(2026, 9, 30, 16, 0, tzinfo=UTC)
NAMES = [*QUANTITIES, "received_at"]


class StoppedError(Exception):
    """The program was killed."""


@pytest.fixture
def stores(tmp_path):
    source, target = (open_series(f"duckdb:///{tmp_path / name}.duckdb") for name in ("source", "target"))
    for day in range(4):
        rows = [
            Sample(
                name,
                START + timedelta(days=day, minutes=15 * n),
                START + timedelta(days=day, minutes=15 * n, seconds=3),
                {"active_power_w": n / 7, "generated_energy_wh": 96 * day + n, "state": 3},
                flags=n % 2,
            )
            for n in range(96)
            for name in ("a", "b", "空 格")
        ]
        source.write(samples_to_table(rows))
    yield source, target
    source.close()
    target.close()


def everything(store: SeriesStore):
    return store.read(["a", "b", "空 格"], START, START + timedelta(days=9), NAMES)


EVERYTHING = CopyOrder()


def copied(stores, tmp_path, order=EVERYTHING, on_day=lambda _: None):
    return copy_series(*stores, order, memory=tmp_path / "memory.json", on_day=on_day)


def test_every_sample_arrives_with_all_that_it_had(stores, tmp_path):
    state = copied(stores, tmp_path)
    assert (state.rows, state.stored) == (4 * 96 * 3, 4 * 96 * 3)
    assert everything(stores[1]).equals(everything(stores[0]))
    assert not (tmp_path / "memory.json").exists()
    assert copied(stores, tmp_path).stored == 0


def test_a_stopped_copy_goes_on_with_the_day_at_which_it_was(stores, tmp_path):
    def stop(progress) -> None:
        if progress.done == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        copied(stores, tmp_path, on_day=stop)
    days = []
    state = copied(stores, tmp_path, on_day=lambda progress: days.append(progress.day))
    assert days == [date(2026, 10, 3), date(2026, 10, 4)]
    assert state.rows == 4 * 96 * 3
    assert everything(stores[1]).equals(everything(stores[0]))


def test_only_what_was_ordered_is_copied(stores, tmp_path):
    state = copied(stores, tmp_path, CopyOrder(("b",), date(2026, 10, 2), date(2026, 10, 3)))
    assert (state.rows, stores[1].statistics().rows) == (96, 96)


def test_another_value_or_another_row_in_the_target_is_refused(stores, tmp_path):
    other = Sample("b", START + timedelta(days=1), START, {"generated_energy_wh": 5})
    stores[1].write(samples_to_table([other]))
    with pytest.raises(ProblemsError, match="在目标库里是 5，来源库里是 96"):
        copied(stores, tmp_path)
    extra = Sample("a", START + timedelta(minutes=1), START, {"state": 1})
    stores[1].write(samples_to_table([extra]))
    (tmp_path / "memory.json").unlink()
    with pytest.raises(ProblemsError, match=r"两边不一致：来源 288 行.*目标 289 行"):
        copied(stores, tmp_path)


def test_the_checksum_sees_each_kind_of_difference(stores):
    table = everything(stores[0]).slice(0, 5)
    first = checksum(table)
    for name in ("active_power_w", "generated_energy_wh", "state", "flags"):
        place = table.column_names.index(name)
        changed = table.column(name).to_pylist()
        changed[2] = 77
        kind = table.schema.field(name)
        assert checksum(table.set_column(place, kind, pa.array(changed, kind.type))) != first
