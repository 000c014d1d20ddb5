"""What an evaluation gives back: intervals of states with reasons, hours by cause, outages, energy.

Frozen records and their sums, no store. They are made in `evaluation`, kept by `keeping`, and shown by
commands, pages and reports.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from monitoring.states import StationState
from monitoring.uptime.causes import Availability, Cause, Hours, added, availability


@dataclass(frozen=True, slots=True)
class StateInterval:
    """One stretch [start, end) [UTC] of a device or a station in one state, and why.

    `subject_id` is the device or the station; `cause` is where the time counts in the availability;
    `reason` is a Chinese sentence; `received` tells whether data were there. The intervals of one subject
    follow each other without a hole.
    """

    subject_id: str
    start: datetime
    end: datetime
    state: StationState
    cause: Cause
    reason: str
    received: bool = True


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch in which a device did not run for one cause: [start, end) [UTC], its time with light [h].

    An outage goes on through the night when the device does not run before the next stretch of the cause.
    `lost_wh` is the energy that comparable devices made meanwhile, None where that is not known; `ongoing`
    tells that it lasts at the end of what was asked.
    """

    device_id: str
    cause: Cause
    start: datetime
    end: datetime
    light_h: float
    reason: str = ""
    lost_wh: float | None = None
    ongoing: bool = False


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of a device or of many over the period [Wh]; None where it is not known.

    `lost_wh` is by cause, estimated from comparable devices; it is empty and `modelled` false where nothing
    tells what should have been generated.
    """

    generated_wh: float | None = None
    lost_wh: Mapping[Cause, float] = field(default_factory=dict)
    modelled: bool = False

    @property
    def availability(self) -> float | None:
        """A_energy = generated / (generated + lost by the equipment), 0..1."""
        return self._share(self.lost_wh.get(Cause.FORCED, 0.0))

    @property
    def availability_all_causes(self) -> float | None:
        """generated / (generated + lost by whatever cause), 0..1."""
        return self._share(sum(self.lost_wh.values()))

    def _share(self, lost_wh: float) -> float | None:
        if not self.modelled or self.generated_wh is None or self.generated_wh + lost_wh <= 0:
            return None
        return self.generated_wh / (self.generated_wh + lost_wh)


def energies_added(parts: Iterable[Energy]) -> Energy:
    """Return the sum of energies; it is modelled only where every part is."""
    listed = list(parts)
    known = [part.generated_wh for part in listed if part.generated_wh is not None]
    lost: dict[Cause, float] = {}
    for part in listed:
        for cause, lost_wh in part.lost_wh.items():
            lost[cause] = lost.get(cause, 0.0) + lost_wh
    modelled = bool(listed) and all(part.modelled for part in listed)
    return Energy(sum(known) if known else None, lost, modelled)


@dataclass(frozen=True, slots=True)
class DeviceUptime:
    """One device over the period: hours by cause, what follows, its states, its outages, its energy.

    `group` is its station; `rule` says in Chinese by which rule time counted as usable.
    """

    device_id: str
    group: str
    rated_power_w: float
    rule: str
    hours: Hours
    energy: Energy = field(default_factory=Energy)
    outages: tuple[Outage, ...] = ()
    intervals: tuple[StateInterval, ...] = ()

    @property
    def availability(self) -> Availability:
        """The device's availabilities."""
        return availability(self.hours)


class Level(StrEnum):
    """What a line of the answer is about."""

    DEVICE = "device"
    STATION = "station"
    TOWNSHIP = "township"
    COUNTY = "county"


@dataclass(frozen=True, slots=True)
class AreaUptime:
    """A station, township or county over the period.

    `hours` are 台时, the plain sum over its devices [h]; `weighted` are the same weighted by rated power
    [h x W], from which the availabilities follow. `rules` are the different rules used, in Chinese.
    """

    level: Level
    key: str
    name: str
    devices: int
    rated_power_w: float
    rules: tuple[str, ...]
    hours: Hours
    weighted: Hours
    energy: Energy
    outages: tuple[Outage, ...]

    @property
    def availability(self) -> Availability:
        """The availabilities, weighted by rated power."""
        return availability(self.weighted)


def area_uptime(level: Level, key: str, name: str, members: Iterable[DeviceUptime]) -> AreaUptime:
    """Return the sum of some devices, weighted by rated power."""
    listed = list(members)
    return AreaUptime(
        level=level,
        key=key,
        name=name,
        devices=len(listed),
        rated_power_w=sum(one.rated_power_w for one in listed),
        rules=tuple(sorted({one.rule for one in listed})),
        hours=added(one.hours for one in listed),
        weighted=added(one.hours.weighted(max(1.0, one.rated_power_w)) for one in listed),
        energy=energies_added(one.energy for one in listed),
        outages=tuple(
            sorted((o for one in listed for o in one.outages), key=lambda o: (o.start, o.device_id))
        ),
    )
