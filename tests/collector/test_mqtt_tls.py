"""TLS and passwords with a real Mosquitto: only our own authority is believed, nothing goes in the clear."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion

from tests.collector.conftest import Mosquitto
from tests.collector.plants import Bench, mqtt_link, to_county_broker, until, utc_now
from tests.collector.publishing import left, message, send


class Authority:
    """A certificate authority made for one test."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self._name = folder, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        folder.mkdir()
        self._key = ec.generate_private_key(ec.SECP256R1())
        authority = x509.BasicConstraints(ca=True, path_length=0)
        signed = self._certificate(self._name, self._key, [(authority, True)])
        self.file = self._write("ca.crt", signed.public_bytes(serialization.Encoding.PEM))

    def _write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def _certificate(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        extensions: list[tuple[x509.ExtensionType, bool]],
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(utc_now() - timedelta(days=1))
            .not_valid_after(utc_now() + timedelta(days=1))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())

    def server(self, address: str) -> tuple[Path, Path]:
        """Return certificate and key files of a server at an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternative = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))])
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
        certificate = self._certificate(name, key, [(alternative, False)])
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = certificate.public_bytes(serialization.Encoding.PEM)
        return self._write("server.crt", public), self._write("server.key", private)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca", "county")


@pytest.fixture
def broker(tmp_path: Path, free_port: int, authority: Authority) -> Iterator[Mosquitto]:
    """The shipped settings with their three lines of TLS switched on."""
    running = Mosquitto(
        tmp_path / "mosquitto", free_port, tls=(authority.file, *authority.server("127.0.0.1"))
    )
    running.start()
    yield running
    running.end()


def gateway(port: int, authority: Authority) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("station_a", "station_a-secret")
    client.tls_set(str(authority.file))
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


@pytest.mark.parametrize("protocol", [3, 5])
async def test_messages_come_over_tls_under_a_password(
    tmp_path: Path, broker: Mosquitto, authority: Authority, protocol: int
) -> None:
    settings = to_county_broker(broker.port, certificate_authority=str(authority.file), protocol=protocol)
    bench = Bench(tmp_path, [mqtt_link("station_a")], settings)
    await bench.collector.start()
    await asyncio.to_thread(until, lambda: bench.collector.status().sessions[0][1].subscribed)
    client = gateway(broker.port, authority)
    await asyncio.to_thread(send, client, "pv/station_a/inverter", message(7))
    await asyncio.to_thread(until, lambda: len(bench.stored("station_a_inverter")) == 1)
    left(client)
    await bench.collector.stop()
    bench.close()


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_broker_under_another_authority_is_not_believed(tmp_path: Path, broker: Mosquitto) -> None:
    other = Authority(tmp_path / "other", "somebody else")
    settings = to_county_broker(broker.port, certificate_authority=str(other.file))
    bench = Bench(tmp_path, [mqtt_link("station_a")], settings)
    await bench.collector.start()
    await asyncio.to_thread(until, lambda: bool(bench.collector.status().sessions[0][1].last_error))
    session = bench.collector.status().sessions[0][1]
    assert not session.connected
    assert "证书" in session.last_error
    await bench.collector.stop()
    bench.close()


async def test_a_wrong_password_is_shown_and_tried_again(
    tmp_path: Path, broker: Mosquitto, authority: Authority
) -> None:
    settings = to_county_broker(broker.port, certificate_authority=str(authority.file), password="wrong")
    bench = Bench(tmp_path, [mqtt_link("station_a")], settings)
    await bench.collector.start()
    await asyncio.to_thread(until, lambda: "拒绝连接" in bench.collector.status().sessions[0][1].last_error)
    assert not bench.collector.status().sessions[0][1].connected
    await bench.collector.stop()
    bench.close()


def test_the_port_speaks_nothing_but_tls(broker: Mosquitto) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("station_a", "station_a-secret")
    client.connect("127.0.0.1", broker.port)
    until(lambda: client.loop(0.1) != paho.MQTT_ERR_SUCCESS)
    assert not client.is_connected()
