"""Webhooks: one JSON message by HTTPS to a robot that the operator has named.

Owns the request and where it may go: the host must be on the list, its address must be public or in a network
that the operator allows, the connection goes to that very address, and nothing is followed.
"""

import base64
import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any
from urllib.parse import SplitResult, quote_plus, urlsplit

from api.notifications.errors import SendError
from api.notifications.templates import Template
from monitoring.notifications.outbox import Message

TIMEOUT_SECONDS = 20
_ANSWER_BYTES = 65_536
_PORTS = {"https": 443, "http": 80}
_OK, _MULTIPLE_CHOICES = 200, 300

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Reach:
    """Where webhooks may go: host names (a leading dot allows what is below), and networks.

    A host that is itself an address in an allowed network needs no name on the list.
    """

    hosts: tuple[str, ...]
    networks: tuple[IPv4Network, ...] = ()

    def names(self, host: str) -> bool:
        """Tell whether a host name may be asked for its address."""
        lower = host.lower().rstrip(".")
        if any(lower == one or (one.startswith(".") and lower.endswith(one)) for one in self.hosts):
            return True
        try:
            return self.private(ipaddress.ip_address(lower))
        except ValueError:
            return False

    def private(self, address: Address) -> bool:
        """Tell whether an address lies in a network that the operator allows."""
        return isinstance(address, IPv4Address) and any(address in network for network in self.networks)


NOWHERE = Reach(())
"""No webhook may go anywhere."""


def _now_ms() -> int:
    return int(time.time() * 1000)


@dataclass(frozen=True, slots=True, repr=False)
class Webhook:
    """One robot: the operator's name for it, its address with the key in it, template, and secret to sign."""

    name: str
    url: str
    template: Template
    secret: str = ""
    timeout: float = TIMEOUT_SECONDS

    def send(self, message: Message, reach: Reach, now_ms: Callable[[], int] = _now_ms) -> None:
        """Send one message; raises SendError when it may not go there or was not taken."""
        parts = urlsplit(self.url)
        address, port = self._address(parts, reach)
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        if self.template.signature == "dingtalk" and self.secret:
            path += ("&" if parts.query else "?") + dingtalk_signature(self.secret, now_ms())
        body = json.dumps(self.template.fill(message), ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-Message-Id": message.id,
            "User-Agent": "sunledger",
        }
        try:
            with closing(_connection(parts, (address, port), self.timeout)) as connection:
                connection.request("POST", path, body, headers)
                with connection.getresponse() as answer:
                    self._judge(answer.status, answer.read(_ANSWER_BYTES))
        except TimeoutError as error:
            raise SendError("接收方超时没有回答", unreachable=True) from error
        except ssl.SSLError as error:
            raise SendError("接收方的证书不被信任", unreachable=True) from error
        except http.client.HTTPException as error:
            raise SendError("接收方的回答不合规矩") from error
        except OSError as error:
            raise SendError("连不上接收方", unreachable=True) from error

    def _address(self, parts: SplitResult, reach: Reach) -> tuple[Address, int]:
        host = parts.hostname or ""
        if parts.scheme not in _PORTS or not host or parts.username or parts.password:
            raise SendError("机器人的地址写得不对")
        if not reach.names(host):
            raise SendError("机器人的主机不在允许的名单内")
        try:
            port = parts.port or _PORTS[parts.scheme]
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, ValueError) as error:
            raise SendError("查不到接收方的地址", unreachable=True) from error
        addresses = [ipaddress.ip_address(item[4][0]) for item in found]
        # One address that must not be reached spoils the name: it may be asked for again by another path.
        if not all(_is_public(one) or reach.private(one) for one in addresses):
            raise SendError("接收方的地址不在允许的网段内")
        if parts.scheme == "http" and not all(reach.private(one) for one in addresses):
            raise SendError("向公网发送必须用 https")
        return addresses[0], port

    def _judge(self, status: int, content: bytes) -> None:
        if not _OK <= status < _MULTIPLE_CHOICES:
            raise SendError(f"接收方回答 {status}")
        if self.template.success is None:
            return
        field, value = self.template.success
        try:
            answer: Any = json.loads(content)
        except ValueError as error:
            raise SendError("接收方的回答不是 JSON") from error
        found = answer.get(field) if isinstance(answer, dict) else None
        if found != value:
            raise SendError(f"机器人没有收下（{field} {str(found)[:20]}）")


def _is_public(address: Address) -> bool:
    plain = address.ipv4_mapped if isinstance(address, IPv6Address) and address.ipv4_mapped else address
    return plain.is_global and not plain.is_multicast


def dingtalk_signature(secret: str, timestamp_ms: int) -> str:
    """Return the query part that 钉钉 wants of a signed robot.

    Source: 钉钉 open platform, custom robot, 加签: HmacSHA256 of timestamp, newline and secret, in base64.
    """
    text = f"{timestamp_ms}\n{secret}".encode()
    digest = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return f"timestamp={timestamp_ms}&sign={quote_plus(base64.b64encode(digest))}"


def _connection(parts: SplitResult, place: tuple[Address, int], timeout: float) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "http":
        plain = http.client.HTTPConnection(host, place[1], timeout=timeout)
        plain.sock = socket.create_connection((str(place[0]), place[1]), timeout)
        return plain
    secure = http.client.HTTPSConnection(host, place[1], timeout=timeout)
    raw = socket.create_connection((str(place[0]), place[1]), timeout)
    with ExitStack() as unless_ready:
        unless_ready.callback(raw.close)
        secure.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
        unless_ready.pop_all()
    return secure
