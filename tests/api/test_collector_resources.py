"""What the API tells of the collector."""

from tests.api.test_resources import V1


def test_the_collector_shows_its_balance(county):
    shown = county["maintenance"].json(f"{V1}/collector/balance")
    assert shown["difference"] == 0
    first = county["maintenance"].json(f"{V1}/connections")[0]
    assert first["label"]
    assert first["polls"] == 0
    assert first["last_good_at"] is None
