"""`sunledger collector …`: the same answers from a running service and from the files alone."""

import http.client
import json
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from httpx import Response

from api.app import create_app
from api.door import COLLECTOR_FILE, HEADER, ask_running_service
from api.hatch import hatch
from api.operations.collecting import SPOOL_OPERATIONS
from collector.connections import MQTT, links
from collector.delivery import Rejected
from collector.spool import Spool
from registry.actors import SYSTEM
from store.periods import local_date
from tests.api.conftest import NOON, Program
from tests.api.executable import sunledger

SMALL_MAPPING_MESSAGE = b"nonsense \xff"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("collector-commands") / "county"
    ended = sunledger("migrate", "--data", data)
    assert ended.code == 0, ended
    spool = Spool(data / "spool.sqlite3")
    spool.append(
        [], [Rejected("gw/a", "不是 JSON", SMALL_MAPPING_MESSAGE)], at=datetime(2026, 6, 1, tzinfo=UTC)
    )
    spool.close()
    return data


def test_the_balance_of_a_stopped_collector_is_shown_with_difference_0(directory: Path) -> None:
    ended = sunledger("collector", "balance", "--data", directory, "--json")
    assert ended.code == 0, ended
    (row,) = ended.json["rows"]
    assert (row["published"], row["quarantined"], row["difference"]) == (1, 1, 0)
    assert "差额 0" in sunledger("collector", "balance", "--data", directory).out


def test_quarantined_messages_are_listed_with_reason_and_bytes(directory: Path) -> None:
    ended = sunledger("collector", "quarantine", "--data", directory, "--json")
    assert ended.code == 1, ended
    (row,) = ended.json["rows"]
    assert (row["source"], row["reason"], row["raw_hex"]) == (
        "gw/a",
        "不是 JSON",
        SMALL_MAPPING_MESSAGE.hex(),
    )
    assert not row["replayed"]


def test_connections_and_replay_of_a_stopped_service_say_what_there_is(directory: Path) -> None:
    replayed = sunledger("collector", "replay", "--data", directory)
    assert (replayed.code, "重放 0 条" in replayed.out) == (0, True), replayed
    shown = sunledger("collector", "connections", "--data", directory, "--json")
    assert shown.code == 1
    assert any("没有在运行" in problem["what"] for problem in shown.json["problems"])


def test_a_tally_that_does_not_add_up_is_a_finding(directory: Path, tmp_path: Path) -> None:
    copied = tmp_path / "spool.sqlite3"
    copied.write_bytes((directory / "spool.sqlite3").read_bytes())
    connection = sqlite3.connect(copied)
    connection.execute("UPDATE tally SET value = value + 1 WHERE name = 'published'")
    connection.commit()
    connection.close()
    spool = Spool(copied)
    outcome = SPOOL_OPERATIONS["collector-balance"](None, spool)
    spool.close()
    assert outcome.exit_code == 1
    assert "下落不明" in outcome.problems[0].what


def asked(county, api_loop, operation: str, *, with_collector: bool = True) -> Response:
    collector = county.application.state.collector if with_collector else None
    program = Program(create_app(county.services, control_token="t", collector=collector), api_loop)
    program.client.headers[HEADER] = "t"
    return program.ask("POST", f"/control/{operation}", json={})


def test_a_running_service_replays_through_its_own_queue(county, api_loop) -> None:
    with county.database.reading() as session:
        one = next(link for link in links(session, SYSTEM, on=local_date(NOON)) if link.transport == MQTT)
    topic = one.topic.replace("+", "x").replace("#", "x")
    county.application.state.collector.spool.append([], [Rejected(topic, "映射有误", b"{}")], at=NOON)
    listed = asked(county, api_loop, "collector-quarantine").json()
    assert [row["source"] for row in listed["rows"]] == [topic]
    replayed = asked(county, api_loop, "collector-replay").json()
    assert "重放 1 条，读懂 0 条" in replayed["summary"]
    assert asked(county, api_loop, "collector-balance").json()["rows"][0]["difference"] == 0
    assert asked(county, api_loop, "collector-connections").json()["rows"]


def test_a_service_without_the_collector_says_where_to_ask(county, api_loop) -> None:
    answer = asked(county, api_loop, "collector-balance", with_collector=False).json()
    assert answer["exit_code"] == 2
    assert "不在这个数据目录里运行" in answer["problems"][0]["what"]


def test_a_collector_without_the_web_answers_about_its_queue_and_nothing_else(
    county, directory: Path
) -> None:
    services = replace(county.services, data_dir=directory)
    spool = Spool(directory / "spool.sqlite3")
    with hatch(services, spool):
        door = json.loads((directory / "collector.json").read_text())
        told = ask_running_service(directory, "collector-balance", {}, COLLECTOR_FILE)
        assert told is not None
        assert told.rows[0]["difference"] == 0
        for path, token in (("collector-balance", "wrong"), ("backup", door["token"])):
            connection = http.client.HTTPConnection(door["address"], timeout=10)
            connection.request("POST", f"/control/{path}", b"{}", {HEADER: token})
            assert connection.getresponse().status == 404
            connection.close()
    spool.close()
    assert not (directory / "collector.json").exists()
