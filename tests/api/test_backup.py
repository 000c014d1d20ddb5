"""A backup of a living service, put back elsewhere by the shipped scripts, is the service again."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import text

from api.backup import DATABASE, MANIFEST, SERIES, SPOOL, Manifest, restore_backup
from collector.spool import Spool
from documents.attachments import attachment_path, read_attachment, store_attachment
from registry.secrets import KEY_FILE_NAME, open_key_ring
from store.db import open_database
from store.problem import ProblemsError
from store.samples import Sample, samples_to_table
from store.series import open_series
from tests.api.processes import INVERTER, Process, command, environment, register, simulated
from tests.collector.plants import until, utc_now
from tests.store.conftest import unused_port

SCRIPTS = Path(__file__).parents[2] / "deploy" / "backup"
LONG = timedelta(days=2)


@dataclass
class Original:
    """A running service with something of everything, and its backup."""

    folder: Path
    settings: dict[str, str]
    backup: Path
    attachment: str
    sealed: str
    waited_for: int


def script(name: str, *words: str, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    chosen = environment(settings) | {"PROGRAM": str(Path(sys.executable).with_name("sunledger"))}
    return subprocess.run(
        ["sh", str(SCRIPTS / name), *words], env=chosen, capture_output=True, text=True, check=False
    )


def samples_of(path: Path) -> pa.Table:
    series = open_series(f"duckdb:///{path}")
    now = utc_now()
    found = series.read([INVERTER], now - LONG, now + LONG, ["active_power_w", "generated_energy_wh"])
    series.close()
    return found


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    folder = tmp_path_factory.mktemp("original")
    data = folder / "data"
    settings = {
        "SUNLEDGER_DATA_DIR": str(data),
        "SUNLEDGER_MODBUS_NETWORKS": "127.0.0.0/8",
        "SUNLEDGER_PORT": str(unused_port()),
    }
    subprocess.run(command("migrate"), env=environment(settings), check=True, capture_output=True)
    sealed = open_key_ring(data).encrypt("id_number", "11010519491231002X")
    attachment = store_attachment(data / "attachments", b"%PDF-1.7 the notice board")
    database = open_database(f"sqlite:///{data / DATABASE}")
    register(database, unused_port())
    with simulated(database):
        service = Process(folder / "service.log", settings)
        service.wait_for("started")
        until(lambda: stored_by(data) >= 4, 60)
        waited_for = stored_by(data)
        made = script("backup.sh", str(folder / "backups"), settings=settings)
        assert made.returncode == 0, made.stdout + made.stderr
        until(lambda: stored_by(data) >= waited_for + 2, 60)
        service.stop()
    database.close()
    (backup,) = (folder / "backups").iterdir()
    return Original(folder, settings, backup, attachment, sealed, waited_for)


def stored_by(data: Path) -> int:
    """Return how many samples the running collector has handed over."""
    if not (data / SPOOL).exists():
        return 0
    spool = Spool(data / SPOOL)
    try:
        return spool.audit().stored
    finally:
        spool.close()


def test_the_restored_service_is_the_same(original: Original, tmp_path: Path) -> None:
    restored = tmp_path / "restored"
    done = script("restore.sh", str(original.backup), str(restored), settings={})
    assert done.returncode == 0, done.stdout + done.stderr

    before, after = (samples_of(path / SERIES) for path in (original.folder / "data", restored))
    assert original.waited_for <= after.num_rows < before.num_rows
    assert after.equals(before.slice(0, after.num_rows))
    spool = Spool(restored / SPOOL)
    balance = spool.audit()
    spool.close()
    assert balance.difference == 0
    assert balance.stored <= after.num_rows <= balance.stored + balance.waiting + 2

    assert read_attachment(restored / "attachments", original.attachment).startswith(b"%PDF")
    assert open_key_ring(restored, create=False).decrypt("id_number", original.sealed) == "11010519491231002X"
    with open_database(f"sqlite:///{restored / DATABASE}").reading() as session:
        assert session.execute(text("SELECT count(*) FROM device")).scalar_one() == 2
        assert session.execute(text('SELECT login FROM "user"')).scalars().all() == ["admin"]
    modes = {
        path.name: path.stat().st_mode & 0o077 for path in restored.iterdir() if path.name != "attachments"
    }
    assert not any(modes[name] for name in (DATABASE, SERIES, SPOOL, KEY_FILE_NAME))


def test_the_restored_service_runs_and_collects_on(original: Original, tmp_path: Path) -> None:
    restore_backup(original.backup, tmp_path / "data")
    settings = original.settings | {"SUNLEDGER_DATA_DIR": str(tmp_path / "data")}
    database = open_database(f"sqlite:///{tmp_path / 'data' / DATABASE}")
    with simulated(database):
        service = Process(tmp_path / "service.log", settings)
        service.wait_for("started")
        known = stored_by(tmp_path / "data")
        until(lambda: stored_by(tmp_path / "data") >= known + 2, 60)
        service.stop()
    database.close()


@pytest.mark.parametrize("name", [DATABASE, SERIES, KEY_FILE_NAME, "attachments"])
def test_an_altered_file_is_named_and_nothing_is_restored(
    original: Original, tmp_path: Path, name: str
) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(original.backup), str(copy)], check=True)
    path = attachment_path(copy / name, original.attachment) if name == "attachments" else copy / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ProblemsError, match="与备份时不一样了") as caught:
        restore_backup(copy, tmp_path / "restored")
    assert [problem.where for problem in caught.value.problems] == [str(path)]
    assert not (tmp_path / "restored").exists()


def test_a_backup_that_was_not_finished_or_leads_outside_is_refused(
    original: Original, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(original.backup), str(copy)], check=True)
    (copy / DATABASE).unlink()
    with pytest.raises(ProblemsError, match="缺这个文件"):
        restore_backup(copy, tmp_path / "restored")
    content = json.loads((copy / MANIFEST).read_text())
    content["files"][0]["path"] = "../elsewhere"
    (copy / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(ProblemsError, match="不是备份里该有的文件"):
        restore_backup(copy, tmp_path / "restored")
    (copy / MANIFEST).unlink()
    with pytest.raises(ProblemsError, match="不是完整的备份"):
        restore_backup(copy, tmp_path / "restored")


def test_a_directory_with_data_is_left_alone(original: Original, tmp_path: Path) -> None:
    data = original.folder / "data"
    size = (data / DATABASE).stat().st_size
    refused = script("restore.sh", str(original.backup), str(data), settings={})
    assert refused.returncode == 2
    assert "目录里已有数据" in refused.stderr
    assert (data / DATABASE).stat().st_size == size


def test_old_backups_go_and_what_others_put_there_stays(original: Original, tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    for name in ("sunledger-20250101T000000Z", "sunledger-20250201T000000Z"):
        subprocess.run(["mkdir", "-p", str(backups)], check=True)
        subprocess.run(["cp", "-r", str(original.backup), str(backups / name)], check=True)
    (backups / "letters").mkdir()
    (backups / "sunledger-20240101T000000Z").mkdir()
    made = script("backup.sh", str(backups), "2", settings=original.settings)
    assert made.returncode == 0, made.stdout + made.stderr
    names = {path.name for path in backups.iterdir()}
    assert len(names) == 4
    assert {"letters", "sunledger-20240101T000000Z", "sunledger-20250201T000000Z"} < names
    newest = max(name for name in names if name != "letters")
    assert Manifest.read(backups / newest).size_bytes > 0


def test_a_copy_of_the_series_is_whole_while_others_write(tmp_path: Path) -> None:
    series = open_series(f"duckdb:///{tmp_path / 'live.duckdb'}")
    start, stopping = datetime(2026, 6, 1, tzinfo=UTC), threading.Event()

    def write() -> None:
        number = 0
        while not stopping.is_set():
            moments = [start + timedelta(seconds=number + step) for step in range(200)]
            batch = [Sample("a", moment, moment, {"active_power_w": 1.0}) for moment in moments]
            series.write(samples_to_table(batch))
            number += 200

    writer = threading.Thread(target=write)
    writer.start()
    for number in range(5):
        series.copy_to(tmp_path / f"copy_{number}.duckdb")
        copy = open_series(f"duckdb:///{tmp_path / f'copy_{number}.duckdb'}")
        assert copy.statistics().rows % 200 == 0
        copy.close()
    stopping.set()
    writer.join()
    locked = f"import duckdb; duckdb.connect({os.fspath(tmp_path / 'live.duckdb')!r})"
    foreign = subprocess.run([sys.executable, "-c", locked], capture_output=True, text=True, check=False)
    assert "lock" in foreign.stderr
    series.close()
