"""What only the VictoriaMetrics engine has to cope with: flags, absence, restarts, milliseconds."""

import shutil
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3

from collector.spool import Spool
from store.energy import device_energy
from store.engines.lines import lines, tag, untag
from store.engines.victoriametrics import VictoriaMetricsStore, parse_address
from store.periods import Period
from store.problem import ProblemsError
from store.samples import Sample, samples_to_table
from store.series import SeriesUnavailableError, open_series
from tests.store.conftest import RIGHT_FLAGS, wait_for

VISIBLE_SECONDS = 60
"""By then a cluster shows what was written; it cannot be told to hurry."""
START = datetime(2025, 10, 1, tzinfo=UTC)


def sample(number: int = 0, **values) -> Sample:
    moment = START + number * timedelta(minutes=15)
    return Sample("a", moment, moment, values or {"generated_energy_wh": 100 * number})


def test_a_server_with_the_wrong_flags_is_refused(tmp_path, start_victoria_metrics):
    with start_victoria_metrics(tmp_path, ()) as (port, _), pytest.raises(ProblemsError) as caught:
        open_series(f"victoriametrics://127.0.0.1:{port}")
    fixes = [problem.how_to_fix for problem in caught.value.problems]
    assert any("-dedup.minScrapeInterval" in fix for fix in fixes)
    assert any("-retentionPeriod" in fix for fix in fixes)
    assert {problem.where for problem in caught.value.problems} == {"SUNLEDGER_SERIES_URL"}


def test_an_absent_server_is_told_with_the_setting(free_port):
    with pytest.raises(ProblemsError, match="连不上 VictoriaMetrics"):
        open_series(f"victoriametrics://127.0.0.1:{free_port}")


@pytest.mark.parametrize(
    "url", ["victoriametrics://", "victoriametrics://h?colour=red", "victoriametrics://h?measurement=A-b"]
)
def test_a_wrong_address_is_refused(url):
    with pytest.raises(ProblemsError, match="写得不对"):
        parse_address(url)


def test_a_cluster_has_tenant_paths_and_a_token():
    address = parse_address(
        "victoriametrics+https://:s3cret@vm.example:8481?write_path=/insert/0/influx&read_path=/select/0/prometheus"
    )
    assert address.base == "https://vm.example:8481"
    assert (address.write_path, address.read_path) == ("/insert/0/influx", "/select/0/prometheus")
    assert address.token == "s3cret"


class Tenant(BaseHTTPRequestHandler):
    """What stands before a cluster: the paths of one tenant lead to the server, all others nowhere."""

    target = 0

    def forward(self) -> None:
        for prefix in ("/insert/7/influx", "/select/7/prometheus"):
            if self.path.startswith(prefix) and self.headers.get("Authorization", "").endswith("s3cret"):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                kept = {
                    name: self.headers[name]
                    for name in ("Content-Type", "Content-Encoding")
                    if self.headers[name]
                }
                url = f"http://127.0.0.1:{self.target}{self.path.removeprefix(prefix)}"
                answer = urllib3.request(self.command, url, body=body, headers=kept)
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(answer.data)))
                self.end_headers()
                self.wfile.write(answer.data)
                return
        self.send_error(404)

    do_GET = do_POST = forward  # noqa: N815, the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def cluster(tmp_path, start_victoria_metrics):
    with start_victoria_metrics(tmp_path) as (port, _):
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Tenant,), {"target": port}))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_tenant_of_a_cluster_is_written_and_read_by_its_paths(cluster):
    paths = "write_path=/insert/7/influx&read_path=/select/7/prometheus"
    store = open_series(f"victoriametrics://:s3cret@127.0.0.1:{cluster}?{paths}")
    assert store.write(samples_to_table([sample(n) for n in range(40)])).stored == 40
    deadline = time.monotonic() + VISIBLE_SECONDS
    while store.statistics().rows < 40 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert (store.statistics().rows, store.statistics().size_bytes) == (40, 0)
    assert store.read(["a"], START, START + timedelta(days=1), ["generated_energy_wh"]).num_rows == 40
    store.close()
    for wrong in (
        f":s3cret@127.0.0.1:{cluster}?{paths.replace('7', '8')}",
        f":no@127.0.0.1:{cluster}?{paths}",
    ):
        with pytest.raises(ProblemsError, match="SUNLEDGER_SERIES_URL") as caught:
            open_series(f"victoriametrics://{wrong}")
        assert "s3cret" not in str(caught.value)


def test_the_storages_of_a_cluster_are_checked_where_they_are_named(
    cluster, tmp_path, start_victoria_metrics
):
    paths = "write_path=/insert/7/influx&read_path=/select/7/prometheus"
    url = f"victoriametrics://:s3cret@127.0.0.1:{cluster}?{paths}"
    (tmp_path / "wrong").mkdir()
    with start_victoria_metrics(tmp_path / "wrong", ("-retentionPeriod", "2y")) as (port, _):
        with pytest.raises(ProblemsError, match="未开启去重") as caught:
            open_series(f"{url}&check=127.0.0.1:{port}")
        assert len(caught.value.problems) == 1


def test_a_token_that_vmauth_does_not_know_is_told_with_its_setting(
    tmp_path, start_victoria_metrics, free_port
):
    """The shipped settings of vmauth: its server is looked for by a name that only a cluster has."""
    shipped = Path(__file__).parents[2] / "deploy/compose/vmauth.yml"
    with start_victoria_metrics(tmp_path) as (port, _):
        text = shipped.read_text()
        for name in ("vminsert:8480", "vmselect:8481"):
            text = text.replace(name, f"127.0.0.1:{port}")
        rules = tmp_path / "vmauth.yml"
        rules.write_text(text)
        program = shutil.which("vmauth")
        assert program, "vmauth is missing: apt-get install victoria-metrics"
        command = [program, "-auth.config", str(rules), "-httpListenAddr", f"127.0.0.1:{free_port}"]
        environment = {"SERIES_TOKEN": "s3cret"}
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
            wait_for(free_port)
            url = f"127.0.0.1:{free_port}?write_path=/insert/0/influx&read_path=/select/0/prometheus"
            for token, where in (("wr0ng", "SUNLEDGER_SERIES_TOKEN"), ("s3cret", "SUNLEDGER_SERIES_URL")):
                # The right token is let through, to a single node that knows no tenant's path.
                with pytest.raises(ProblemsError) as caught:
                    open_series(f"victoriametrics://:{token}@{url}")
                assert caught.value.problems[0].where == where
                assert token not in str(caught.value)
            process.terminate()


def test_a_full_server_refuses_in_plain_words_and_can_still_be_read(tmp_path, start_victoria_metrics):
    flags = (*RIGHT_FLAGS, "-storage.minFreeDiskSpaceBytes", "900000GB")
    with start_victoria_metrics(tmp_path, flags) as (port, _):
        store = open_series(f"victoriametrics://127.0.0.1:{port}")
        spool = Spool(tmp_path / "spool.sqlite3")
        spool.append([sample(n) for n in range(20)], at=START)
        deadline = time.monotonic() + VISIBLE_SECONDS
        while not (told := spool.deliver(store, now=START).unavailable) and time.monotonic() < deadline:
            spool.append([sample(n) for n in range(20)], at=START)
            time.sleep(0.5)
        assert "磁盘已满" in told
        assert spool.balance().waiting == 20
        assert store.statistics().rows in {0, 20}
        spool.close()
        store.close()


def test_after_a_crash_the_batch_can_be_sent_again(tmp_path, start_victoria_metrics):
    batch = samples_to_table([sample(n) for n in range(40)])
    with start_victoria_metrics(tmp_path) as (port, process):
        store = open_series(f"victoriametrics://127.0.0.1:{port}")
        assert store.write(batch).stored == 40
        process.kill()
        process.wait()
        with pytest.raises(SeriesUnavailableError):
            store.write(samples_to_table([sample(41)]))
        store.close()
    with start_victoria_metrics(tmp_path) as (port, _):
        # Killed before it settled: whatever was lost comes back when the spool sends the batch again.
        store = open_series(f"victoriametrics://127.0.0.1:{port}")
        store.write(batch)
        assert store.statistics().rows == 40
        assert store.write(batch).duplicates == 40
        store.close()


def test_what_another_process_writes_becomes_the_latest(tmp_path, start_victoria_metrics, monkeypatch):
    monkeypatch.setattr("store.engines.serverside.LOOK_SECONDS", 0.0)
    with start_victoria_metrics(tmp_path) as (port, _):
        collector, web = (open_series(f"victoriametrics://127.0.0.1:{port}") for _ in range(2))
        assert web.latest() == {}
        for number in (1, 2, 3):
            collector.write(samples_to_table([sample(number)]))
            collector.statistics()
            assert web.latest(["a"])["a"].values == {"generated_energy_wh": 100 * number}
        collector.close()
        web.close()


def test_whether_a_sample_is_new_does_not_depend_on_what_the_server_shows_yet(
    tmp_path, start_victoria_metrics, monkeypatch
):
    """The server is not told to hurry here: for a second it shows nothing of what it has taken."""
    monkeypatch.setattr(VictoriaMetricsStore, "_settle", lambda _: None)
    with start_victoria_metrics(tmp_path) as (port, _):
        store = open_series(f"victoriametrics://127.0.0.1:{port}")
        batch = [sample(n) for n in range(40)]
        assert store.write(samples_to_table(batch)).stored == 40
        again = store.write(samples_to_table([*batch, sample(40)]))
        assert (again.stored, again.duplicates, again.conflicts) == (1, 40, ())
        told = store.write(samples_to_table([sample(3, generated_energy_wh=7), sample(5, state=1)]))
        assert [(one.stored, one.offered) for one in told.conflicts] == [(300, 7)]
        rows = store.read(["a"], START, START + timedelta(days=1), ["generated_energy_wh", "state"])
        assert rows.num_rows == 41
        assert rows.to_pylist()[5]["state"] == 1
        assert rows.to_pylist()[5]["generated_energy_wh"] == 500
        store.close()


def test_what_has_settled_survives_kill_9(tmp_path, start_victoria_metrics):
    with start_victoria_metrics(tmp_path) as (port, process):
        store = open_series(f"victoriametrics://127.0.0.1:{port}")
        store.write(samples_to_table([sample(n) for n in range(500)]))
        time.sleep(15)
        process.kill()
        process.wait()
        store.close()
    with start_victoria_metrics(tmp_path) as (port, _):
        store = open_series(f"victoriametrics://127.0.0.1:{port}")
        assert store.statistics().rows == 500
        store.close()


def test_energy_is_the_same_as_from_the_embedded_engine(tmp_path, start_victoria_metrics):
    samples = []
    for day in range(3):
        for quarter in range(96):
            hour = quarter / 4
            gained = day * 480_000 + max(0, min(48, quarter - 24)) * 10_000
            moment = START + timedelta(days=day, hours=hour - 8)
            samples.append(Sample("a", moment, moment, {"generated_energy_wh": 5_000_000 + gained}))
    periods = [Period.parse("2025-10"), *Period.parse("2025-10").days()]
    with start_victoria_metrics(tmp_path) as (port, _):
        found = []
        for url in (f"victoriametrics://127.0.0.1:{port}", f"duckdb:///{tmp_path / 'x.duckdb'}"):
            store = open_series(url)
            store.write(samples_to_table(samples))
            found.append(device_energy(store, ["a"], periods, rated_power_w={"a": 60_000}))
            store.close()
    assert found[0] == found[1]
    assert found[0][0].energy_wh == 3 * 480_000


@pytest.mark.parametrize("name", ["a", "一号 逆变器", "a,b=c d\\", "100%", "x/y:z.1~2"])
def test_any_identifier_becomes_a_plain_tag_and_back(name):
    assert untag(tag(name)) == name
    assert not set(tag(name)) & set(" ,=\\\"'\n")


def test_lines_hold_only_what_was_measured():
    given = Sample("a b", START, START, {"active_power_w": 1.5, "state": 3, "frequency_hz": float("nan")}, 4)
    table = samples_to_table([given])
    typed, plain = (next(iter(lines(table, "m", unit_us=1, typed=t))) for t in (True, False))
    us = int(START.timestamp()) * 1_000_000
    assert typed == f"m,device=a%20b flags=4i,received_us={us}i,active_power_w=1.5,state=3i {us}"
    assert plain == f"m,device=a%20b flags=4,received_us={us},active_power_w=1.5,state=3 {us}"
