"""Who may speak on a topic, and what a message there becomes.

Owns the table from topics to links and mappings, and the rule that identity comes from the topic (and the
login that the broker ties to it): a message never reaches the devices of another station than its topic's.
It opens no connection and commits nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import paho.mqtt.client as paho

from collector.clocks import FRESH, ClockWatch
from collector.connections import DeviceLink
from collector.delivery import Rejected
from collector.payloads import (
    PayloadMapping,
    Reading,
    Speaker,
    Speakers,
    TopicNames,
    load_mapping,
    read_message,
    topic_names,
)
from collector.payloads.births import Births, SparkplugMessage, missed, parse, read_sparkplug
from collector.payloads.sparkplug import NAMESPACE, MessageType, Place, parse_topic, place_of
from store.problem import ProblemsError
from store.quality import check
from store.samples import Sample

BIRTH_PREFIX = "sparkplug/"
CLOCK_PREFIX = "clock/"
ROUTES_KEPT = 50_000
SPARKPLUG = "sparkplug"
BIRTHS = frozenset({MessageType.NODE_BIRTH, MessageType.DEVICE_BIRTH})
DEATHS = frozenset({MessageType.NODE_DEATH, MessageType.DEVICE_DEATH})
UNKNOWN_TOPIC = "这个主题没有登记设备"
CONTESTED = "这个主题登记了不止一个电站的设备，无法认定是谁发的"
RETAINED = "保留消息没有自己的采样时间，不能当作新数据"


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message as it came, with the connection that it came on."""

    topic: str
    payload: bytes
    mid: int
    qos: int
    retained: bool
    generation: int


@dataclass(frozen=True, slots=True)
class Route:
    """Who may speak on a topic through one mapping: the payload's name of each device to its link."""

    mapping: PayloadMapping
    links: Mapping[str, DeviceLink]
    speakers: Speakers
    names: TopicNames
    by_device: Mapping[str, DeviceLink]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a message gave: samples with their flags, what must go to quarantine, who spoke.

    `memory` is what must be known after a restart, to be kept with the samples: declarations of edge nodes,
    wrong clocks. `departed` are devices that were reported dead, `gaps` edge nodes of which messages were
    lost, `clocks` devices whose clock was found to be wrong [s behind] or right again (0).
    """

    samples: Sequence[Sample] = ()
    rejected: Sequence[Rejected] = ()
    speakers: Sequence[DeviceLink] = ()
    memory: Mapping[str, bytes] = field(default_factory=dict)
    departed: Sequence[DeviceLink] = ()
    gaps: Sequence[str] = ()
    clocks: Mapping[str, int] = field(default_factory=dict)


class RouteTable:
    """Finds the routes of a topic; what was found for a topic is remembered."""

    def __init__(self, links: Sequence[DeviceLink]) -> None:
        self.problems: list[tuple[DeviceLink, str]] = []
        self.places: dict[Place, tuple[DeviceLink, PayloadMapping]] = {}
        self._groups: dict[tuple[str, str], list[DeviceLink]] = {}
        self._known: dict[str, tuple[Route, ...] | str] = {}
        for link in links:
            try:
                self._add(link, load_mapping(link.profile))
            except ProblemsError as error:
                self.problems.append((link, str(error)))
        self._refuse_shared()

    def _add(self, link: DeviceLink, mapping: PayloadMapping) -> None:
        if mapping.encoding != SPARKPLUG:
            self._groups.setdefault((link.topic, link.profile), []).append(link)
            return
        place = place_of(link.topic)
        if place is None:
            self.problems.append(
                (link, f"Sparkplug 主题写成 {NAMESPACE}/组/+/边缘节点/设备，不是 {link.topic}")
            )
        elif place in self.places:
            other = self.places[place][0].device_id
            self.problems.append((link, f"这个 Sparkplug 设备已登记为 {other}"))
        else:
            self.places[place] = (link, mapping)

    def _refuse_shared(self) -> None:
        """Leave out topics on which several stations would be told apart by the payload alone."""
        for (topic, profile), links in list(self._groups.items()):
            stations = {link.station_id for link in links}
            if len(stations) > 1 and not load_mapping(profile).names_station:
                named = "、".join(sorted(stations)[:3])
                reason = f"主题 {topic} 登记了 {named} 等 {len(stations)} 个电站：每个电站要有自己的主题"
                self.problems += [(link, reason) for link in links]
                del self._groups[topic, profile]

    @property
    def shareable(self) -> tuple[str, ...]:
        """Topic filters that several collectors may share."""
        return tuple(sorted({topic for topic, _ in self._groups}))

    @property
    def undivided(self) -> tuple[str, ...]:
        """Topic filters that each collector must have whole: births count for all that follows."""
        return tuple(sorted({f"{NAMESPACE}/{place.group}/+/{place.edge}/#" for place in self.places}))

    def routes(self, topic: str) -> tuple[Route, ...] | str:
        """Return the routes of a topic, or why nobody may speak there."""
        found = self._known.get(topic)
        if found is None:
            if len(self._known) > ROUTES_KEPT:
                self._known.clear()
            found = self._known[topic] = self._find(topic)
        return found

    def _find(self, topic: str) -> tuple[Route, ...] | str:
        by_mapping: dict[str, dict[str, DeviceLink]] = {}
        names: dict[str, TopicNames] = {}
        stations: set[str] = set()
        for (pattern, name), links in self._groups.items():
            if pattern != topic and not paho.topic_matches_sub(pattern, topic):
                continue
            named = topic_names(load_mapping(name), topic)
            if named is None:
                continue
            names[name] = named
            table = by_mapping.setdefault(name, {})
            for link in links:
                if _may_speak(link, named):
                    table[link.serial or link.device_id] = link
                    stations.add(link.station_id)
        if len(stations) > 1:
            return CONTESTED
        routes = tuple(_route(load_mapping(name), table, names[name]) for name, table in by_mapping.items())
        return tuple(route for route in routes if route.links) or UNKNOWN_TOPIC


def _may_speak(link: DeviceLink, named: TopicNames) -> bool:
    """Tell whether a topic that names a station or a device means this link."""
    if named.station and named.station != link.station_id:
        return False
    return not named.device or named.device in {link.serial, link.device_id}


def _route(mapping: PayloadMapping, links: Mapping[str, DeviceLink], names: TopicNames) -> Route:
    speakers = {name: Speaker(link.device_id, link.station_id) for name, link in links.items()}
    by_device = {link.device_id: link for link in links.values()}
    if names.device and speakers:
        speakers = {names.device: next(iter(speakers.values()))}
    return Route(mapping, links, speakers, names, by_device)


class Listener:
    """Reads messages under a table; knows what Sparkplug edge nodes have declared, and wrong clocks.

    `memory` is what the spool has kept of it.
    """

    def __init__(self, table: RouteTable, memory: Mapping[str, bytes]) -> None:
        self.table = table
        self._sequences: dict[Place, int | None] = {}
        self._births = {
            name.removeprefix(BIRTH_PREFIX): Births.loaded(data)
            for name, data in memory.items()
            if name.startswith(BIRTH_PREFIX)
        }
        self._clocks = ClockWatch(
            {
                name.removeprefix(CLOCK_PREFIX): int(data)
                for name, data in memory.items()
                if name.startswith(CLOCK_PREFIX) and int(data)
            }
        )

    def knows(self, topic: str) -> bool:
        """Tell whether anybody may speak on a topic."""
        found = parse_topic(topic)
        return (found is not None and found[1] in self.table.places) or not isinstance(
            self.table.routes(topic), str
        )

    def read(self, message: Incoming, now: datetime) -> Heard:
        """Return what a message gives at `now` [UTC]; nothing is raised for what a message holds."""
        heard = self._heard(message, now)
        if len(heard.samples) == 1 and now - heard.samples[0].time < FRESH:
            return heard if not self._clocks.suspects else self._watched(heard)
        return self._watched(heard)

    def _watched(self, heard: Heard) -> Heard:
        """Return what was heard after the clocks of the speakers were looked at."""
        by_device: dict[str, list[Sample]] = {}
        for sample in heard.samples:
            by_device.setdefault(sample.device_id, []).append(sample)
        samples: list[Sample] = []
        clocks: dict[str, int] = {}
        for group in by_device.values():
            judged, found = self._clocks.judge(group)
            samples += judged
            clocks |= found
        kept = {f"{CLOCK_PREFIX}{name}": str(seconds).encode() for name, seconds in clocks.items()}
        return replace(heard, samples=samples, clocks=clocks, memory={**heard.memory, **kept})

    def _heard(self, message: Incoming, now: datetime) -> Heard:
        if self.table.places and message.topic.startswith(f"{NAMESPACE}/"):
            found = parse_topic(message.topic)
            if found is not None:
                return self._sparkplug(parse(*found, message.payload), message, now)
        routes = self.table.routes(message.topic)
        if isinstance(routes, str):
            return Heard(rejected=[Rejected(message.topic, routes, message.payload)])
        samples: list[Sample] = []
        faults: list[str] = []
        speakers: list[DeviceLink] = []
        for route in routes:
            reading = _read(route, message, now)
            faults.extend(reading.faults)
            for sample in reading.samples:
                link = route.by_device[sample.device_id]
                speakers.append(link)
                samples.append(_checked(sample, link))
        rejected = [Rejected(message.topic, "；".join(faults), message.payload)] if faults else []
        return Heard(samples, rejected, speakers)

    def _sparkplug(self, told: SparkplugMessage, message: Incoming, now: datetime) -> Heard:
        node = told.place.node
        gaps = [str(node)] if missed(self._sequences.get(node), told) else []
        if told.payload.sequence is not None:
            self._sequences[node] = told.payload.sequence
        kept = self._births.get(str(node), Births())
        if kept.since > now.timestamp():
            # A message of before the birth was sent under other aliases.
            kept = Births()
        births: dict[str, bytes] = {}
        if told.kind in BIRTHS and not told.fault:
            kept = self._births[str(node)] = kept.with_birth(told, now)
            births[f"{BIRTH_PREFIX}{node}"] = kept.dumped()
        if told.kind in DEATHS:
            return Heard(departed=self._members(told.place), gaps=gaps)
        found = self.table.places.get(told.place)
        if found is None:
            # What an edge node says of itself concerns nobody here; a device that is not registered does.
            stranger = bool(told.place.device)
            rejected = [Rejected(message.topic, UNKNOWN_TOPIC, message.payload)] if stranger else []
            return Heard(rejected=rejected, memory=births, gaps=gaps)
        link, mapping = found
        speaker = Speaker(link.device_id, link.station_id)
        reading = read_sparkplug(mapping, told, speaker, kept, now)
        faulty = "；".join(reading.faults)
        return Heard(
            samples=[_checked(sample, link) for sample in reading.samples],
            rejected=[Rejected(message.topic, faulty, message.payload)] if faulty else [],
            speakers=[link] if reading.samples else [],
            memory=births,
            gaps=gaps,
        )

    def _members(self, place: Place) -> list[DeviceLink]:
        """Return the links of a device, or of everything behind an edge node."""
        if place.device:
            return [self.table.places[place][0]] if place in self.table.places else []
        return [link for one, (link, _) in self.table.places.items() if one.node == place]


def _read(route: Route, message: Incoming, now: datetime) -> Reading:
    if message.retained and route.mapping.time.missing == "receipt":
        return Reading(faults=(RETAINED,))
    return read_message(route.mapping, message.payload, route.speakers, now, route.names)


def _checked(sample: Sample, link: DeviceLink) -> Sample:
    flags = check(sample, link.rated_power_w)
    return sample if flags == sample.flags else replace(sample, flags=flags)
