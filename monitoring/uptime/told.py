"""What one sample of a device says of itself, before light, calendar and gaps are looked at.

Pure and vectorised: the same rules for one newest sample and for a month of millions. Owns the codes and
the two thresholds, idle power and dead voltage.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from monitoring.sky.tracks import Flags, Floats
from store.samples import DeviceState, Sample

Codes = NDArray[np.int8]

IDLE_FRACTION = 0.005
IDLE_AT_LEAST_W = 1.0
DEAD_VOLTAGE_V = 40.0
VOLTAGES = ("voltage_a_v", "voltage_b_v", "voltage_c_v", "voltage_ab_v", "voltage_bc_v", "voltage_ca_v")
ALARMS = ("alarm_words_1", "alarm_words_2")


class Told(IntEnum):
    """What a device says; MISSING stands for a stretch without any sample."""

    MUTE = 0
    PRODUCING = 1
    WARNING = 2
    DERATED = 3
    IDLE = 4
    FAULT = 5
    GRID_FAULT = 6
    GRID_DEAD = 7
    STOPPED = 8
    MISSING = 9


TOLD_WORDS = {
    Told.MUTE: "设备应答，但没有功率和状态",
    Told.PRODUCING: "发电正常",
    Told.WARNING: "发电中，设备有告警",
    Told.DERATED: "设备报限功率运行",
    Told.IDLE: "有日照不发电，设备没有报原因",
    Told.FAULT: "设备报故障停机",
    Told.GRID_FAULT: "设备报电网异常",
    Told.GRID_DEAD: "电网侧无电压",
    Told.STOPPED: "设备停机（手动或命令），没有调度或检修记录",
    Told.MISSING: "没有数据",
}
"""What each code means by day, in Chinese."""

WITNESSES = (Told.PRODUCING, Told.WARNING, Told.IDLE)
"""Those whose output tells of the light: they are neither stopped for a named reason nor limited."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns of samples: power [W], device state or NaN, voltages [V], whether an alarm word is set.

    Everything has the shape (rows,); what is missing is NaN. `idle_w` is the power up to which a device
    feeds nothing in.
    """

    power: Floats
    state: Floats
    idle_w: Floats | float
    voltages: Sequence[Floats] = field(default_factory=tuple)
    alarm: Flags | None = None


def idle_power_w(rated_power_w: float) -> float:
    """Return the power [W] up to which a device of a rated power counts as feeding nothing in."""
    return max(IDLE_AT_LEAST_W, IDLE_FRACTION * rated_power_w)


def grid_is_dead(voltages: Sequence[Floats]) -> Flags | None:
    """Tell where the device measures its grid side and finds no voltage; None where none measures it."""
    if not voltages:
        return None
    dead = np.ones(len(voltages[0]), bool)
    measured = np.zeros(len(voltages[0]), bool)
    for voltage in voltages:
        measured |= ~np.isnan(voltage)
        dead &= ~(voltage >= DEAD_VOLTAGE_V)
    return np.asarray(dead & measured, bool)


def told(rows: Rows) -> Codes:
    """Return the code of each row, shape (rows,).

    A device that feeds in runs, whatever else it says; one that does not is judged by the grid's voltage
    first, then by its own state. Without power only a state that names a stop is believed.
    """
    state = rows.state
    producing = rows.power > rows.idle_w
    codes = np.full(len(state), Told.IDLE, np.int8)
    unread = np.isnan(rows.power)
    if unread.any():
        waiting = (state == DeviceState.STANDBY) | (state == DeviceState.STARTING)
        codes[unread & ~waiting] = Told.MUTE
    if not np.isnan(state).all():
        codes[state == DeviceState.STOPPED] = Told.STOPPED
        codes[state == DeviceState.FAULT] = Told.FAULT
        codes[state == DeviceState.GRID_FAULT] = Told.GRID_FAULT
    dead = grid_is_dead(rows.voltages)
    if dead is not None:
        codes[dead] = Told.GRID_DEAD
    codes[producing] = Told.PRODUCING
    warned = _warned(rows)
    if warned.any():
        codes[producing & warned] = Told.WARNING
    codes[producing & (state == DeviceState.DERATED)] = Told.DERATED
    return codes


def _warned(rows: Rows) -> Flags:
    state = rows.state
    warned = (state >= DeviceState.WARNING) & (state <= DeviceState.GRID_FAULT)
    return np.asarray(warned if rows.alarm is None else warned | rows.alarm, bool)


def told_of(sample: Sample, rated_power_w: float) -> Told:
    """Return the code of one sample."""
    values = sample.values
    rows = Rows(
        np.array([values.get("active_power_w", np.nan)], np.float64),
        np.array([values.get("state", np.nan)], np.float64),
        idle_power_w(rated_power_w),
        [np.array([values.get(name, np.nan)], np.float64) for name in VOLTAGES],
        np.array([any(values.get(name, 0) for name in ALARMS)]),
    )
    return Told(int(told(rows)[0]))
