"""Reaching a server: away or wrong, trusted or not, allowed to write or only to read, full."""

import resource
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.spool import Spool
from store.engines import patience
from store.engines.patience import PatientSeries
from store.problem import ProblemsError
from store.samples import Sample, samples_to_table
from store.series import SeriesAwayError, SeriesUnavailableError, open_series, prepare_series
from tests.store.conftest import INFLUX_TOKEN, RIGHT_FLAGS
from tests.store.test_influxdb_engine import read_only_token

START = datetime(2025, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def sample(number: int = 0) -> Sample:
    moment = START + number * timedelta(seconds=1)
    return Sample("a", moment, moment, {"generated_energy_wh": 100 * number})


def influx_address(port: int, token: str = INFLUX_TOKEN, more: str = "") -> str:
    return f"influxdb{'+https' if 'ca=' in more else ''}://:{token}@127.0.0.1:{port}/county/first{more}"


def refusal_of(url: str, *, patient: bool = True) -> tuple[str, str]:
    """Return where and what of the refusal of an address that even the patient do not wait for."""
    with pytest.raises(ProblemsError) as caught:
        open_series(url, patient=patient)
    assert not isinstance(caught.value, SeriesAwayError)
    problem = caught.value.problems[0]
    return problem.where, problem.what


# Away


def spooled_until_it_comes(folder: Path, url: str, start, monkeypatch) -> None:
    """Open while the server is away, spool, start the server: every sample is there once."""
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.2)
    with pytest.raises(SeriesAwayError):
        open_series(url)
    store = open_series(url, patient=True)
    assert isinstance(store, PatientSeries)
    with pytest.raises(SeriesUnavailableError, match="SUNLEDGER_SERIES_URL：连不上"):
        store.statistics()
    spool = Spool(folder / "spool.sqlite3")
    spool.append([sample(n) for n in range(30)], at=START)
    assert "连不上" in spool.deliver(store, now=START).unavailable
    assert spool.balance().waiting == 30
    with start():
        deadline = time.monotonic() + 30
        while spool.balance().waiting and time.monotonic() < deadline:
            spool.deliver(store, now=START + DAY)
            time.sleep(0.05)
        assert spool.audit().difference == 0
        assert store.read(["a"], START, START + DAY, ["generated_energy_wh"]).num_rows == 30
        assert store.latest(["a"])["a"].values == {"generated_energy_wh": 2900}
        assert store.coverage(["a"], (START, START + timedelta(minutes=2)), DAY).num_rows == 1
        nearest = store.boundary_readings(["a"], "generated_energy_wh", [START + DAY], "before")
        assert nearest.to_pylist()[0]["before_value"] == 2900
        span = (START, START + timedelta(minutes=1))
        means = store.downsample(["a"], span, timedelta(minutes=1), {"generated_energy_wh": "last"})
        assert means.column("generated_energy_wh").to_pylist() == [2900]
        assert store.statistics().rows == 30
        store.close()
    spool.close()


def test_a_victoriametrics_that_is_away_is_waited_for(
    tmp_path, free_port, start_victoria_metrics, monkeypatch
):
    url = f"victoriametrics://127.0.0.1:{free_port}"
    spooled_until_it_comes(
        tmp_path, url, lambda: start_victoria_metrics(tmp_path, RIGHT_FLAGS, free_port), monkeypatch
    )


@pytest.mark.influx
def test_an_influxdb_that_is_away_is_waited_for(tmp_path, free_port, start_influx, monkeypatch):
    spooled_until_it_comes(
        tmp_path, influx_address(free_port), lambda: start_influx(tmp_path / "server", free_port), monkeypatch
    )


def test_a_host_that_swallows_every_packet_is_away():
    with pytest.raises(SeriesAwayError, match="连不上"):
        open_series("victoriametrics://192.0.2.1:8428")  # set aside for documents: nothing answers there


def test_what_turns_out_to_be_wrong_once_the_server_is_there_is_told_with_its_setting(
    tmp_path, free_port, start_victoria_metrics, monkeypatch
):
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.0)
    store = open_series(f"victoriametrics://127.0.0.1:{free_port}", patient=True)
    refused = pytest.raises(SeriesUnavailableError, match="未开启去重")
    with start_victoria_metrics(tmp_path, (), free_port), refused:
        store.write(samples_to_table([sample()]))
    store.close()


@pytest.mark.influx
def test_a_wrong_token_bucket_or_address_is_not_waited_for(tmp_path, start_influx, start_victoria_metrics):
    with start_influx(tmp_path / "server") as (port, _):
        assert refusal_of(influx_address(port, "wrong"))[0] == "SUNLEDGER_SERIES_TOKEN"
        assert "nothing" in refusal_of(influx_address(port).replace("first", "nothing"))[1]
        where, what = refusal_of(f"victoriametrics://127.0.0.1:{port}")
        assert where in {"SUNLEDGER_SERIES_URL", "SUNLEDGER_SERIES_TOKEN"}
        assert "VictoriaMetrics" in what
    (tmp_path / "other").mkdir()
    with start_victoria_metrics(tmp_path / "other") as (port, _):
        where, what = refusal_of(influx_address(port))
        assert (where, "不像 InfluxDB 2" in what) == ("SUNLEDGER_SERIES_URL", True)


# Trusted


@pytest.mark.influx
def test_influxdb_over_tls_with_a_certificate_of_ones_own(tmp_path, start_influx, certificates):
    options = (f"--tls-cert={certificates.server}", f"--tls-key={certificates.key}")
    with start_influx(tmp_path / "server", more=options) as (port, _):
        url = influx_address(port, more=f"?ca={certificates.authority}")
        prepare_series(url)
        store = open_series(url)
        assert store.write(samples_to_table([sample(n) for n in range(40)])).stored == 40
        assert store.read(["a"], START, START + DAY, []).num_rows == 40
        assert store.statistics().size_bytes >= 0
        store.close()
        unknown = url.partition("?")[0]
        assert "证书通不过" in refusal_of(unknown)[1]
        plain = unknown.replace("+https", "")
        assert refusal_of(plain)[0] == "SUNLEDGER_SERIES_URL"
        elsewhere = url.replace("127.0.0.1", "localhost")
        assert "证书通不过" in refusal_of(elsewhere)[1]


@pytest.mark.parametrize(
    "engine", ["influxdb+https://:t@127.0.0.1:1/o/b", "victoriametrics+https://127.0.0.1:1"]
)
def test_a_file_of_certificates_that_cannot_be_read_is_told(tmp_path, engine):
    no_certificates = tmp_path / "empty.pem"
    no_certificates.write_text("nothing")
    for path in (tmp_path / "absent.pem", no_certificates):
        where, what = refusal_of(f"{engine}?ca={path}")
        assert where == "SUNLEDGER_SERIES_URL"
        assert f"ca={path} 读不了" in what


def test_victoriametrics_over_tls_with_a_certificate_of_ones_own(
    tmp_path, start_victoria_metrics, certificates
):
    flags = (*RIGHT_FLAGS, "-tls", f"-tlsCertFile={certificates.server}", f"-tlsKeyFile={certificates.key}")
    with start_victoria_metrics(tmp_path, flags) as (port, _):
        url = f"victoriametrics+https://127.0.0.1:{port}?ca={certificates.authority}"
        store = open_series(url)
        assert store.write(samples_to_table([sample(n) for n in range(40)])).stored == 40
        assert store.read(["a"], START, START + DAY, []).num_rows == 40
        store.close()
        assert "证书通不过" in refusal_of(url.partition("?")[0])[1]


# Allowed to read


def test_a_store_that_is_opened_for_reading_takes_nothing(tmp_path, start_victoria_metrics):
    with start_victoria_metrics(tmp_path) as (port, _):
        writing = open_series(f"victoriametrics://127.0.0.1:{port}")
        writing.write(samples_to_table([sample()]))
        reading = open_series(f"victoriametrics://127.0.0.1:{port}?access=read")
        with pytest.raises(SeriesUnavailableError, match="只读"):
            reading.write(samples_to_table([sample(1)]))
        assert reading.latest() == writing.latest()
        for store in (reading, writing):
            store.close()


@pytest.mark.influx
def test_a_token_that_only_reads_serves_a_process_that_only_reads(tmp_path, start_influx):
    with start_influx(tmp_path / "server") as (port, _):
        writing = open_series(influx_address(port))
        writing.write(samples_to_table([sample(n) for n in range(10)]))
        token = read_only_token(writing)
        assert refusal_of(influx_address(port, token)) == (
            "SUNLEDGER_SERIES_TOKEN",
            "这个令牌不能写（或不能建）存储桶",
        )
        reading = open_series(influx_address(port, token, "?access=read"))
        assert reading.read(["a"], START, START + DAY, []).num_rows == 10
        assert reading.statistics().rows == 10
        with pytest.raises(SeriesUnavailableError, match="只读"):
            reading.write(samples_to_table([sample(11)]))
        for store in (reading, writing):
            store.close()


# Full


@pytest.mark.influx
def test_a_full_influxdb_refuses_in_plain_words_and_nothing_is_lost(tmp_path, start_influx, free_port):
    """The server's files may not grow any more, which is what a full disk is to it.

    It goes on refusing once there is room, so it has to be started again, as the message says.
    """
    spool = Spool(tmp_path / "spool.sqlite3")
    with start_influx(tmp_path / "server", free_port) as (_, process):
        store = open_series(influx_address(free_port))
        spool.append([sample(n) for n in range(100)], at=START)
        assert not spool.deliver(store, now=START).unavailable
        _, most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, most))
        spool.append([sample(n) for n in range(100, 3000)], at=START)
        told = spool.deliver(store, now=START).unavailable
        assert "磁盘已满" in told
        assert "重新启动" in told
        assert spool.balance().waiting == 2900
        # It shows rows that are not in its log; a collector that starts now must not take them for stored.
        assert store.read(["a"], START, START + DAY, []).num_rows >= 100
        store.close()
        store = open_series(influx_address(free_port))
        assert "磁盘已满" in spool.deliver(store, now=START).unavailable
        assert spool.balance().waiting == 2900
    process.wait()
    with start_influx(tmp_path / "server", free_port):
        while spool.balance().waiting:
            assert not spool.deliver(store, now=START).unavailable
        assert (store.statistics().rows, spool.audit().difference) == (3000, 0)
        store.close()
    spool.close()
