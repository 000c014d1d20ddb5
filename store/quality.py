"""Quality flags: what is doubtful about a sample or a figure.

Owns the flag bits and the pure checks that set them. A flag never changes a value: whoever reads a
flagged value decides whether to use it, and says so.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntFlag

from store.samples import QUANTITIES, QuantityKind, Sample

AHEAD_LIMIT = timedelta(minutes=5)
SKEW_LIMIT_S = 60
POWER_MARGIN_PERCENT = 110


class Flag(IntFlag):
    """Bits of a sample's or a figure's `flags`."""

    RANGE = 1
    STUCK = 2
    GAP = 4
    RESET = 8
    CLOCK = 16
    GLITCH = 32
    ZERO = 64
    ROLLOVER = 128
    WITNESS = 256
    UNSUPPORTED = 512
    MEAN = 1024


FLAG_LABELS = {
    Flag.RANGE: "超出合理范围",
    Flag.STUCK: "数值卡死",
    Flag.GAP: "数据缺口",
    Flag.RESET: "电量计数归零或换机",
    Flag.CLOCK: "时钟可疑",
    Flag.GLITCH: "计数跳变已剔除",
    Flag.ZERO: "零读数已剔除",
    Flag.ROLLOVER: "计数翻转",
    Flag.WITNESS: "与功率积分不符",
    Flag.UNSUPPORTED: "电量增长超过装机能力",
    Flag.MEAN: "原始数据已过保存期，为 15 分钟均值",
}


def flag_labels(flags: int) -> tuple[str, ...]:
    """Return the Chinese words of every flag that is set."""
    return tuple(label for flag, label in FLAG_LABELS.items() if flags & flag)


_RANGES: dict[str, tuple[float, float]] = {
    "power_factor": (-1.0, 1.0),
    "frequency_hz": (45.0, 55.0),
    "internal_temperature_c": (-45.0, 120.0),
    "ambient_temperature_c": (-60.0, 60.0),
    "module_temperature_c": (-60.0, 110.0),
    "irradiance_w_m2": (-20.0, 1800.0),
    "insulation_resistance_ohm": (0.0, 1e9),
}


def _range_of(name: str, rated_power_w: int) -> tuple[float, float] | None:
    """Return the plausible range of a quantity, or None where nothing is known."""
    if name in _RANGES:
        return _RANGES[name]
    if name == "active_power_w" and rated_power_w > 0:
        limit = rated_power_w * POWER_MARGIN_PERCENT / 100
        return (-limit, limit)
    if name.startswith(("voltage_", "dc_voltage_")):
        return (0.0, 2000.0)
    if QUANTITIES[name].kind is QuantityKind.COUNTER:
        return (0.0, 1e15)
    return None


def out_of_range(sample: Sample, rated_power_w: int) -> tuple[str, ...]:
    """Return the quantities of a sample that lie outside what is physically plausible.

    `rated_power_w` [W] bounds the power; 0 when it is unknown.
    """
    found = []
    for name, value in sample.values.items():
        limits = _range_of(name, rated_power_w)
        if limits is not None and not limits[0] <= value <= limits[1]:
            found.append(name)
    return tuple(found)


def clock_suspect(sample: Sample) -> bool:
    """Tell whether a sample claims a time more than 5 minutes ahead of its receipt, or reports a skew."""
    skew = sample.values.get("clock_skew_s")
    ahead = sample.time - sample.received_at > AHEAD_LIMIT
    return ahead or (skew is not None and abs(skew) > SKEW_LIMIT_S)


def check(sample: Sample, rated_power_w: int = 0) -> int:
    """Return the flags that one sample alone deserves, those it has included."""
    flags = sample.flags
    if out_of_range(sample, rated_power_w):
        flags |= Flag.RANGE
    if clock_suspect(sample):
        flags |= Flag.CLOCK
    return int(flags)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch [start, end] of samples with a finding about it."""

    start: datetime
    end: datetime
    flag: Flag


def gaps(times: Sequence[datetime], longest: timedelta) -> list[Stretch]:
    """Return the stretches between neighbouring `times` (ordered) that are longer than `longest`."""
    pairs = itertools.pairwise(times)
    return [Stretch(before, after, Flag.GAP) for before, after in pairs if after - before > longest]


def stuck(readings: Sequence[tuple[datetime, float]], longest: timedelta) -> list[Stretch]:
    """Return the stretches in which a value that should move repeats itself for longer than `longest`.

    `readings` are ordered (time, value); zero is no stuck value (a panel at night gives zero).
    """
    found: list[Stretch] = []
    begin = 0
    for index in range(1, len(readings) + 1):
        if index < len(readings) and readings[index][1] == readings[begin][1]:
            continue
        first, last = readings[begin], readings[index - 1]
        if first[1] != 0 and last[0] - first[0] > longest:
            found.append(Stretch(first[0], last[0], Flag.STUCK))
        begin = index
    return found
