"""What only whole days can tell: low against neighbours, uneven strings, counters, meter against inverter.

Pure. Owns the verdict on each closed day and how many days make a finding. Days on which a device stood still
for a named reason are not judged: they have their own alarm.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

from monitoring.alarms.conditions.findings import Standing
from monitoring.alarms.kinds import AlarmKind
from monitoring.alarms.rules import Rules

DAYS_LOOKED_AT = 10
DARK_DAY_H = 0.5
WHOLE_DAY = 0.9
_MAD_TO_SIGMA = 1.4826
_SPREAD_AT_LEAST = 0.02
_MINUTES_PER_DAY = 1440


@dataclass(frozen=True, slots=True)
class Peers:
    """The yields of comparable inverters on one day [h]: how many, their median, and robust spread."""

    count: int
    middle_h: float
    spread_h: float

    @classmethod
    def of(cls, yields_h: Sequence[float]) -> "Peers":
        """Return median and 1.4826 x MAD of some yields [h]; at least one. The spread is no less than 2 %."""
        middle = median(yields_h)
        spread = _MAD_TO_SIGMA * median(abs(one - middle) for one in yields_h)
        return cls(len(yields_h), middle, max(spread, _SPREAD_AT_LEAST * middle))


def low_yield_day(yield_h: float | None, peers: Peers | None, rules: Rules) -> Standing:
    """Return whether one day's yield [h] is low against comparable inverters, well, or neither.

    Source: modified z-score on median and MAD, Iglewicz and Hoaglin (1993); a share of the median besides,
    so that a very even fleet does not alarm on little.
    """
    if yield_h is None or peers is None or peers.count < rules.number("low_yield_peers"):
        return Standing.HOLD
    if peers.middle_h < DARK_DAY_H:
        return Standing.HOLD
    share = yield_h / peers.middle_h
    score = (peers.middle_h - yield_h) / peers.spread_h
    if share < rules.number("low_yield_share") and score >= rules.number("low_yield_score"):
        return Standing.ON
    return Standing.OFF if share >= rules.number("low_yield_clear_share") else Standing.HOLD


def share_day(share: float | None, opens: float, clears: float) -> Standing:
    """Return whether one day's share is too small (below `opens`), well (`clears` and above), or neither."""
    if share is None:
        return Standing.HOLD
    return Standing.ON if share < opens else Standing.OFF if share >= clears else Standing.HOLD


@dataclass(frozen=True, slots=True)
class Verdict:
    """What some days say together: the standing, and the first day of the wrong ones in a row."""

    standing: Standing
    since: date | None = None


def verdict(days: Mapping[date, Standing], kind: AlarmKind, rules: Rules) -> Verdict:
    """Return what the days say: wrong when the last so many known ones all are, over when all are well.

    How many is the debounce of the kind in days, at least one. A day that tells nothing is passed over.
    """
    known = [(day, days[day]) for day in sorted(days) if days[day] is not Standing.HOLD]
    opens, closes = _days(rules.opens_after(kind)), _days(rules.closes_after(kind))
    last = [standing for _day, standing in known]
    if len(last) >= closes and all(one is Standing.OFF for one in last[-closes:]):
        return Verdict(Standing.OFF)
    if len(last) >= opens and all(one is Standing.ON for one in last[-opens:]):
        begins = len(last)
        while begins and last[begins - 1] is Standing.ON:
            begins -= 1
        return Verdict(Standing.ON, known[begins][0])
    return Verdict(Standing.HOLD)


def _days(wait: timedelta) -> int:
    return max(1, math.ceil(wait.total_seconds() / 60 / _MINUTES_PER_DAY))


@dataclass(frozen=True, slots=True)
class Inputs:
    """Mean voltage [V] and current [A] of each DC input of a device over one day, None where not measured."""

    voltages: tuple[float | None, ...]
    currents: tuple[float | None, ...]

    def powers(self) -> dict[int, float]:
        """Return the power of each measured input by its number, or its current where no voltage is known."""
        whole = all(
            voltage is not None
            for voltage, current in zip(self.voltages, self.currents, strict=True)
            if current is not None
        )
        return {
            number: max(0.0, current) * (voltage or 0.0 if whole else 1.0)
            for number, (voltage, current) in enumerate(
                zip(self.voltages, self.currents, strict=True), start=1
            )
            if current is not None
        }

    def shares(self) -> dict[int, float]:
        """Return what each input gave of the whole; empty where nothing or one input is measured."""
        powers = self.powers()
        total = sum(powers.values())
        return (
            {number: power / total for number, power in powers.items()}
            if total > 0 and len(powers) > 1
            else {}
        )


USED_INPUT_SHARE = 0.05
BRIGHT_SHARE = 0.02


def usual_shares(days: Sequence[Inputs]) -> dict[int, float]:
    """Return the median share of each input over some days; inputs that were never used are left out."""
    listed: dict[int, list[float]] = {}
    for one in days:
        for number, share in one.shares().items():
            listed.setdefault(number, []).append(share)
    middles = {number: median(shares) for number, shares in listed.items()}
    return {number: share for number, share in middles.items() if share >= USED_INPUT_SHARE}
