"""Robots get what they want, and nothing goes where it must not."""

import base64
import hashlib
import hmac
import json
from ipaddress import IPv4Network
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.notifications.errors import SendError
from api.notifications.templates import shipped_templates, shortened
from api.notifications.webhook import Reach, Webhook
from monitoring.notifications.outbox import Message
from monitoring.notifications.subscriptions import Channel

HERE = Reach((), (IPv4Network("127.0.0.0/8"),))
VENDORS = Reach(("qyapi.weixin.qq.com", ".example.cn"))


def hook(url, template="wecom", secret="", timeout=5.0):
    return Webhook("zhiban", url, shipped_templates()[template], secret, timeout)


def test_a_wecom_robot_gets_its_text_message_with_the_id(robot, message) -> None:
    hook(robot.url).send(message, HERE)
    ((path, headers, body),) = robot.received
    assert path == "/robot/send?key=geheim"
    assert headers["X-Message-Id"] == "message_1"
    assert body == {"msgtype": "text", "text": {"content": f"{message.subject}\n{message.text}"}}


def test_a_signed_dingtalk_robot_gets_timestamp_and_signature(robot, message) -> None:
    secret = "SEC0123456789"
    hook(robot.url, "dingtalk", secret).send(message, HERE, lambda: 1_780_000_000_000)
    query = parse_qs(urlsplit(robot.received[0][0]).query)
    assert query["key"] == ["geheim"]
    assert query["timestamp"] == ["1780000000000"]
    expected = hmac.new(secret.encode(), f"1780000000000\n{secret}".encode(), hashlib.sha256).digest()
    assert base64.b64decode(query["sign"][0]) == expected


def test_a_plain_receiver_gets_the_parts(robot, message) -> None:
    robot.answer = b""
    hook(robot.url, "plain").send(message, HERE)
    body = robot.received[0][2]
    assert (body["id"], body["alarms"], body["text"]) == ("message_1", "1", message.text)


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (500, b"", "接收方回答 500"),
        (302, b"", "接收方回答 302"),
        (200, b'{"errcode": 93000}', "机器人没有收下（errcode 93000）"),
        (200, b"<html>", "接收方的回答不是 JSON"),
    ],
)
def test_whatever_is_not_its_yes_is_a_no(robot, message, status, answer, why) -> None:
    robot.status, robot.answer = status, answer
    with pytest.raises(SendError) as refused:
        hook(robot.url).send(message, HERE)
    assert str(refused.value) == why
    assert len(robot.received) == 1


def test_a_slow_receiver_is_left_after_the_time_out(robot, message) -> None:
    robot.delay = 30
    with pytest.raises(SendError) as refused:
        hook(robot.url, timeout=0.3).send(message, HERE)
    assert refused.value.unreachable


def test_a_receiver_that_is_down_is_unreachable(free_port, message) -> None:
    with pytest.raises(SendError) as refused:
        hook(f"http://127.0.0.1:{free_port}/").send(message, HERE)
    assert refused.value.unreachable
    assert "127.0.0.1" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "https://127.0.0.1/", "https://localhost/", "http://2130706433/", "http://0x7f.1/",
        "https://169.254.169.254/latest/meta-data", "http://[::1]/", "http://[::ffff:127.0.0.1]/",
        "https://10.0.0.1/", "https://qyapi.weixin.qq.com.evil.example/", "https://qyapi.weixin.qq.com@evil.example/",
        "https://evil.example/qyapi.weixin.qq.com", "file:///etc/passwd", "gopher://qyapi.weixin.qq.com/", "https:///",
        "ftp://qyapi.weixin.qq.com/", "https://user:pass@qyapi.weixin.qq.com/", "https://0/", "https://example.cn/",
    ],
)  # fmt: skip
def test_addresses_that_are_not_allowed_are_never_connected_to(url, message, monkeypatch) -> None:
    import socket

    connected = []
    monkeypatch.setattr(socket, "create_connection", lambda *where, **_: connected.append(where))
    with pytest.raises(SendError):
        hook(url).send(message, VENDORS)
    assert connected == []


def _resolving(monkeypatch, *addresses):
    import socket

    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "0.0.0.1", "224.0.0.1"]
)
def test_an_allowed_name_that_leads_inside_is_refused(address, message, monkeypatch) -> None:
    import socket

    _resolving(monkeypatch, "121.51.1.1", address)
    connected = []
    monkeypatch.setattr(socket, "create_connection", lambda *where, **_: connected.append(where))
    with pytest.raises(SendError, match="不在允许的网段内"):
        hook("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k").send(message, VENDORS)
    assert connected == []


def test_the_connection_goes_to_the_address_that_was_checked(message, monkeypatch) -> None:
    import socket

    _resolving(monkeypatch, "121.51.1.1")
    asked = []

    def refuse(where, *_):
        asked.append(where)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(SendError):
        hook("https://qyapi.weixin.qq.com/send").send(message, VENDORS)
    assert asked == [("121.51.1.1", 443)]


def test_plain_http_never_leaves_the_allowed_networks(message, monkeypatch) -> None:
    _resolving(monkeypatch, "121.51.1.1")
    with pytest.raises(SendError, match="必须用 https"):
        hook("http://qyapi.weixin.qq.com/send").send(message, VENDORS)


@given(st.text(max_size=3000), st.integers(60, 2048))
def test_a_text_never_exceeds_the_limit_and_says_when_it_was_cut(text, limit) -> None:
    short = shortened(text, limit)
    assert len(short.encode()) <= limit
    assert short == text or short.endswith("……其余请登录系统查看。")


@given(st.text(max_size=400), st.text(max_size=60))
def test_words_of_a_message_are_never_read_as_places_to_fill(text, subject) -> None:
    message = Message("m1", Channel.WEBHOOK, "x", subject + "{text}", text + "{id}{subject}", 1, 1)
    filled = shipped_templates()["plain"].fill(message)
    assert filled["text"] == text + "{id}{subject}"
    assert filled["id"] == "m1"
    json.dumps(filled)


def test_the_longest_message_fits_each_robot(message) -> None:
    from dataclasses import replace

    long = replace(message, text="· 石坝村 2 号逆变器 停机 3 天 4 小时，约少收 186 元\n" * 3000)
    for template in shipped_templates().values():
        content = max(
            (text for text in json.dumps(template.fill(long), ensure_ascii=False).split('"')), key=len
        )
        assert len(content.replace("\\n", "\n").encode()) <= template.max_bytes
