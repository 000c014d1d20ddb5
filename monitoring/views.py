"""What pages and resources are shown of stations; frozen records, no logic.

Owns the records of the overview, the station page and its inverters. Money is not in them: pages add it.
"""

from dataclasses import dataclass
from datetime import datetime

from monitoring.states import Opinion, StateLook, StationState


@dataclass(frozen=True, slots=True)
class InverterView:
    """One inverter now: state with reason, newest figures, None where unknown.

    Powers [W], energies [Wh], temperature [°C]; `last_time` [UTC] is the time of the newest sample and
    `stale` tells whether it is older than it should be. `state_raw` and the alarm words are the vendor's.
    """

    device_id: str
    name: str
    position: int
    profile: str
    serial: str
    rated_power_w: int
    opinion: Opinion
    last_time: datetime | None
    stale: bool
    active_power_w: float | None
    today_wh: int | None
    total_wh: int | None
    temperature_c: float | None
    dc_power_w: float | None
    state_raw: int | None
    yesterday_same_time_wh: int | None = None
    alarm_words_1: int = 0
    alarm_words_2: int = 0


@dataclass(frozen=True, slots=True)
class StationView:
    """One station now: where it is, its state with reason, and its energy.

    `final_yield_today_h` is 等效利用小时 of today so far [h]; `completeness` of the energies is with them.
    """

    station_id: str
    name: str
    kind: str
    village_code: str
    village_name: str
    township_code: str
    township_name: str
    rated_power_w: int
    latitude: float
    longitude: float
    maintenance_company: str
    maintenance_phone: str
    opinion: Opinion
    last_time: datetime | None
    active_power_w: float | None
    today_wh: int | None
    yesterday_same_time_wh: int | None
    month_wh: int | None
    inverters: tuple[InverterView, ...]

    @property
    def state(self) -> StationState:
        """The station's state."""
        return self.opinion.state

    @property
    def look(self) -> StateLook:
        """Word, shape and colour of the state."""
        return self.opinion.look

    @property
    def final_yield_today_h(self) -> float | None:
        """等效利用小时 of today so far [h]."""
        return None if self.today_wh is None else self.today_wh / self.rated_power_w

    @property
    def stale(self) -> bool:
        """Whether no inverter's newest sample is as fresh as it should be."""
        return all(inverter.stale for inverter in self.inverters)


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many stations are in a state, and their rated power [W]."""

    state: StationState
    look: StateLook
    stations: int
    rated_power_w: int


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing that needs a person, as a sentence, worst first.

    `since` [UTC] is when it began and `lost_wh` the estimated energy lost so far, None where unknown;
    `alarm_id` names the open alarm about it, empty where there is none yet.
    """

    station_id: str
    device_id: str
    village_code: str
    state: StationState
    look: StateLook
    sentence: str
    since: datetime | None
    lost_wh: int | None
    maintenance_company: str
    maintenance_phone: str
    alarm_id: str = ""


@dataclass(frozen=True, slots=True)
class TownshipRow:
    """One township: its stations, how many are in each state, and its energies [Wh]."""

    code: str
    name: str
    stations: int
    counts: tuple[StateCount, ...]
    rated_power_w: int
    today_wh: int | None
    month_wh: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    """The first screen of an area; the counts by state add up to the total."""

    at: datetime
    data_time: datetime | None
    total: int
    counts: tuple[StateCount, ...]
    rated_power_w: int
    active_power_w: float | None
    today_wh: int | None
    yesterday_same_time_wh: int | None
    month_wh: int | None
    attention: tuple[Attention, ...]
    townships: tuple[TownshipRow, ...]
    stations: tuple[StationView, ...]

    @property
    def change_percent(self) -> float | None:
        """Today against yesterday at the same time of day [%], None when either is unknown."""
        if self.today_wh is None or not self.yesterday_same_time_wh:
            return None
        return 100 * (self.today_wh / self.yesterday_same_time_wh - 1)
