"""Messages in quarantine, tried again after a mapping or the registry was mended.

Owns the replay: a message that can be read now becomes samples under its own time, once; one that cannot
stays where it is. Keeping and listing messages is `spool`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from collector.connections import MQTT, DeviceLink
from collector.routes import Incoming, Listener, RouteTable
from collector.spool import QUARANTINE_LIMIT, Spool


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay did: messages tried, messages that are readable now, samples made of them."""

    tried: int
    mended: int
    samples: int


def replay(spool: Spool, links: Sequence[DeviceLink], now: datetime) -> Replay:
    """Read every quarantined MQTT message again under the present mappings and links.

    Messages cut at 64 KiB, and those that were replayed before, are passed over.
    """
    table = RouteTable([link for link in links if link.transport == MQTT])
    listener = Listener(table, spool.memory(""))
    tried = mended = made = 0
    for item in reversed(spool.quarantined(QUARANTINE_LIMIT)):
        if item.replayed_at is not None or len(item.raw) < item.size or not listener.knows(item.source):
            continue
        tried += 1
        message = Incoming(item.source, item.raw, mid=0, qos=0, retained=False, generation=0)
        heard = listener.read(message, item.at)
        if heard.samples and not heard.rejected:
            spool.mark_replayed(item.id, heard.samples, at=now)
            mended += 1
            made += len(heard.samples)
    return Replay(tried, mended, made)
