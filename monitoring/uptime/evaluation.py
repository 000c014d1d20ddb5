"""Uptime of real devices over any period: evidence from the store, judged, added up.

Owns the bringing together: runs, light, what comparable devices gave, the calendar; and the sums per
station, township and county. The rules are in `judging` and `monitoring.sky`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from sqlalchemy.orm import Session

from monitoring.sky.light import Evidence, Light, Place, expected_from_irradiance, light
from monitoring.sky.rules import AUTO, Basis, LightRule
from monitoring.sky.tracks import Track
from monitoring.uptime.causes import OUTAGE_AT_LEAST_H, Cause
from monitoring.uptime.comparable import Expected, comparable, scaled
from monitoring.uptime.gathering import Gathered, gather, irradiance
from monitoring.uptime.judging.gaps import CREDIBLE_FACTOR
from monitoring.uptime.judging.partition import hours_of, partition
from monitoring.uptime.judging.reasons import Reason, reason_words, state_of
from monitoring.uptime.judging.setting import HOUR, Segments, Setting
from monitoring.uptime.judging.stops import stops
from monitoring.uptime.plants import Machine, Plant, foreign_plant, registered_plants
from monitoring.uptime.results import (
    AreaUptime,
    DeviceUptime,
    Energy,
    Level,
    Outage,
    StateInterval,
    area_uptime,
)
from monitoring.uptime.runs import Runs
from registry.actors import SYSTEM, Actor
from registry.divisions import division_names
from registry.stations import devices, stations
from store.series import SeriesStore

TOWNSHIP_DIGITS, COUNTY_DIGITS, CODE_DIGITS = 9, 6, 12


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: [start, end) [UTC], the rule for light, how long an outage must last in the light [h].

    `station_id` narrows it to one station; `intervals` asks for the intervals of states too. `place` is where
    foreign history was recorded, if somebody knows.
    """

    start: datetime
    end: datetime
    rule: LightRule = AUTO
    outage_at_least_h: float = OUTAGE_AT_LEAST_H
    station_id: str = ""
    intervals: bool = False
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answer: every device, and the plants to which they belong, over [start, end) [UTC]."""

    start: datetime
    end: datetime
    rule: LightRule
    devices: tuple[DeviceUptime, ...] = ()
    plants: tuple[Plant, ...] = ()

    def outages(self) -> tuple[Outage, ...]:
        """Return every outage, by beginning."""
        found = (outage for device in self.devices for outage in device.outages)
        return tuple(sorted(found, key=lambda outage: (outage.start, outage.device_id)))


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges the machines of one plant; `expected` is by the number of the machine in `gathered`."""

    gathered: Gathered
    question: Question
    plant: Plant
    light: Light
    expected: Mapping[int, Expected]
    measured: Track

    def device(self, number: int) -> DeviceUptime:
        machine = self.gathered.machines[number]
        runs = self.gathered.runs(number)
        setting = self._setting(number, machine, runs)
        segments = partition(runs, setting)
        return DeviceUptime(
            machine.device_id,
            machine.group,
            machine.rated_power_w,
            self.light.words,
            hours_of(segments),
            _energy(runs, setting, segments),
            _outages(machine.device_id, segments, self.question.outage_at_least_h),
            state_intervals(machine.device_id, segments) if self.question.intervals else (),
        )

    def _setting(self, number: int, machine: Machine, runs: Runs) -> Setting:
        slots, output = self.gathered.slots, self.gathered.outputs[number]
        expected = self.expected[number]
        if not len(expected.told.times) and len(self.measured.times):
            # Without comparable machines the sensor tells, times how this machine usually stands to it.
            expected = scaled(slots, expected_from_irradiance(self.measured).at(slots), output)
        calendar = self.plant.calendar
        return Setting(
            float(runs.edges[0]),
            float(runs.edges[-1]),
            machine.rated_power_w,
            self.light.track,
            expected.told,
            self.plant.spans(machine, calendar.planned),
            self.plant.spans(machine, calendar.ordered),
            self.plant.spans(machine, calendar.majeure),
            float(self.gathered.finest_wh[number]),
            Track(slots, output.astype(np.float64)),
            expected.usual,
        )


def _energy(runs: Runs, setting: Setting, segments: Segments) -> Energy:
    """Return what the counter gained, and what was lost by cause [Wh]."""
    times = np.column_stack([runs.first, runs.last]).ravel()
    readings = np.column_stack([runs.first_wh, runs.last_wh]).ravel()
    known = ~np.isnan(readings)
    times, readings = times[known], readings[known]
    generated = None
    if len(readings) > 1:
        gains, spans = np.diff(readings), np.diff(times)
        most = CREDIBLE_FACTOR * setting.rated_power_w * (spans + HOUR) / HOUR
        generated = float(gains[(gains > 0) & (gains <= most)].sum())
    lost = np.bincount(segments.causes, np.nan_to_num(segments.lost_wh), minlength=len(Cause))
    by_cause = {Cause(int(number)): float(lost[number]) for number in np.flatnonzero(lost > 0)}
    return Energy(generated, by_cause, bool(len(setting.expected.times)))


def _instant(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)


def _words(segments: Segments, position: int) -> str:
    note = int(segments.note[position])
    return reason_words(Reason(int(segments.reasons[position])), segments.notes[note] if note >= 0 else "")


def _outages(device_id: str, segments: Segments, at_least_h: float) -> tuple[Outage, ...]:
    return tuple(
        Outage(
            device_id,
            stop.cause,
            _instant(stop.start),
            _instant(stop.end),
            stop.light_h,
            _words(segments, stop.position),
            None if np.isnan(stop.lost_wh) else stop.lost_wh,
            stop.ongoing,
        )
        for stop in stops(segments, at_least_h)
    )


def state_intervals(subject_id: str, segments: Segments) -> tuple[StateInterval, ...]:
    """Return the intervals of states of a partition: neighbouring segments of one reason and cause are one.

    A lost sample or two within a state do not interrupt it.
    """
    if not len(segments.causes):
        return ()
    reasons = np.where(segments.reasons == Reason.BRIDGED, np.int8(Reason.RUNNING), segments.reasons)
    changes = (np.diff(reasons) != 0) | (np.diff(segments.note) != 0) | (np.diff(segments.causes) != 0)
    firsts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    lasts = np.append(firsts[1:], len(reasons)) - 1
    intervals = []
    for first, last in zip(firsts, lasts, strict=True):
        reason = Reason(int(reasons[first]))
        note = int(segments.note[first])
        intervals.append(
            StateInterval(
                subject_id,
                _instant(float(segments.edges[first])),
                _instant(float(segments.edges[last + 1])),
                state_of(reason),
                Cause(int(segments.causes[first])),
                reason_words(reason, segments.notes[note] if note >= 0 else ""),
                bool(segments.received[first : last + 1].any()),
            )
        )
    return tuple(intervals)


def evaluate_plants(
    series: SeriesStore, plants: Sequence[Plant], question: Question, asked: Sequence[Plant] | None = None
) -> Evaluation:
    """Return the uptime of every machine of `asked` (all plants by default), beside all the others."""
    interval = (question.start, question.end)
    machines = [machine for plant in plants for machine in plant.machines]
    wanted = set(map(id, plants if asked is None else asked))
    if not machines or question.end <= question.start:
        return Evaluation(question.start, question.end, question.rule)
    gathered = gather(series, machines, interval)
    bounds = np.concatenate([[0], np.cumsum([len(plant.machines) for plant in plants])])
    rows = [range(int(bounds[n]), int(bounds[n + 1])) for n in range(len(plants))]
    rated = np.array([machine.rated_power_w for machine in gathered.machines])
    sky = comparable(gathered.slots, gathered.outputs, rows, rated)
    found: list[DeviceUptime] = []
    shown: list[Plant] = []
    for number, plant in enumerate(plants):
        if id(plant) not in wanted or not plant.machines:
            continue
        measured = irradiance(series, plant.sensors, interval)
        neighbours, own = sky.neighbours(number), sky.own(number)
        if not len(neighbours.times) and question.rule.basis is Basis.EXPECTED:
            neighbours = own
        seen = light(Evidence(plant.place, measured, neighbours, own), gathered.interval, question.rule)
        expected = dict(zip(rows[number], sky.expected(number), strict=True))
        judge = _Judge(gathered, question, plant, seen, expected, measured)
        found += [judge.device(row) for row in rows[number]]
        shown.append(plant)
    return Evaluation(question.start, question.end, question.rule, tuple(found), tuple(shown))


def evaluate(
    session: Session, series: SeriesStore, actor: Actor, question: Question, now: datetime
) -> Evaluation:
    """Return the uptime of every inverter of the actor's stations over a period, up to `now` [UTC].

    Neighbours are the other stations of the whole installation: one median, no station's own data.
    """
    end = min(question.end, now)
    bounded = Question(
        question.start,
        max(question.start, end),
        question.rule,
        question.outage_at_least_h,
        question.station_id,
        question.intervals,
        question.place,
    )
    mine = {one.id for one in stations(session, actor)}
    everything = stations(session, SYSTEM)
    plants = registered_plants(session, everything, (bounded.start, bounded.end))
    asked = [
        plant
        for plant, station in zip(plants, everything, strict=True)
        if station.id in mine and question.station_id in {"", station.id}
    ]
    return evaluate_plants(series, plants, bounded, asked)


def evaluate_foreign(session: Session, series: SeriesStore, question: Question) -> Evaluation:
    """Return the uptime of devices that are known from imported history alone, as one plant."""
    known = {one.id for one in devices(session, SYSTEM)}
    plant = foreign_plant(series, known, question.place)
    return evaluate_plants(series, [] if plant is None else [plant], question)


def together(one: Evaluation, other: Evaluation) -> Evaluation:
    """Return two evaluations of the same question as one; the shorter ends where the longer does."""
    return Evaluation(
        one.start,
        max(one.end, other.end) if other.devices else one.end,
        one.rule,
        (*one.devices, *other.devices),
        (*one.plants, *other.plants),
    )


def areas(session: Session, evaluation: Evaluation, level: Level) -> tuple[AreaUptime, ...]:
    """Return the evaluation added up per station, township or county, weighted by rated power."""
    codes = {plant.machines[0].group: plant.division_code for plant in evaluation.plants}
    names = division_names(session) | {one.id: one.name for one in stations(session, SYSTEM)}
    members: dict[str, list[DeviceUptime]] = {}
    for device in evaluation.devices:
        members.setdefault(_key(level, device.group, codes.get(device.group, "")), []).append(device)
    return tuple(
        area_uptime(level, key, names.get(key, key), listed) for key, listed in sorted(members.items())
    )


def _key(level: Level, group: str, code: str) -> str:
    if level is Level.STATION or not code:
        return group
    digits = TOWNSHIP_DIGITS if level is Level.TOWNSHIP else COUNTY_DIGITS
    return code[:digits].ljust(CODE_DIGITS, "0")
