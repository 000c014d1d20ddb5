"""The same code as separate processes on server stores: nothing is lost, nothing is done twice.

Real PostgreSQL, VictoriaMetrics and Mosquitto (from the shipped settings), a Modbus inverter and an MQTT
device; collector, scheduler and web are processes of their own, stopped and killed by their ids.
"""

import http.client
import json
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import text
from sqlalchemy.engine import make_url

from collector.spool import Spool
from registry.actors import Actor, Role
from registry.passwords import change_password
from store.db import Database, open_database
from store.jobs import Job, JobState, NewJob, find, listing, submit
from store.samples import Sample, table_to_samples
from store.series import SeriesStore, open_series
from tests.api.processes import GATEWAY, INVERTER, TOPIC, Process, command, environment, register, simulated
from tests.collector.conftest import COLLECTOR, Mosquitto
from tests.collector.plants import until, utc_now
from tests.store.conftest import unused_port, victoria_metrics

PASSWORD = "Shan-quan-1949-ying"
DAY = timedelta(days=1)


@dataclass
class County:
    """The servers, the settings of every process, and what the tests look with."""

    folder: Path
    settings: dict[str, str]
    database: Database
    series: SeriesStore
    broker: Mosquitto
    password: str
    store: "Store"
    processes: list[Process] = field(default_factory=list)

    @property
    def data_dir(self) -> Path:
        return Path(self.settings["SUNLEDGER_DATA_DIR"])

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*words), env=environment(self.settings), capture_output=True, text=True, check=False
        )

    def serve(self, role: str, **settings: str) -> Process:
        chosen = {f"SUNLEDGER_{name.upper()}": value for name, value in settings.items()}
        log = self.folder / f"{role}-{len(self.processes)}.log"
        started = Process(log, self.settings | chosen, "--roles", role)
        self.processes.append(started)
        started.wait_for("started")
        return started

    def stored(self, device_id: str) -> list[Sample]:
        now = utc_now()
        names = ["active_power_w", "generated_energy_wh"]
        return table_to_samples(self.series.read([device_id], now - DAY, now + DAY, names))

    def numbers(self) -> list[int]:
        """Return the numbers of the messages that are stored."""
        return sorted(round(sample.values["active_power_w"]) for sample in self.stored(GATEWAY))

    def job(self, key: str) -> Job | None:
        with self.database.reading() as session:
            return find(session, key)

    def queue(self, *keys: str) -> None:
        with self.database.transaction() as session:
            for key in keys:
                submit(session, NewJob(key, "daily-energy", {"day": "2026-10-01"}), utc_now())

    def all_done(self, *keys: str) -> bool:
        return all((job := self.job(key)) is not None and job.state is JobState.DONE for key in keys)


def own_database(server: str) -> str:
    """Make an empty database on the server and return its address."""
    url = make_url(server).set(database="sunledger_split")
    opened = open_database(server)
    with opened.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("DROP DATABASE IF EXISTS sunledger_split WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE sunledger_split"))
    opened.close()
    return url.render_as_string(hide_password=False)


class Store:
    """A VictoriaMetrics that can be killed and started again on the same port and files."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        folder.mkdir()
        self.port, self._process = stack.enter_context(victoria_metrics(folder))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def start(self) -> None:
        again = victoria_metrics(self._folder, port=self.port)
        _, self._process = self._stack.enter_context(again)


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory, postgres_server: str) -> Iterator[County]:
    folder = tmp_path_factory.mktemp("split")
    with ExitStack() as stack:
        store = Store(folder / "series", stack)
        broker = Mosquitto(folder / "mosquitto", unused_port())
        broker.start()
        stack.callback(broker.end)
        settings = {
            "SUNLEDGER_DATA_DIR": str(folder / "data"),
            "SUNLEDGER_DATABASE_URL": own_database(postgres_server),
            "SUNLEDGER_SERIES_URL": f"victoriametrics://127.0.0.1:{store.port}",
            "SUNLEDGER_MQTT_URL": f"mqtt://{COLLECTOR[0]}:{COLLECTOR[1]}@127.0.0.1:{broker.port}",
            "SUNLEDGER_MODBUS_NETWORKS": "127.0.0.0/8",
            "SUNLEDGER_PORT": str(unused_port()),
        }
        migrated = subprocess.run(
            command("migrate", "--json"),
            env=environment(settings),
            capture_output=True,
            text=True,
            check=True,
        )
        (credential,) = json.loads(migrated.stdout)["rows"]
        database = open_database(settings["SUNLEDGER_DATABASE_URL"])
        stack.callback(database.close)
        register(database, unused_port())
        stack.enter_context(simulated(database))
        series = open_series(settings["SUNLEDGER_SERIES_URL"])
        stack.callback(series.close)
        made = County(folder, settings, database, series, broker, credential["password"], store)
        yield made


@pytest.fixture(autouse=True)
def nothing_is_left_running(county: County) -> Iterator[None]:
    yield
    for process in county.processes:
        process.end()


class Publisher:
    """The station's gateway: numbered messages, each acknowledged by the broker."""

    def __init__(self, county: County) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set("station_a", "station_a-secret")
        self._client.connect("127.0.0.1", county.broker.port)
        self._client.loop_start()
        self._began = round(datetime.now(UTC).timestamp() * 1000)

    def send(self, number: int) -> None:
        """Send a message with a time of its own, as no two of them have in the field."""
        payload = {
            "time": self._began + number % 1000,
            "active_power_w": number,
            "generated_energy_wh": 50_000_000 + number,
        }
        self._client.publish(TOPIC, json.dumps(payload), qos=1).wait_for_publish(10)

    def send_raw(self, payload: bytes) -> None:
        self._client.publish(TOPIC, payload, qos=1).wait_for_publish(10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def publisher(county: County) -> Iterator[Publisher]:
    made = Publisher(county)
    yield made
    made.close()


def ask(county: County, method: str, path: str, body: object = None, token: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", int(county.settings["SUNLEDGER_PORT"]), timeout=20)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer.status, content


def token_of_the_administrator(county: County) -> str:
    if county.password != PASSWORD:
        with county.database.transaction() as session:
            user = session.execute(text('SELECT id FROM "user"')).scalar_one()
            actor = Actor(user, "管理员", Role.COUNTY)
            change_password(session, actor, (county.password, PASSWORD), utc_now())
        county.password = PASSWORD
    status, answer = ask(county, "POST", "/api/v1/session", {"login": "admin", "password": PASSWORD})
    assert status == 201, answer
    return json.loads(answer)["token"]


def prove_that_nothing_is_missing(county: County, *, killed: bool = False) -> None:
    """Close the books of a collector that has ended: every sample it took is in the store."""
    spool = Spool(county.data_dir / "spool.sqlite3")
    balance = spool.audit()
    spool.close()
    assert (balance.difference, balance.waiting, balance.dropped, balance.quarantined) == (0, 0, 0, 0)

    def rows() -> int:
        return len(county.stored(INVERTER)) + len(county.stored(GATEWAY))

    # What was written last is shown by the server after a second.
    until(lambda: rows() >= balance.stored)
    # A kill between the store's answer and our note of it makes a delivery that counts as duplicates.
    assert rows() <= balance.published
    assert killed or rows() == balance.stored


def test_three_processes_are_one_service(county: County, publisher: Publisher) -> None:
    ports = {"metrics_port": str(unused_port())}
    collector, scheduler = county.serve("collector", **ports), county.serve("scheduler")
    web = county.serve("web")
    until(lambda: "已连接消息服务器" in events(county), 45)
    publisher.send(1)
    until(lambda: len(county.stored(INVERTER)) >= 3 and county.numbers() == [1], 45)
    assert county.stored(INVERTER)[0].values["generated_energy_wh"] == 123_457_000  # shown in whole kWh

    county.queue("by hand")
    until(lambda: county.all_done("by hand"), 45)

    assert ask(county, "GET", "/healthz") == (200, '{"status":"ok"}')
    token = token_of_the_administrator(county)
    until(lambda: station_power(county, token) is not None, 45)
    assert station_power(county, token) >= 45_600
    first = last_time(county, token)
    until(lambda: last_time(county, token) > first, 45)
    status, books = ask(county, "GET", "/api/v1/collector/balance", token=token)
    assert (status, json.loads(books)["difference"]) == (200, 0)
    assert json.loads(books)["published"] > 0
    told = ask(county, "GET", "/api/v1/collectors", token=token)[1]
    assert [(one["name"], one["silent"]) for one in json.loads(told)] == [("collector", False)]
    figures = http_text(int(ports["metrics_port"]), "/metrics")
    assert 'sunledger_device_good{device="inverter_1",station="station_a"} 1.0' in figures
    assert "sunledger_spool_imbalance 0.0" in figures

    through_the_web = county.run("energy", "2026", "--json")
    assert through_the_web.returncode in {0, 1}, through_the_web.stderr
    assert INVERTER in through_the_web.stdout
    for process in (web, scheduler, collector):
        process.stop()
    assert not (county.data_dir / "control.json").exists()
    prove_that_nothing_is_missing(county)


def events(county: County) -> str:
    with county.database.reading() as session:
        return " ".join(session.execute(text("SELECT message FROM operational_event")).scalars())


def http_text(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    content = connection.getresponse().read().decode()
    connection.close()
    return content


def station_now(county: County, token: str) -> dict[str, object]:
    status, answer = ask(county, "GET", "/api/v1/stations", token=token)
    assert status == 200, answer
    found = json.loads(answer)
    return (found if isinstance(found, list) else found["items"])[0]


def station_power(county: County, token: str) -> float | None:
    return station_now(county, token)["active_power_w"]


def last_time(county: County, token: str) -> str:
    return station_now(county, token)["last_time"] or ""


def test_the_books_of_a_separate_collector_are_asked_through_its_own_door(
    county: County, publisher: Publisher
) -> None:
    collector, web = county.serve("collector"), county.serve("web")
    publisher.send_raw(b"no message")
    until(lambda: "no message" in county.run("collector", "quarantine", "--json").stdout, 45)
    balance = county.run("collector", "balance", "--json")
    assert balance.returncode == 0, balance.stderr
    assert json.loads(balance.stdout)["rows"][0]["difference"] == 0
    replayed = county.run("collector", "replay")
    assert (replayed.returncode, "重放 1 条，读懂 0 条" in replayed.stdout) == (1, True), replayed
    collector.stop()
    assert not (county.data_dir / "collector.json").exists()
    alone = county.run("collector", "balance", "--json")
    assert json.loads(alone.stdout)["rows"][0]["difference"] == 0
    web.stop()
    with sqlite3.connect(county.data_dir / "spool.sqlite3") as connection:
        connection.execute("DELETE FROM quarantine")
        connection.execute("UPDATE tally SET value = value - 1 WHERE name IN ('published', 'quarantined')")
    connection.close()


def test_commands_work_on_server_stores_while_services_run_and_when_they_do_not(county: County) -> None:
    collector = county.serve("collector")
    beside = county.run("verify")
    assert beside.returncode == 0, beside.stdout + beside.stderr
    second = county.run("serve", "--roles", "collector")
    assert second.returncode == 2
    assert "采集进程已在运行" in second.stderr
    assert "Traceback" not in second.stderr
    refused = county.run("migrate")
    assert refused.returncode == 2
    assert "正由另一个进程使用" in refused.stderr
    collector.stop()
    again = county.run("migrate")
    assert again.returncode == 0, again.stderr


def test_two_schedulers_do_each_job_once(county: County) -> None:
    keys = [f"job {number}" for number in range(24)]
    county.queue(*keys)
    schedulers = [county.serve("scheduler"), county.serve("scheduler")]
    until(lambda: county.all_done(*keys), 60)
    with county.database.reading() as session:
        jobs = listing(session, 200)
    assert {job.attempts for job in jobs} == {1}
    assert {job.state for job in jobs} == {JobState.DONE}
    assert len([job for job in jobs if job.key.startswith("daily-energy-")]) == 1
    for scheduler in schedulers:
        scheduler.stop()
    done = [key for scheduler in schedulers for key in scheduler.jobs_done()]
    assert len(done) == len(set(done))
    assert set(keys) <= set(done)


def test_a_killed_collector_loses_nothing(county: County, publisher: Publisher) -> None:
    collector = county.serve("collector")
    for number in range(1000, 1150):
        publisher.send(number)
        time.sleep(0.01)
    collector.kill()
    published = published_before(county)
    assert published > 0
    for number in range(1150, 1300):
        publisher.send(number)
    collector = county.serve("collector")
    until(lambda: county.numbers()[-300:] == list(range(1000, 1300)), 40)
    collector.stop()
    prove_that_nothing_is_missing(county, killed=True)
    assert published_before(county) >= published


def published_before(county: County) -> int:
    with sqlite3.connect(county.data_dir / "spool.sqlite3") as connection:
        found = connection.execute("SELECT value FROM tally WHERE name = 'published'").fetchone()
    connection.close()
    return found[0]


def test_a_killed_series_server_loses_nothing(county: County, publisher: Publisher) -> None:
    collector = county.serve("collector")
    for number in range(2000, 2100):
        publisher.send(number)
        time.sleep(0.01)
    until(lambda: 2099 in county.numbers(), 45)
    county.store.kill()
    time.sleep(3)
    county.store.start()
    publisher.send(2100)
    until(lambda: county.numbers()[-101:] == list(range(2000, 2101)), 60)
    collector.process.send_signal(signal.SIGTERM)
    assert collector.process.wait(40) == 0
    prove_that_nothing_is_missing(county, killed=True)


def is_up(county: County) -> bool:
    with suppress(ConnectionError):
        return ask(county, "GET", "/healthz")[0] == 200
    return False


def pages(county: County, *paths: str) -> list[httpx.Response]:
    """Look at pages as somebody who has logged in."""
    with httpx.Client(base_url=f"http://127.0.0.1:{county.settings['SUNLEDGER_PORT']}") as browser:
        form = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/login").text)
        assert form
        browser.post("/login", data={"login": "admin", "password": PASSWORD, "csrf_token": form[1]})
        return [browser.get(path) for path in paths]


def waiting(county: County) -> int:
    with sqlite3.connect(f"file:{county.data_dir / 'spool.sqlite3'}?mode=ro", uri=True) as connection:
        found = connection.execute("SELECT count(*) FROM batch").fetchone()
    connection.close()
    return found[0]


def test_collector_and_web_start_while_the_series_server_is_away(
    county: County, publisher: Publisher
) -> None:
    county.store.kill()
    collector, scheduler, web = (county.serve(role) for role in ("collector", "scheduler", "web"))
    for number in range(3000, 3020):
        publisher.send(number)
    until(lambda: "数据在采集队列里等待，不会丢失" in events(county), 45)
    assert "连不上 VictoriaMetrics" in events(county)
    assert waiting(county) > 0

    until(lambda: is_up(county), 45)
    token = token_of_the_administrator(county)
    status, answer = ask(county, "GET", "/api/v1/stations", token=token)
    assert (status, json.loads(answer)["title"]) == (503, "时序库暂时不能用")
    page, books = pages(county, "/stations", "/settlements")
    assert page.status_code == 503
    assert "存放发电数据的时序库没有回应" in page.text
    assert books.status_code == 200
    command = county.run("series", INVERTER)
    assert command.returncode == 2
    assert "连不上 VictoriaMetrics" in command.stderr
    assert "Traceback" not in command.stderr
    assert county.run("user", "list").returncode == 0

    county.store.start()
    until(lambda: county.numbers()[-20:] == list(range(3000, 3020)), 90)
    until(lambda: station_power(county, token) is not None, 45)
    for process in (web, scheduler, collector):
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(60) == 0
        assert "Traceback" not in process.text()
    prove_that_nothing_is_missing(county)


def test_a_wrong_series_address_still_stops_the_start(county: County) -> None:
    """Something answers there, but it is no time-series server: that is wrong, not away."""
    wrong = county.settings | {
        "SUNLEDGER_SERIES_URL": f"victoriametrics://127.0.0.1:{county.store.port}?read_path=/x"
    }
    refused = subprocess.run(
        command("serve", "--roles", "collector"),
        env=environment(wrong),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert refused.returncode == 2
    assert "SUNLEDGER_SERIES_URL" in refused.stderr
