"""What the collector has learned about devices and would otherwise learn again after every restart.

Owns the registers that a device has refused, by device and profile. Keeping them over a restart is
`reports`'.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

Places = frozenset[tuple[int, int]]
"""Registers by function code and wire address."""


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """A device under a profile: with another profile everything is learned anew."""

    device_id: str
    profile: str


class Learned:
    """The registers that devices do not have; written by the pollers, read by whoever keeps them."""

    def __init__(self, known: Mapping[DeviceModel, Places] | None = None) -> None:
        self._lock = threading.Lock()
        self._absent: dict[DeviceModel, Places] = dict(known or {})

    def absent(self, device: DeviceModel) -> Places:
        """Return the registers that a device is known not to have."""
        return self._absent.get(device, frozenset())

    def note_new(self, device: DeviceModel, places: Places) -> None:
        """Take what a device has refused by now."""
        if places and self._absent.get(device) != places:
            with self._lock:
                self._absent[device] = places

    def all(self) -> Mapping[DeviceModel, Places]:
        """Return everything that is known."""
        with self._lock:
            return dict(self._absent)
