"""The evidence of closed days, read from the stores, as findings.

Owns which inverters are comparable, which days count, and the texts of what `daily` decides. Everything is
computed again from the last days each time, so that late data correct what was found.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from monitoring.alarms.conditions.findings import Finding, Standing, Subject, finding
from monitoring.alarms.conditions.verdicts import (
    BRIGHT_SHARE,
    DAYS_LOOKED_AT,
    WHOLE_DAY,
    Inputs,
    Peers,
    low_yield_day,
    share_day,
    usual_shares,
    verdict,
)
from monitoring.alarms.kinds import STANDSTILL, AlarmKind
from monitoring.alarms.lifecycle import settled
from monitoring.alarms.rules import RuleBook, Rules
from monitoring.alarms.tables import AlarmRow
from monitoring.energy import DayEnergy, daily_energy
from monitoring.states import StationState
from monitoring.tables import StateIntervalRow
from registry.stations import Device, DeviceKind, RevenueMeter, Station
from store.events import EventKind, OperationalEvent
from store.periods import local_date, local_midnight
from store.series import SeriesStore

DAY = timedelta(days=1)
TOWNSHIP_DIGITS = 9
INPUTS = range(1, 5)
USUAL_LABEL = "平时占比 (%)"
_EXPLAINED = (*sorted(STANDSTILL), AlarmKind.GRID_OUTAGE, AlarmKind.COMMUNICATION)
_EXCUSED = (StationState.PLANNED, StationState.CURTAILED, StationState.GRID_OUTAGE, StationState.FAULT)
_NOTICEABLE = timedelta(minutes=30)
_DEVICES_AT_ONCE = 300

Days = Mapping[tuple[str, date], DayEnergy]
Excused = set[tuple[str, date]]


@dataclass(frozen=True, slots=True)
class Fleet:
    """Who stands where on the day of `now` [UTC]: stations by id, inverters, meters, the rules."""

    now: datetime
    places: Mapping[str, Station]
    inverters: Sequence[Device]
    meters: Sequence[Device]
    revenue_meters: Sequence[RevenueMeter]
    book: RuleBook

    @property
    def today(self) -> date:
        """The local day that is not over yet."""
        return local_date(self.now)

    @property
    def days(self) -> list[date]:
        """The closed days that are looked at, oldest first."""
        return [self.today - DAY * n for n in range(DAYS_LOOKED_AT, 0, -1)]

    def rules(self, station_id: str) -> Rules:
        """Return the rules where a station stands."""
        return self.book.of(self.places[station_id].division_code)


def excused_days(session: Session, fleet: Fleet) -> Excused:
    """Return the days on which a device or a station stood still or was limited for a named reason, by id."""
    first = local_midnight(fleet.days[0])
    alarm, state = AlarmRow, StateIntervalRow
    spans: list[tuple[str, datetime, datetime | None]] = [
        (subject_id, since, until)
        for subject_id, since, until in session.execute(
            select(alarm.subject_id, alarm.opened_at, alarm.closed_at).where(
                alarm.kind.in_([str(kind) for kind in _EXPLAINED]),
                or_(alarm.closed_at.is_(None), alarm.closed_at > first),
            )
        )
    ]
    spans += [
        (subject_id, since, until)
        for subject_id, since, until in session.execute(
            select(state.subject_id, state.start, state.end).where(
                state.state.in_([str(one) for one in _EXCUSED]),
                or_(state.end.is_(None), state.end > first),
                state.start < fleet.now,
            )
        )
        if (until or fleet.now) - since >= _NOTICEABLE
    ]
    return {
        (subject_id, day)
        for subject_id, since, until in spans
        for day in fleet.days
        if since < local_midnight(day + DAY) and (until or fleet.now) > local_midnight(day)
    }


def _yields(fleet: Fleet, energies: Days, excused: Excused) -> dict[tuple[str, date], float]:
    """Return the yields [h] of inverters on whole days on which they were free to generate."""
    return {
        (device.id, day): energy.energy_wh / device.rated_power_w
        for device in fleet.inverters
        if device.rated_power_w
        for day in fleet.days
        if (energy := energies.get((device.id, day))) is not None
        and energy.energy_wh is not None
        and energy.completeness >= WHOLE_DAY
        and not {(device.id, day), (device.station_id, day)} & excused
    }


def _peers(fleet: Fleet, yields: Mapping[tuple[str, date], float]) -> dict[tuple[str, date], Peers]:
    """Return the comparable inverters of each township and county (by code digits) on each day."""
    listed: dict[tuple[str, date], list[float]] = {}
    for device in fleet.inverters:
        code = fleet.places[device.station_id].division_code
        for day in fleet.days:
            value = yields.get((device.id, day))
            if value is not None:
                for area in (code[:TOWNSHIP_DIGITS], code[:6]):
                    listed.setdefault((area, day), []).append(value)
    return {key: Peers.of(values) for key, values in listed.items()}


def low_yield(fleet: Fleet, energies: Days, excused: Excused) -> Iterator[Finding]:
    """Yield how each inverter's yield stands against comparable ones: of its township, or of the county."""
    yields = _yields(fleet, energies, excused)
    peers = _peers(fleet, yields)
    for device in fleet.inverters:
        rules, place = fleet.rules(device.station_id), fleet.places[device.station_id]
        least = rules.number("low_yield_peers")
        beside: dict[date, tuple[str, Peers]] = {}
        for day in fleet.days:
            for area, word in (
                (place.division_code[:TOWNSHIP_DIGITS], "同乡镇"),
                (place.division_code[:6], "全县"),
            ):
                found = peers.get((area, day))
                if found is not None and found.count >= least:
                    beside[day] = (word, found)
                    break
        days = {day: low_yield_day(yields.get((device.id, day)), beside[day][1], rules) for day in beside}
        said = verdict(days, AlarmKind.LOW_YIELD, rules)
        subject = Subject.of_device(device, place)
        made = settled(finding(AlarmKind.LOW_YIELD, subject, said.standing, rules))
        if said.standing is Standing.ON and said.since is not None:
            wrong = [day for day in fleet.days if day >= said.since and days.get(day) is Standing.ON]
            last = wrong[-1]
            lost_h = sum(beside[day][1].middle_h - yields[device.id, day] for day in wrong)
            cause, evidence = _low_words(last, yields[device.id, last], *beside[last])
            made = replace(
                made,
                since=local_midnight(said.since),
                lost_wh=round(lost_h * device.rated_power_w),
                cause=cause,
                evidence=evidence,
            )
        yield made


def _low_words(day: date, yield_h: float, word: str, peers: Peers) -> tuple[str, dict[str, str]]:
    middle = peers.middle_h
    cause = (
        f"{day.month}月{day.day}日等效利用小时 {yield_h:.2f}，{word} {peers.count} 台的中位数 {middle:.2f}，"
        f"低 {1 - yield_h / middle:.0%}"
    )
    evidence = {
        "等效利用小时 (h)": f"{yield_h:.2f}",
        "同类中位数 (h)": f"{middle:.2f}",
        "同类离散度 (h)": f"{peers.spread_h:.3f}",
        "同类 (台)": str(peers.count),
    }
    return cause, evidence


def daily_inputs(
    series: SeriesStore, fleet: Fleet, devices: Sequence[Device]
) -> dict[str, dict[date, Inputs]]:
    """Return the mean voltage and current of each DC input of devices on the days that are looked at."""
    names = [f"dc_{what}_{n}_{unit}" for what, unit in (("voltage", "v"), ("current", "a")) for n in INPUTS]
    found: dict[str, dict[date, Inputs]] = {}
    interval = (local_midnight(fleet.days[0]), local_midnight(fleet.today))
    for begin in range(0, len(devices), _DEVICES_AT_ONCE):
        ids = [device.id for device in devices[begin : begin + _DEVICES_AT_ONCE]]
        table = series.downsample(ids, interval, DAY, dict.fromkeys(names, "mean"))
        for row in table.to_pylist():
            values = [row[name] for name in names]
            half = len(INPUTS)
            inputs = Inputs(tuple(values[:half]), tuple(values[half:]))
            found.setdefault(row["device_id"], {})[local_date(row["time"])] = inputs
    return found


def strings(
    fleet: Fleet,
    inputs: Mapping[str, Mapping[date, Inputs]],
    usual_known: Mapping[str, float],
    excused: Excused,
) -> Iterator[Finding]:
    """Yield how each DC input's share of the whole stands against what it usually is.

    `usual_known` are the usual shares [%] that open alarms were opened with, by cause key, so that a fault
    does not become usual.
    """
    for device in fleet.inverters:
        days = inputs.get(device.id, {})
        place, rules = fleet.places[device.station_id], fleet.rules(device.station_id)
        subject = Subject.of_device(device, place)
        told = {
            day: one
            for day, one in days.items()
            if one.shares()
            and _bright(one, device)
            and not {(device.id, day), (device.station_id, day)} & excused
        }
        usual = usual_shares([told[day] for day in sorted(told)[: max(1, len(told) - 2)]])
        for number in sorted({n for one in told.values() for n in one.shares()}):
            key = subject.key(AlarmKind.STRING_IMBALANCE, str(number))
            reference = usual_known.get(key, 100 * usual.get(number, 0.0)) / 100
            yield _string(told, (number, reference, key), subject, rules)


def _bright(one: Inputs, device: Device) -> bool:
    """Tell whether a day's inputs gave enough to compare them; currents alone are always compared."""
    powers = one.powers()
    known = any(voltage is not None for voltage in one.voltages)
    return not known or not device.rated_power_w or sum(powers.values()) > BRIGHT_SHARE * device.rated_power_w


def _string(
    told: Mapping[date, Inputs], about: tuple[int, float, str], subject: Subject, rules: Rules
) -> Finding:
    number, reference, key = about
    opens, clears = rules.number("string_share"), rules.number("string_clear_share")
    ratios = {
        day: one.shares()[number] / reference
        for day, one in told.items()
        if reference > 0 and number in one.shares()
    }
    days = {day: share_day(ratio, opens, clears) for day, ratio in ratios.items()}
    said = verdict(days, AlarmKind.STRING_IMBALANCE, rules)
    made = settled(finding(AlarmKind.STRING_IMBALANCE, subject, said.standing, rules, key=key))
    if said.standing is not Standing.ON or said.since is None:
        return made
    last = max(ratios)
    now = 100 * told[last].shares()[number]
    usual = 100 * reference
    return replace(
        made,
        since=local_midnight(said.since),
        cause=f"第 {number} 路直流输入只占 {now:.0f} %，平时占 {usual:.0f} %",
        evidence={"路号": str(number), "现占比 (%)": f"{now:.1f}", USUAL_LABEL: f"{usual:.1f}"},
    )


def meter_mismatch(fleet: Fleet, energies: Days) -> Iterator[Finding]:
    """Yield how the meter of each station that feeds everything in stands against its inverters."""
    for place in fleet.places.values():
        meters = _meters_of(fleet, place)
        inverters = [one for one in fleet.inverters if one.station_id == place.id]
        if place.on_grid_mode != "full" or not meters or not inverters:
            continue
        rules = fleet.rules(place.id)
        sums = {day: (_sum(energies, inverters, day), _sum(energies, meters, day)) for day in fleet.days}
        gaps = {
            day: abs(metered - made) / made
            for day, (made, metered) in sums.items()
            if made is not None and metered is not None and made > 0
        }
        opens, clears = rules.number("meter_share"), rules.number("meter_clear_share")
        days = {day: share_day(-gap, -opens, -clears) for day, gap in gaps.items()}
        said = verdict(days, AlarmKind.METER_MISMATCH, rules)
        made_finding = settled(
            finding(AlarmKind.METER_MISMATCH, Subject.of_station(place), said.standing, rules)
        )
        if said.standing is Standing.ON and said.since is not None:
            made, metered = (figure or 0 for figure in sums[max(gaps)])
            way = "少" if metered < made else "多"
            share = abs(metered - made) / made
            by_meter, by_inverters = f"{metered / 1000:.1f}", f"{made / 1000:.1f}"
            made_finding = replace(
                made_finding,
                since=local_midnight(said.since),
                cause=f"电表 {by_meter} kWh，逆变器合计 {by_inverters} kWh，电表{way} {share:.1%}",
                evidence={"电表 (kWh)": by_meter, "逆变器 (kWh)": by_inverters},
            )
        yield made_finding


def _meters_of(fleet: Fleet, place: Station) -> list[Device]:
    """Return the station's revenue meters that are read, or its only meter; none where it is not clear."""
    linked = {one.device_id for one in fleet.revenue_meters if one.station_id == place.id}
    mine = [one for one in fleet.meters if one.station_id == place.id]
    named = [one for one in mine if one.id in linked]
    return named or (mine if len(mine) == 1 else [])


def _sum(energies: Days, members: Sequence[Device], day: date) -> int | None:
    listed = [energies.get((one.id, day)) for one in members]
    figures = [
        one.energy_wh
        for one in listed
        if one is not None and one.energy_wh is not None and one.completeness >= WHOLE_DAY
    ]
    return sum(figures) if len(figures) == len(members) else None


def counters(session: Session, fleet: Fleet, devices: Iterable[Device]) -> Iterator[Finding]:
    """Yield the devices whose counter gave two different values for one instant."""
    listed = {device.id: device for device in devices}
    event = OperationalEvent
    statement = (
        select(event.subject_id, event.at, event.message)
        .where(event.kind == str(EventKind.CONFLICT), event.subject_kind == "device")
        .where(event.at > fleet.now - DAY * 31)
        .order_by(event.at)
    )
    last: dict[str, tuple[datetime, str]] = {}
    for subject_id, at, message in session.execute(statement):
        if subject_id in listed:
            last[subject_id] = (at, message)
    for device_id, device in listed.items():
        rules = fleet.rules(device.station_id)
        told = last.get(device_id)
        fresh = told is not None and fleet.now - told[0] < max(DAY, rules.closes_after(AlarmKind.COUNTER))
        subject = Subject.of_device(device, fleet.places[device.station_id])
        made = settled(finding(AlarmKind.COUNTER, subject, Standing.ON if fresh else Standing.OFF, rules))
        yield replace(made, cause=told[1], since=told[0]) if fresh and told is not None else made


def fleet_days(session: Session, fleet: Fleet) -> Days:
    """Return the energies of the days that are looked at, of inverters and meters."""
    ids = [device.id for device in (*fleet.inverters, *fleet.meters)]
    return daily_energy(session, ids, fleet.days[0], fleet.today)


def metered(devices: Iterable[Device]) -> tuple[Device, ...]:
    """Return the meters among some devices."""
    return tuple(one for one in devices if one.kind == DeviceKind.METER)
