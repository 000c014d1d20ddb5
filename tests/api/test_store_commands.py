"""The commands about stored history, by hand: what they say of wrong words, and copies that go on."""

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.operations import perform
from api.outcome import Exit, Outcome
from api.schema import migrate
from api.service import open_services, system_clock
from api.settings import load_settings
from dashboards.web import Services
from store.db import open_database
from store.problem import ProblemsError
from store.samples import Sample, samples_to_table
from store.series import open_series
from tests.api.executable import refused, sunledger
from tests.api.processes import command, environment

MAPPING = Path(__file__).parents[2] / "docs" / "examples" / "telemetry-mapping.toml"
HEADING = "DATE_TIME,PLANT_ID,SOURCE_KEY,DC_POWER,AC_POWER,DAILY_YIELD,TOTAL_YIELD\n"
START = datetime(2026, 1, 1, 16, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A service with one device of foreign history and no registry."""
    folder = tmp_path_factory.mktemp("history")
    settings = load_settings(None, data_dir=folder / "d")
    settings.data_dir.mkdir()
    database = open_database(settings.effective_database_url)
    migrate(database)
    database.close()
    rows = [f"15-05-2020 {n // 4:02}:{n % 4 * 15:02},1,A,10,{n % 7},{n},{1000 + n}\n" for n in range(96)]
    (folder / "good.csv").write_text(HEADING + "".join(rows))
    with open_services(settings, system_clock) as opened:
        loaded = telemetry(opened, folder / "good.csv")
        assert (loaded.exit_code, loaded.problems) == (Exit.DONE, ())
        yield opened


def telemetry(services: Services, file: Path) -> Outcome:
    return perform(services, "import-telemetry", {"file": str(file), "mapping": str(MAPPING)})


@pytest.mark.parametrize(
    ("operation", "arguments", "told"),
    [
        ("series", {"device": "nobody"}, "没有这台设备"),
        ("series", {"device": "portal-A", "during": ["2020-05-16", "2020-05-14"]}, "起始不早于终止"),
        ("series", {"device": "portal-A", "during": ["gestern", ""]}, "--from：“gestern” 不是时刻"),
        ("series", {"device": "portal-A", "quantities": ["joy"]}, "没有名为 joy 的量"),
        ("series", {"device": "portal-A", "interval": "7m"}, "“7m” 不是间隔"),
        ("coverage", {"station_id": "x"}, "没有电站 x"),
        ("coverage", {"interval": "raw"}, "“raw” 不是应有的间隔"),
        ("coverage", {"during": ["", "morgen"]}, "--to：“morgen” 不是时刻"),
        ("energy", {"period": "2020-05", "device": "portal-Z"}, "没有设备 portal-Z"),
        ("energy-of-stations", {"period": "2020-05", "station_id": "x"}, "没有电站 x"),
        ("adjustments", {"month": "2020"}, "不是月份"),
        ("store-retire", {"before": "gestern"}, "--before：“gestern” 不是时刻"),
    ],
)
def test_wrong_words_do_nothing_and_are_told(services, operation, arguments, told):
    with pytest.raises(ProblemsError, match=re.escape(told)):
        perform(services, operation, arguments)


def test_series_coverage_energy_and_size_of_foreign_history(services):
    during = ["2020-05-15", "2020-05-16"]
    hours = perform(services, "series", {"device": "portal-A", "interval": "1h", "during": during}).rows
    assert len(hours) == 24
    assert hours[1]["active_power_w"] == pytest.approx(1000 * (4 + 5 + 6 + 0) / 4)
    covered = perform(services, "coverage", {"device": "portal-A", "interval": "15m", "during": during}).rows
    assert [(one["received"], one["expected"]) for one in covered] == [(96, 96)]
    (row,) = perform(services, "energy", {"period": "2020-05-15", "device": "portal-A"}).rows
    assert row["energy_wh"] == 95_000
    assert perform(services, "store-info", {}).rows[0]["rows"] >= 96


def test_rows_that_cannot_be_meant_are_told_by_line_and_the_rest_is_stored(services, tmp_path):
    bad = [
        "15-05-2020 00:00,1,B,0,NaN,0,10\n",
        "15-05-2020 00:15,1,B,1e400,0,0,10\n",
        "15-05-2020 00:30,1,B,0,0,0,99999999999999999999999\n",
        "15-05-2020 00:45,1,B,0,0,0,-3\n",
        "31-02-2020 00:45,1,B,0,0,0,3\n",
        "15-05-2020 01:00,1\n",
    ]
    (tmp_path / "bad.csv").write_text(HEADING + "".join(bad))
    outcome = telemetry(services, tmp_path / "bad.csv")
    assert outcome.exit_code == Exit.FOUND
    assert [re.search(r"第 (\d) 行", one.where)[1] for one in outcome.problems] == list("34567")
    shown = perform(services, "series", {"device": "portal-B", "during": ["2020-05-15", "2020-05-16"]}).rows
    assert {row["generated_energy_wh"] for row in shown} == {10_000, None}
    assert {row["active_power_w"] for row in shown} <= {0, None}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["store", "copy", "duckdb:///a", "duckdb:///a"], "同一个库"),
        (["store", "copy", "duckdb:////absent/a", "duckdb:////absent/b"], "没有这个文件：/absent/a"),
        (["energy", "2020-05", "--level", "station", "--device", "a"], "--level"),
    ],
)
def test_commands_that_cannot_be_meant_end_with_one_line_and_2(words, told):
    refused(sunledger(*words), told)


def test_a_killed_copy_goes_on_where_it_was(tmp_path):
    """Killed in its middle and run again: everything is there once."""
    source, target = (f"duckdb:///{tmp_path / name}.duckdb" for name in ("source", "target"))
    store = open_series(source)
    for day in range(60):
        moments = [START + timedelta(days=day, minutes=15 * n) for n in range(96)]
        store.write(
            samples_to_table(
                [Sample(f"d{k}", m, m, {"generated_energy_wh": day}) for m in moments for k in range(5)]
            )
        )
    store.close()
    words = ("store", "copy", source, target, "--data", str(tmp_path / "d"), "--json")
    process = subprocess.Popen(
        command(*words), env=environment({}), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with process:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "d").glob("store-copy-*.json")) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    again = sunledger(*words)
    assert again.code == 0, again
    (row,) = again.json["rows"]
    assert row["rows"] == 60 * 96 * 5
    assert row["stored"] <= row["rows"]
    copied = open_series(target)
    assert copied.statistics().rows == 60 * 96 * 5
    copied.close()
    third = sunledger(*words)
    assert third.json["rows"][0]["checksum"] == row["checksum"]
