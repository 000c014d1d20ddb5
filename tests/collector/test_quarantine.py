"""Quarantined messages come back, once, when what was wrong has been mended."""

import json
from datetime import timedelta
from pathlib import Path

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
