"""A station's gateway: publishes to the broker under the login of its station."""

import json

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.collector.plants import utc_now


def publisher(port: int, station: str = "station_a", protocol: int = 5) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion(protocol))
    client.username_pw_set(station, f"{station}-secret")
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def message(number: int, **values: object) -> bytes:
    milliseconds = round(utc_now().timestamp() * 1000) - 3_600_000 + number
    return json.dumps({"time": milliseconds, "active_power_w": number, **values}).encode()


def send(client: paho.Client, topic: str, payload: bytes) -> None:
    client.publish(topic, payload, qos=1).wait_for_publish(10)


def left(client: paho.Client) -> None:
    client.disconnect()
    client.loop_stop()
