"""Quarantined messages come back, once, when what was wrong has been mended."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from collector.delivery import Rejected
from collector.quarantine import replay
from collector.spool import Spool
from tests.collector.plants import link, utc_now

BODY = {"ts": round(utc_now().timestamp() * 1000), "node": "inv01", "values": {"active_power": 7}}


def test_a_message_of_a_device_that_is_registered_later_is_taken_then(tmp_path: Path) -> None:
    spool, now = Spool(tmp_path / "spool.sqlite3"), utc_now()
    good = json.dumps({"timestamp": BODY["ts"], **BODY}).encode()
    bad = [Rejected("gw/a", "没有登记", good), Rejected("gw/a", "不是 JSON", b"nonsense")]
    bad.append(Rejected("gw/a", "太长", b"x" * 100_000))
    spool.append([], bad, at=now)
    stranger = link("d", 0, transport="mqtt", topic="gw/b", profile="neuron", serial="inv01")
    known = link("d", 0, transport="mqtt", topic="gw/a", profile="neuron", serial="inv01")
    assert replay(spool, [stranger], now).tried == 0
    first = replay(spool, [known], now)
    assert (first.tried, first.mended, first.samples) == (2, 1, 1)
    second = replay(spool, [known], now + timedelta(minutes=1))
    assert (second.tried, second.mended) == (1, 0)
    balance = spool.audit()
    assert (balance.published, balance.quarantined, balance.waiting, balance.difference) == (4, 3, 1, 0)
    spool.close()


def test_the_quarantine_is_bounded_by_bytes_and_the_tally_goes_on(tmp_path: Path) -> None:
    path, now = tmp_path / "spool.sqlite3", utc_now()
    spool = Spool(path, quarantine_bytes=10_000)
    for number in range(30):
        spool.append([], [Rejected("gw/a", f"{number}", b"x" * 1000)], at=now)
    assert [one.reason for one in spool.quarantined()] == [str(number) for number in range(29, 19, -1)]
    assert spool.raw_bytes == 10_000
    spool.append([], [Rejected("gw/a", "too much at once", b"y" * 2000)] * 8, at=now)
    assert (len(spool.quarantined()), spool.raw_bytes) == (5, 10_000)
    assert (spool.audit().quarantined, spool.audit().difference) == (38, 0)
    spool.close()
    again = Spool(path, quarantine_bytes=10_000)
    assert again.raw_bytes == 10_000
    again.append([], [Rejected("gw/a", "last", b"z")], at=now)
    assert (len(again.quarantined()), again.raw_bytes) == (5, 8_001)
    again.close()


def test_the_quarantine_is_bounded_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.spool.QUARANTINE_LIMIT", 20)
    spool = Spool(tmp_path / "spool.sqlite3")
    for _ in range(5):
        spool.append([], [Rejected("gw/a", "bad", b"12345")] * 7, at=utc_now())
    assert (len(spool.quarantined()), spool.raw_bytes, spool.audit().quarantined) == (20, 100, 35)
    spool.close()
