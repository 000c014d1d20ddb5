"""What every device has cost its SIM card today, kept over restarts.

Owns the counts of a calendar day and their form in the spool's memory, so that a cap a day holds however
often the collector starts again. What a cap forbids is the poller's.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import orjson

PREFIX = "cost "
"""Names of the counts in the spool's memory, before the device."""


@dataclass(slots=True)
class Cost:
    """What a device has cost on a calendar day of Shanghai (ISO text): requests and bytes."""

    day: str = ""
    requests: int = 0
    bytes_exchanged: int = 0


class Costs:
    """The costs of all devices; counted by the pollers, kept by whoever commits the samples."""

    def __init__(self, kept: Mapping[str, bytes] = MappingProxyType({})) -> None:
        """`kept` is what the spool remembers, by device."""
        self._lock = threading.Lock()
        self._costs = {device_id: Cost(*orjson.loads(content)) for device_id, content in kept.items()}
        self._changed: set[str] = set()

    def of(self, device_id: str, day: str) -> Cost:
        """Return what a device has cost on a day."""
        cost = self._costs.get(device_id)
        return cost if cost is not None and cost.day == day else Cost(day)

    def charge(self, device_id: str, day: str, requests: int, bytes_exchanged: int) -> Cost:
        """Add what a poll cost to the account of its calendar day; returns the account."""
        with self._lock:
            before = self.of(device_id, day)
            cost = Cost(day, before.requests + requests, before.bytes_exchanged + bytes_exchanged)
            self._costs[device_id] = cost
            self._changed.add(device_id)
        return cost

    def news(self) -> dict[str, bytes]:
        """Return what changed since the last call, as the spool keeps it."""
        with self._lock:
            changed, self._changed = self._changed, set()
            return {
                PREFIX + device_id: orjson.dumps([cost.day, cost.requests, cost.bytes_exchanged])
                for device_id in changed
                if (cost := self._costs[device_id])
            }
