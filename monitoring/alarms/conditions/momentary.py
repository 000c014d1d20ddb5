"""What is wrong now with each inverter: from its state and its newest sample.

Owns the conditions that one sample and the nine states decide. It reads nothing: whoever asks brings how the
inverters stand (`monitoring.uptime.present`). Only what is wrong, or what somebody waits for, is returned.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from monitoring.alarms.conditions.findings import Finding, Standing, Subject, below, beyond, finding
from monitoring.alarms.kinds import AlarmKind, AlarmSeverity
from monitoring.alarms.rules import Rules
from monitoring.states import Opinion, StationState, stale_after
from monitoring.uptime.present import Present
from monitoring.uptime.told import Told, told_of
from registry.stations import Device, Station
from store.samples import DeviceState

STANDSTILL, GRID, COMMUNICATION, VENDOR = "standstill", "grid", "communication", "vendor"
WIDE_KINDS: Mapping[str, AlarmKind] = {
    STANDSTILL: AlarmKind.OUTAGE,
    GRID: AlarmKind.GRID_OUTAGE,
    COMMUNICATION: AlarmKind.COMMUNICATION,
}
"""The families that a whole station or a whole division can share, and what they are called there."""

_RUNS = frozenset({StationState.NORMAL, StationState.WARNING, StationState.CURTAILED})
_SAID = _RUNS | {StationState.FAULT, StationState.GRID_OUTAGE}
_IDLE_WORDS = "白天不发电"
_LINE_TO_PHASE = 3**0.5
_CLASS_FROM = 0.94
_HIGHER_CLASSES = (277.0, 289.0, 312.0, 462.0)
"""Phase voltages of inverters behind a transformer of their own (480, 500, 540, 800 V between lines)."""


@dataclass(frozen=True, slots=True)
class VendorAlarm:
    """An alarm that a device shows: the vendor's code, whether it is `major`, and its Chinese text."""

    code: str
    major: bool
    text: str


Explain = Callable[[str, Mapping[str, float | int]], tuple[VendorAlarm, ...]]
"""Tells what the alarm words in a sample's values mean under a device profile."""


def no_vendor_texts(profile: str, values: Mapping[str, float | int]) -> tuple[VendorAlarm, ...]:  # noqa: ARG001, one of the ways to explain
    """Explain nothing: no alarm word has a meaning."""
    return ()


@dataclass(frozen=True, slots=True)
class Look:
    """One inverter as it is looked at: where it stands, its state, its fresh values (None when stale)."""

    device: Device
    place: Station
    opinion: Opinion
    values: Mapping[str, float | int] | None
    rules: Rules
    told: Told
    subject: Subject
    vendor: tuple[VendorAlarm, ...] = ()

    def measured(self, name: str) -> float | None:
        """Return a value that was measured while the device was awake, None otherwise."""
        if self.values is None or self.opinion.state not in _SAID or name not in self.values:
            return None
        return float(self.values[name])


def looks(
    standing: Present,
    places: Mapping[str, Station],
    rules: Mapping[str, Rules],
    explain: Explain,
) -> Iterator[Look]:
    """Yield every inverter with its evidence; `rules` are those of each station."""
    for station_id, members in standing.inverters.items():
        for device in members:
            sample = standing.latest.get(device.id)
            fresh = sample is not None and standing.now - sample.time <= stale_after(device.cycle_seconds)
            values = sample.values if sample is not None and fresh else None
            opinion = standing.opinions[device.id]
            faulty = sample is not None and opinion.state is StationState.FAULT
            said = told_of(sample, device.rated_power_w) if sample is not None and faulty else Told.MISSING
            words = values is not None and (values.get("alarm_words_1") or values.get("alarm_words_2"))
            yield Look(
                device,
                places[station_id],
                opinion,
                values,
                rules[station_id],
                said,
                Subject.of_device(device, places[station_id]),
                explain(device.profile, values) if words and values is not None else (),
            )


def standing_findings(look: Look) -> tuple[Finding, ...]:
    """Return how standstill, grid and communication stand at an inverter; three causes, at most one holds."""
    return tuple(_standing(look, family) for family in WIDE_KINDS)


_HOLDS = {
    STANDSTILL: (
        frozenset({StationState.FAULT}),
        frozenset({StationState.NORMAL, StationState.WARNING, StationState.CURTAILED}),
    ),
    GRID: (frozenset({StationState.GRID_OUTAGE}), _RUNS | {StationState.FAULT}),
    COMMUNICATION: (frozenset({StationState.OFFLINE}), _SAID | {StationState.UNKNOWN}),
}
"""Of each family: the states in which the condition holds, and those in which it is over."""


def _standing(look: Look, family: str) -> Finding:
    holds, over = _HOLDS[family]
    state = look.opinion.state
    standing = Standing.ON if state in holds else Standing.OFF if state in over else Standing.HOLD
    kind = WIDE_KINDS[family]
    if family == STANDSTILL:
        # Without neighbours to compare with, an idle inverter at noon is all that is known.
        alone = state is StationState.WARNING and look.opinion.reason.startswith(_IDLE_WORDS)
        standing = Standing.ON if alone else standing
        kind = AlarmKind.ZERO_POWER if alone or look.told is Told.IDLE else AlarmKind.OUTAGE
    if family == COMMUNICATION and state is StationState.UNKNOWN and look.values is None:
        standing = Standing.HOLD
    return finding(
        kind,
        look.subject,
        standing,
        look.rules,
        key=look.subject.key(family),
        cause=_reason(look) if standing is Standing.ON else "",
        evidence=_figures(look) if standing is Standing.ON else {},
        since=look.opinion.since if standing is Standing.ON else None,
    )


def _reason(look: Look) -> str:
    """Return why a device stands still, with what the vendor's alarms and the insulation say."""
    parts = [look.opinion.reason, *dict.fromkeys(alarm.text for alarm in look.vendor)]
    insulation = _insulation(look)
    if insulation.standing is Standing.ON:
        parts.append(insulation.cause)
    return "；".join(parts)


def _figures(look: Look) -> dict[str, str]:
    """Return the figures that led to a finding."""
    named = (("有功功率 (W)", "active_power_w"), ("A 相电压 (V)", "voltage_a_v"), ("厂家状态码", "state_raw"))
    values = look.values or {}
    figures = {label: f"{values[name]:g}" for label, name in named if name in values}
    codes = "、".join(alarm.code for alarm in look.vendor)
    return figures | ({"厂家告警码": codes} if codes else {})


def detail_findings(
    look: Look, wanted: Collection[str], vendor_wanted: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield what else is wrong with an inverter; what is well only where its key is wanted.

    `vendor_wanted` are the wanted keys of this device's own alarms.

    A device that stands still for the grid or a fault has one cause, which covers all the rest.
    """
    covered = ""
    if look.opinion.state is StationState.FAULT:
        covered = look.subject.key(STANDSTILL)
    if look.opinion.state is StationState.GRID_OUTAGE:
        covered = look.subject.key(GRID)
    measured = (_insulation, _temperature, _voltage, _frequency)
    for judge in measured:
        found = judge(look)
        if found.standing is Standing.ON or found.key in wanted:
            yield _covered(found, covered)
    clock = _clock(look)
    if clock.standing is Standing.ON or clock.key in wanted:
        yield clock
    yield from (_covered(found, covered) for found in _vendor(look, vendor_wanted))


def _covered(found: Finding, by: str) -> Finding:
    return replace(found, covered_by=by) if by else found


def _insulation(look: Look) -> Finding:
    value = look.measured("insulation_resistance_ohm")
    state = (look.values or {}).get("state")
    if value is not None and value <= 0 and state != DeviceState.FAULT:
        # An inverter that runs has no dead short: nought means that it was not measured.
        value = None
    low, clear = look.rules.number("insulation_ohm"), look.rules.number("insulation_clear_ohm")
    words = "" if value is None else f"绝缘电阻 {value / 1000:.1f} kΩ，低于 {low / 1000:g} kΩ"
    return _measured(look, AlarmKind.INSULATION, below(value, low, clear), words, ("绝缘电阻 (Ω)", value))


def _temperature(look: Look) -> Finding:
    value = look.measured("internal_temperature_c")
    high, clear = look.rules.number("temperature_c"), look.rules.number("temperature_clear_c")
    words = "" if value is None else f"机内 {value:.1f} °C，高于 {high:g} °C"
    return _measured(
        look, AlarmKind.OVER_TEMPERATURE, beyond(value, high, clear), words, ("机内温度 (°C)", value)
    )


def _measured(
    look: Look, kind: AlarmKind, standing: Standing, words: str, figure: tuple[str, float | None]
) -> Finding:
    label, value = figure
    evidence = {} if value is None else {label: f"{value:g}"}
    return finding(kind, look.subject, standing, look.rules, cause=words, evidence=evidence)


def phase_voltages(values: Mapping[str, float | int]) -> dict[str, float]:
    """Return the voltages [V] of each phase to neutral, or of each pair of lines brought to that."""
    phases = {f"{name.upper()} 相": values.get(f"voltage_{name}_v") for name in "abc"}
    found = {name: float(value) for name, value in phases.items() if value}
    if found:
        return found
    pairs = {f"{name.upper()} 线": values.get(f"voltage_{name}_v") for name in ("ab", "bc", "ca")}
    return {name: float(value) / _LINE_TO_PHASE for name, value in pairs.items() if value}


def nominal_voltage(highest: float, registered: float) -> float:
    """Return the nominal phase voltage [V] that a measured one belongs to.

    It is the registered one, or that of the highest usual class that the voltage all but reaches.
    """
    reached = [one for one in _HIGHER_CLASSES if one > registered and highest >= _CLASS_FROM * one]
    return max(reached, default=registered)


def _voltage(look: Look) -> Finding:
    phases = phase_voltages(look.values or {}) if look.opinion.state in _RUNS else {}
    if not phases:
        return _measured(look, AlarmKind.GRID_VOLTAGE, Standing.HOLD, "", ("电压 (V)", None))
    number = look.rules.number
    nominal = nominal_voltage(max(phases.values()), number("voltage_nominal_v"))
    high, low, inside = (
        number("voltage_high_share"),
        number("voltage_low_share"),
        number("voltage_clear_share"),
    )
    shares = {name: value / nominal for name, value in phases.items()}
    worst = max(shares, key=lambda name: max(shares[name] / high, low / shares[name]))
    share, value = shares[worst], phases[worst]
    over = beyond(share, high, high - inside)
    under = below(share, low, low + inside)
    standing = next(one for one in (Standing.ON, Standing.HOLD, Standing.OFF) if one in {over, under})
    limit = high if over is Standing.ON else low
    verb = "高于" if over is Standing.ON else "低于"
    words = f"{worst}电压 {value:.1f} V，{verb}额定 {nominal:g} V 的 {limit:.0%}"
    return _measured(look, AlarmKind.GRID_VOLTAGE, standing, words, (f"{worst}电压 (V)", value))


def _frequency(look: Look) -> Finding:
    value = look.measured("frequency_hz") or None
    if look.opinion.state not in _RUNS:
        value = None
    number = look.rules.number
    high, low, inside = number("frequency_high_hz"), number("frequency_low_hz"), number("frequency_clear_hz")
    over, under = beyond(value, high, high - inside), below(value, low, low + inside)
    standing = next(one for one in (Standing.ON, Standing.HOLD, Standing.OFF) if one in {over, under})
    verb, limit = ("高于", high) if over is Standing.ON else ("低于", low)
    words = "" if value is None else f"频率 {value:.2f} Hz，{verb} {limit:g} Hz"
    return _measured(look, AlarmKind.GRID_FREQUENCY, standing, words, ("频率 (Hz)", value))


def _clock(look: Look) -> Finding:
    skew = None if look.values is None else look.values.get("clock_skew_s")
    value = None if skew is None else abs(float(skew))
    standing = beyond(value, look.rules.number("clock_s"), look.rules.number("clock_clear_s"))
    way = "快" if skew is not None and skew > 0 else "慢"
    words = "" if value is None else f"设备时钟{way} {value / 60:.0f} 分钟"
    return _measured(
        look, AlarmKind.CLOCK, standing, words, ("时钟偏差 (秒)", None if skew is None else skew)
    )


def _vendor(look: Look, wanted: Iterable[str]) -> Iterator[Finding]:
    """Yield the device's own alarms, in the vendor's words; at night they are no fault."""
    awake = look.opinion.state in _SAID and look.values is not None
    shown = {alarm.code: alarm for alarm in look.vendor} if awake else {}
    prefix = look.subject.key(VENDOR) + ":"
    for alarm in shown.values():
        severity = AlarmSeverity.MAJOR if alarm.major else look.rules.severity(AlarmKind.VENDOR)
        found = finding(
            AlarmKind.VENDOR,
            look.subject,
            Standing.ON,
            look.rules,
            key=prefix + alarm.code,
            cause=f"设备报“{alarm.text}”（代码 {alarm.code}）",
            evidence={"厂家告警码": alarm.code},
        )
        judged = look.rules.severity(AlarmKind.VENDOR) is not None
        yield replace(found, severity=severity if judged else None)
    for key in wanted:
        if key.removeprefix(prefix) not in shown:
            standing = Standing.OFF if awake else Standing.HOLD
            yield finding(AlarmKind.VENDOR, look.subject, standing, look.rules, key=key)
