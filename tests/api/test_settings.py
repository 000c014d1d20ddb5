from pathlib import Path

import pytest

from api.collecting import collector_settings
from api.settings import Settings, load_settings
from store.problem import ProblemsError

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("SUNLEDGER_")]:
        monkeypatch.delenv(name)


def test_every_setting_is_documented_with_its_default() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        assert f"| `{name}` | `SUNLEDGER_{name.upper()}` |" in text
        assert str(field.description) in text


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sunledger.toml"
    file.write_text('port = 1\nsite_name = "甲"\nhost = "10.0.0.9"\n', encoding="utf-8")
    monkeypatch.setenv("SUNLEDGER_PORT", "2")
    monkeypatch.setenv("SUNLEDGER_SITE_NAME", "乙")
    settings = load_settings(file, port=3)
    assert (settings.port, settings.site_name, settings.host) == (3, "乙", "10.0.0.9")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"port": 70000}, "不能大于 65535"),
        ({"port": "a"}, "不是整数"),
        ({"roles": "web"}, "内嵌库只能由一个进程打开"),
        ({"roles": ""}, "roles 不能为空"),
        ({"roles": "web,cook"}, "不在可选值之中"),
        ({"modbus_networks": "10.0.0.0/99"}, "不是网段"),
        ({"dial_in_networks": "10.0.0.0/99"}, "不是网段"),
        ({"dial_in_heartbeats": "hex:0"}, "dial_in_heartbeats"),
        ({"mqtt_protocol": 4}, "不在可选值之中"),
        ({"mqtt_shared_group": "a", "mqtt_protocol": 3}, "mqtt_protocol = 5"),
        ({"colour": "red"}, "没有这个设置"),
        ({"site_name": ""}, "不能为空"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(override: dict[str, object], words: str) -> None:
    with pytest.raises(ProblemsError, match=words):
        load_settings(**override)


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUNLEDGER_PROT", "80")
    with pytest.raises(ProblemsError, match="SUNLEDGER_PROT"):
        load_settings()


@pytest.mark.parametrize("content", [None, "port = ", "= 3"])
def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "sunledger.toml"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(ProblemsError, match=r"sunledger\.toml"):
        load_settings(file)


def test_roles_split_where_the_stores_are_servers() -> None:
    settings = load_settings(
        database_url="postgresql+psycopg://u@db/x", series_url="http://series:8086", roles="web,scheduler"
    )
    assert {str(role) for role in settings.roles} == {"web", "scheduler"}


def test_what_the_collector_can_do_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUNLEDGER_DIAL_IN_PORT", "5020")
    monkeypatch.setenv("SUNLEDGER_DIAL_IN_HEARTBEATS", "hex:FE01,PING")
    monkeypatch.setenv("SUNLEDGER_DIAL_IN_NETWORKS", "117.136.0.0/16, 10.0.0.0/8")
    monkeypatch.setenv("SUNLEDGER_LINE_DAILY_REQUESTS", "3000")
    monkeypatch.setenv("SUNLEDGER_LINE_DAILY_MEGABYTES", "3")
    monkeypatch.setenv("SUNLEDGER_MQTT_URL", "mqtt://broker:1884")
    monkeypatch.setenv("SUNLEDGER_MQTT_PROTOCOL", "5")
    monkeypatch.setenv("SUNLEDGER_MQTT_SHARED_GROUP", "county")
    monkeypatch.setenv("SUNLEDGER_MQTT_CLIENT_ID", "collector-2")
    found = collector_settings(load_settings())
    assert found.dial_in is not None
    assert (found.dial_in.port, found.dial_in.heartbeats) == (5020, ("hex:FE01", "PING"))
    assert found.dial_in.networks == ("117.136.0.0/16", "10.0.0.0/8")
    assert (found.daily_request_cap, found.daily_byte_cap) == (3000, 3_000_000)
    assert found.mqtt is not None
    assert (found.mqtt.protocol, found.mqtt.shared_group, found.mqtt.client_id) == (
        5,
        "county",
        "collector-2",
    )
    assert found.serial_ports[0] == "/dev/ttyS*"
