"""A message tried under a mapping, exactly as the ingest would read it, without broker, registry or spool.

Owns making up the links of the trial; reading is `routes`'.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from collector.connections import MQTT, DeviceLink
from collector.payloads import PayloadMapping, load_mapping
from collector.payloads.sparkplug import NAMESPACE, MessageType, Place, parse_topic
from collector.routes import SPARKPLUG, Incoming, Listener, RouteTable
from store.problem import Problem, ProblemsError
from store.samples import Sample

ANY_TOPIC = "topic"
ANY_PLACE = Place("组", "边缘节点", "设备")


@dataclass(frozen=True, slots=True)
class Trial:
    """What to try: mapping (a name, or a file that ends in `.toml`), topic, devices and station.

    Without a topic any will do, without devices one is made up; a topic that names its device is believed.
    """

    mapping: str
    topic: str = ""
    devices: Sequence[str] = ()
    station: str = ""


def try_message(
    trial: Trial, payload: bytes, births: Sequence[bytes], now: datetime
) -> tuple[Sequence[Sample], Sequence[str]]:
    """Return the samples of a message and what could not be used of it.

    `births` are Sparkplug births that came before. Raises ProblemsError for a mapping that cannot be used.
    """
    mapping = load_mapping(trial.mapping)
    sparkplug = mapping.encoding == SPARKPLUG
    links, topic = _sparkplug_links(trial) if sparkplug else _links(trial, mapping)
    table = RouteTable(links)
    if table.problems:
        raise ProblemsError([Problem(trial.mapping, problem, "改正后再试") for _, problem in table.problems])
    listener = Listener(table, {})
    for birth in births:
        listener.read(_incoming(_birth_topic(topic), birth), now)
    heard = listener.read(_incoming(topic, payload), now)
    return heard.samples, [item.reason for item in heard.rejected]


def _incoming(topic: str, payload: bytes) -> Incoming:
    return Incoming(topic, payload, mid=0, qos=0, retained=False, generation=0)


def _birth_topic(topic: str) -> str:
    found = parse_topic(topic)
    kind = MessageType.DEVICE_BIRTH if found and found[1].device else MessageType.NODE_BIRTH
    return "/".join([NAMESPACE, topic.split("/")[1], kind, *topic.split("/")[3:]])


def _sparkplug_links(trial: Trial) -> tuple[list[DeviceLink], str]:
    kind, place = parse_topic(trial.topic) or (MessageType.DEVICE_DATA, ANY_PLACE)
    levels = [place.group, "+", place.edge, *([place.device] if place.device else [])]
    device_id = trial.devices[0] if trial.devices else place.device or place.edge
    link = DeviceLink(
        device_id, trial.station, MQTT, profile=trial.mapping, topic="/".join([NAMESPACE, *levels])
    )
    levels[1] = kind
    return [link], "/".join([NAMESPACE, *levels])


def _links(trial: Trial, mapping: PayloadMapping) -> tuple[list[DeviceLink], str]:
    topic = trial.topic or ANY_TOPIC
    named = mapping.topic_pattern.fullmatch(topic) if mapping.topic_pattern else None
    if mapping.topic_pattern is not None and named is None:
        wanted = mapping.message.topic
        raise ProblemsError(
            [Problem(trial.mapping, f"主题要像 {wanted}", f"用 --topic 写明，现在是“{trial.topic}”")]
        )
    found = named.groupdict() if named else {}
    station = trial.station or found.get("station", "")
    devices = trial.devices or (found.get("device", "") or "设备",)
    links = [
        DeviceLink(name, station, MQTT, profile=trial.mapping, topic=topic, serial=name) for name in devices
    ]
    return links, topic
