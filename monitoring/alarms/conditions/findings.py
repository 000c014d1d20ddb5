"""What is found wrong at one moment, before time has told whether it lasts.

Pure. Owns the finding and the hysteresis: beyond the threshold a condition holds, well inside it is over, and
in between, at night, or without data nothing is said, so that an alarm neither begins nor ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from monitoring.alarms.kinds import AlarmKind, AlarmSeverity, SubjectKind
from monitoring.alarms.rules import Rules
from registry.stations import Device, Station


class Standing(StrEnum):
    """Whether a condition holds, is over, or cannot be told."""

    ON = "on"
    OFF = "off"
    HOLD = "hold"


def beyond(value: float | None, opens: float, clears: float) -> Standing:
    """Return how a value stands to a threshold above which it is wrong: `clears` <= `opens`."""
    if value is None:
        return Standing.HOLD
    return Standing.ON if value > opens else Standing.OFF if value <= clears else Standing.HOLD


def below(value: float | None, opens: float, clears: float) -> Standing:
    """Return how a value stands to a threshold below which it is wrong: `clears` >= `opens`."""
    return beyond(None if value is None else -value, -opens, -clears)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a finding is about, as it is stored; `power_w` is the rated power that it concerns."""

    kind: SubjectKind
    id: str
    division_code: str
    station_id: str = ""
    device_id: str = ""
    power_w: int = 0

    @classmethod
    def of_device(cls, device: Device, place: Station) -> "Subject":
        """Return a device as a subject."""
        return cls(
            SubjectKind.DEVICE, device.id, place.division_code, place.id, device.id, device.rated_power_w
        )

    @classmethod
    def of_station(cls, place: Station) -> "Subject":
        """Return a whole station as a subject."""
        return cls(SubjectKind.STATION, place.id, place.division_code, place.id, power_w=place.rated_power_w)

    def key(self, family: str, detail: str = "") -> str:
        """Return the name of the one cause that a family of conditions has at this subject."""
        return ":".join(part for part in (family, self.kind, self.id, detail) if part)


@dataclass(frozen=True, slots=True)
class Finding:
    """How one cause stands at one moment.

    `severity` is None where the county does not want the kind judged. `opens_after` and `closes_after` are
    the debounce. `cause` is a Chinese clause, `evidence` the figures by Chinese label. `since` [UTC] is when
    the evidence says that it began; `covered_by` names a wider cause that explains it.
    """

    key: str
    kind: AlarmKind
    subject: Subject
    standing: Standing
    severity: AlarmSeverity | None
    opens_after: timedelta = timedelta()
    closes_after: timedelta = timedelta()
    cause: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None
    covered_by: str = ""
    lost_wh: int | None = None


def finding(
    kind: AlarmKind, subject: Subject, standing: Standing, rules: Rules, *, key: str = "", **told: object
) -> Finding:
    """Return a finding with the severity and the debounce that the rules give its kind."""
    treatment = rules.treatment(kind)
    return Finding(
        key or subject.key(kind),
        kind,
        subject,
        standing,
        treatment.severity,
        opens_after=treatment.opens_after,
        closes_after=treatment.closes_after,
        **told,  # type: ignore[arg-type]
    )
