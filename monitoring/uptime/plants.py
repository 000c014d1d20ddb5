"""Who is judged: machines under the same sky, from the registry or from foreign history alone.

Owns which inverters stood where in a period, which sensor tells of their light, and what stands in the
calendar for them. It reads no samples but the newest, by which foreign devices are known.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from monitoring.calendar.dispatch import DispatchKind, dispatch_between
from monitoring.calendar.planned import planned_between
from monitoring.sky.light import Place
from monitoring.uptime.judging.setting import Span
from registry.actors import SYSTEM, area_prefix
from registry.stations import Device, DeviceKind, Station, devices
from store.periods import local_midnight
from store.samples import Sample
from store.series import SeriesStore

FOREIGN_GROUP = "imported"
IRRADIANCE, POWER, COUNTER = "irradiance_w_m2", "active_power_w", "generated_energy_wh"


@dataclass(frozen=True, slots=True)
class Machine:
    """A device to be judged: its id, its group (station), its rated power [W] or 0 when unknown.

    `first` and `end` [UTC] bound the time in which it stood there, where that is known; `cycle_s` is its
    registered cycle [s], 0 when only its samples tell.
    """

    device_id: str
    group: str
    rated_power_w: float
    first: datetime | None = None
    end: datetime | None = None
    cycle_s: float = 0.0

    def within(self, interval: tuple[datetime, datetime]) -> tuple[float, float]:
        """Return the part of an interval in which the machine stood there [s since 1970]."""
        first = max(interval[0], self.first or interval[0])
        end = min(interval[1], self.end or interval[1])
        return first.timestamp(), max(first, end).timestamp()


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in the calendar of a station, a device or an area: (subject, span)."""

    subject_id: str
    span: Span


@dataclass(frozen=True, slots=True)
class Calendar:
    """What was announced, ordered, or beyond anybody's power; `subject_id` may be a division code."""

    planned: tuple[Entry, ...] = ()
    ordered: tuple[Entry, ...] = ()
    majeure: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Plant:
    """Machines that stand under the same sky: where, and the devices that measure irradiance.

    `division_code` is the village that hosts it, empty when unknown.
    """

    machines: tuple[Machine, ...]
    place: Place | None = None
    sensors: tuple[str, ...] = ()
    division_code: str = ""
    calendar: Calendar = Calendar()

    def spans(self, machine: Machine, entries: Iterable[Entry]) -> tuple[Span, ...]:
        """Return the spans of a calendar that concern one machine: its own, its station's, its area's."""
        return tuple(entry.span for entry in entries if self._concerns(machine, entry.subject_id))

    def _concerns(self, machine: Machine, subject_id: str) -> bool:
        if subject_id in {machine.device_id, machine.group}:
            return True
        area = area_prefix(subject_id) if subject_id.isdigit() else ""
        return (
            bool(area) and len(subject_id) == len(self.division_code) and self.division_code.startswith(area)
        )


def calendar_between(session: Session, start: datetime, end: datetime) -> Calendar:
    """Return what stands in the calendar of anybody in [start, end) [UTC]."""
    orders = dispatch_between(session, start, end)

    def entries(kinds: Collection[DispatchKind]) -> tuple[Entry, ...]:
        return tuple(
            Entry(order.subject_id, Span(order.start.timestamp(), (order.end or end).timestamp(), order.note))
            for order in orders
            if order.kind in kinds
        )

    planned = tuple(
        Entry(subject, Span(begin.timestamp(), finish.timestamp(), words))
        for subject, begin, finish, words in planned_between(session, start, end)
    )
    ordered = entries({DispatchKind.CURTAILMENT, DispatchKind.STOP})
    return Calendar(planned, ordered, entries({DispatchKind.MAJEURE}))


def _machine(one: Device) -> Machine:
    return Machine(
        one.id,
        one.station_id,
        float(one.rated_power_w),
        local_midnight(one.installed_on),
        local_midnight(one.removed_on) if one.removed_on else None,
        float(one.cycle_seconds),
    )


def registered_plants(
    session: Session, found: Iterable[Station], interval: tuple[datetime, datetime]
) -> list[Plant]:
    """Return stations as plants: the inverters that stood there in an interval [UTC], and the sensors."""
    members: dict[str, list[Device]] = {}
    for one in devices(session, SYSTEM):
        gone = one.removed_on is not None and local_midnight(one.removed_on) <= interval[0]
        if local_midnight(one.installed_on) < interval[1] and not gone:
            members.setdefault(one.station_id, []).append(one)
    calendar = calendar_between(session, *interval)
    plants = []
    for station in found:
        mine = members.get(station.id, [])
        machines = tuple(_machine(one) for one in mine if one.kind == DeviceKind.INVERTER)
        sensors = tuple(one.id for one in mine if one.kind == DeviceKind.SENSOR)
        place = Place(station.latitude, station.longitude)
        plants.append(Plant(machines, place, sensors, station.division_code, calendar))
    return plants


def is_sensor(newest: Sample) -> bool:
    """Tell by a device's newest sample whether it measures irradiance and neither power nor energy."""
    return IRRADIANCE in newest.values and not {POWER, COUNTER} & newest.values.keys()


def foreign_plant(series: SeriesStore, known: Collection[str], place: Place | None = None) -> Plant | None:
    """Return the devices of the store that no registry names, as one plant; None where there are none.

    This is how imported history of a foreign plant is judged: whoever shows irradiance and neither power nor
    counter is the sensor, the others are machines whose rated power is taken from their best output.
    """
    strangers = {name: sample for name, sample in sorted(series.latest().items()) if name not in known}
    sensors = tuple(name for name, sample in strangers.items() if is_sensor(sample))
    machines = tuple(
        Machine(name, FOREIGN_GROUP, 0.0)
        for name, sample in strangers.items()
        if {POWER, COUNTER} & sample.values.keys()
    )
    return Plant(machines, place, sensors) if machines else None
