"""Settings of the collector, as the composition root hands them over.

Owns plain values with their defaults; reading them from environment and files is the composition root's.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """How to reach the broker.

    `protocol` is 3 (MQTT 3.1.1, which every broker speaks, the embedded one nothing else) or 5; a broker
    that refuses version 5 is spoken to in 3.1.1. `client_id` must stay the same over restarts and be used
    by one process only: the broker keeps our session under it. `shared_group` makes several collectors
    share the load and wants version 5. `certificate_authority` is a PEM file and switches TLS on.
    Intervals in seconds.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    protocol: int = 3
    client_id: str = "sunledger-collector"
    username: str = ""
    password: str = ""
    certificate_authority: str = ""
    shared_group: str = ""
    keepalive_seconds: int = 30
    session_seconds: int = 14 * 86_400
    reconnect_seconds: int = 30
    batch_messages: int = 1000
    batch_seconds: float = 0.05


@dataclass(frozen=True, slots=True)
class DialInSettings:
    """Where DTUs call, and what is allowed. Port 0 takes a free one.

    `heartbeats` are bytes that DTUs strew into the stream (text, or `hex:…`). `networks` limits from
    where they may call (CIDR, empty is anywhere); at most `lobby_connections` callers may be unnamed at a
    time. A line that was quiet for `takeover_seconds` may be taken over from another address.
    """

    host: str = "0.0.0.0"  # noqa: S104, DTUs call from outside; the allow-list and limits guard the port
    port: int = 0
    heartbeats: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    registration_seconds: float = 10.0
    takeover_seconds: float = 90.0
    lobby_connections: int = 64


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """How the collector works. Intervals and deadlines in seconds.

    `request_timeout_seconds` of 0 leaves it to the profile. `flush_seconds` is how long polled samples
    may wait in memory before the durable commit, `drain_seconds` how often the spool is emptied into the
    store. `allowed_networks` limits which addresses may be polled (CIDR; empty allows private networks
    and this machine), `serial_ports` which serial ports (`*` stands for anything; empty allows all).
    `daily_request_cap` and `daily_byte_cap` bound what one line, and so one SIM card, may cost a day (0 is
    unbounded).
    """

    request_timeout_seconds: float = 0.0
    connect_timeout_seconds: float = 5.0
    backoff_seconds: float = 300.0
    flush_seconds: float = 1.0
    drain_seconds: float = 1.0
    drain_rows: int = 5000
    allowed_networks: tuple[str, ...] = ()
    serial_ports: tuple[str, ...] = ()
    daily_request_cap: int = 0
    daily_byte_cap: int = 0
    dial_in: DialInSettings | None = None
    mqtt: MqttSettings | None = None
