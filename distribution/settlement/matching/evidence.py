"""What is known of a station's month from inverter to bank: the evidence that a match judges.

Records only; where they come from is `distribution.matching`'s. Energy [Wh], money [fen], shares in parts
per million, so that everything is exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction

from distribution.types import Settlement
from store.energy import DeviceEnergy, Method
from store.quality import Flag

PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Measured:
    """A station's measured energy [Wh] of a month: the sum of its inverters, and the least completeness.

    `energy_wh` is None when no inverter gave a figure; `silent` counts those; `is_partial` says that some
    energy is missing from the sum, `flags` what is doubtful about it.
    """

    energy_wh: int | None = None
    estimated_wh: int = 0
    completeness_ppm: int = PPM
    silent: int = 0
    is_partial: bool = False
    flags: int = 0

    def plus(self, energy: DeviceEnergy) -> "Measured":
        """Return the sum with one more inverter."""
        if energy.energy_wh is None:
            return replace(self, silent=self.silent + 1, completeness_ppm=0, is_partial=True)
        flags = self.flags | energy.flags
        if energy.method == Method.RESET:
            flags |= Flag.RESET
        return Measured(
            (self.energy_wh or 0) + energy.energy_wh,
            self.estimated_wh + energy.estimated_wh,
            min(self.completeness_ppm, int(energy.completeness * PPM)),
            self.silent,
            self.is_partial or energy.method == Method.PARTIAL,
            flags,
        )


@dataclass(frozen=True, slots=True)
class Metered:
    """The energy [Wh] of the grid meter as we read it ourselves: collected, or read by a person."""

    energy_wh: int
    source: str
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Loss:
    """The share lost between inverter and meter, and from how many agreed months it was learnt (0: none)."""

    share: Fraction
    months: int = 0


@dataclass(frozen=True, slots=True)
class Tolerances:
    """What counts as equal: a share of the expected energy, an energy [Wh], an amount [fen].

    `due_on` is the day until which electricity money should have arrived.
    """

    energy_share: Fraction
    energy_floor_wh: int
    amount_fen: int
    due_on: date


@dataclass(frozen=True, slots=True)
class Money:
    """What was billed and what arrived of a station's month [fen]: electricity, and both subsidies."""

    electricity_fen: int = 0
    electricity_received_fen: int = 0
    subsidy_fen: int = 0
    subsidy_received_fen: int = 0

    @property
    def billed_fen(self) -> int:
        """Everything billed."""
        return self.electricity_fen + self.subsidy_fen

    @property
    def received_fen(self) -> int:
        """Everything received."""
        return self.electricity_received_fen + self.subsidy_received_fen


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a match looks at; `by_day` is the inverters' energy [Wh] of days around the month.

    `multiplier` is the registry's of the station's meter; `curtailed_wh` what the inverters made while an
    order to curtail was in force; `clock_is_wrong` says that a device's clock was found wrong;
    `off_before_wh` and `off_after_wh` are what the neighbouring months' bills had more than expected.
    """

    station_id: str
    month: str
    on: date
    measured: Measured
    loss: Loss
    tolerances: Tolerances
    bill: Settlement | None = None
    metered: Metered | None = None
    money: Money = Money()
    by_day: Mapping[date, int] = field(default_factory=dict)
    multiplier: int = 1
    is_self_use: bool = False
    curtailed_wh: int = 0
    clock_is_wrong: bool = False
    off_before_wh: int | None = None
    off_after_wh: int | None = None

    @property
    def expected_wh(self) -> int | None:
        """What the meter should show [Wh] by the inverters, None where nothing was measured."""
        if self.measured.energy_wh is None:
            return None
        return int(self.measured.energy_wh * (1 - self.loss.share))

    def after_loss(self, energy_wh: int) -> int:
        """Return some inverter energy [Wh] less the station's loss."""
        return int(energy_wh * (1 - self.loss.share))

    def tolerance_wh(self, expected_wh: int) -> int:
        """Return how far from an expected energy [Wh] still counts as equal."""
        return max(int(abs(expected_wh) * self.tolerances.energy_share), self.tolerances.energy_floor_wh)
