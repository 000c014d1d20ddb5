"""What a simulated plant is asked.

Owns the one protocol between whoever knows what a device would measure (the demo's physics, a replayed
file) and the simulators that put it on the wire.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol


class PlantSource(Protocol):
    """Knows what each device would show at any instant."""

    def values(self, device_id: str, at: datetime) -> Mapping[str, float | int] | None:
        """Return the quantities of a device at an instant [UTC], by name and in their units.

        None means that the device does not answer at all (night, broken line, pulled plug). A quantity
        that is absent is shown as not available where the device has a word for that.
        """
