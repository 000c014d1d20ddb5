"""A message is tried under a mapping exactly as the ingest would read it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.trial import Trial, try_message
from store.problem import ProblemsError
from tests.collector.sparkplug import metric, payload

NOW = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)
STAMP = round(NOW.timestamp()) - 60


def test_a_file_of_ones_own_is_tried(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\ntitle = "我的网关"\n[time]\npath = "ts"\nformat = "s"\n'
        '[quantities]\nactive_power_w = { path = "pac", unit = "kW" }\n'
    )
    samples, faults = try_message(Trial(str(path)), json.dumps({"ts": STAMP, "pac": 2}).encode(), [], NOW)
    assert ([sample.values for sample in samples], list(faults)) == ([{"active_power_w": 2000.0}], [])


def test_a_topic_that_names_its_device_is_believed_and_one_that_does_not_fit_is_named() -> None:
    body = json.dumps({"ts": STAMP, "active_power": 2}).encode()
    samples, _ = try_message(Trial("station_and_device", "pv/a/inv01"), body, [], NOW)
    assert [sample.device_id for sample in samples] == ["inv01"]
    with pytest.raises(ProblemsError, match="主题要像"):
        try_message(Trial("station_and_device"), body, [], NOW)


def test_sparkplug_data_is_tried_after_its_birth() -> None:
    data = payload([metric(alias=5, value=3.5, at=STAMP * 1000)])
    birth = payload([metric("Active Power", 0.0, alias=5, at=STAMP * 1000)], seq=1)
    assert "别名 5" in try_message(Trial("sparkplug"), data, [], NOW)[1][0]
    samples, faults = try_message(Trial("sparkplug"), data, [birth], NOW)
    assert ([sample.values for sample in samples], list(faults)) == ([{"active_power_w": 3.5}], [])
