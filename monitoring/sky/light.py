"""How much light there was: the rule by which time counts as usable, and which evidence decided.

Pure. Owns the order of the evidence and what makes a sensor doubtful. A sensor that shows darkness when the
same hour is bright on other days, under a high sun, or while the machines produce, is not believed, so that
a stop of the whole plant that also kills the sensor does not vanish.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from monitoring.sky.expected import medians
from monitoring.sky.rules import Basis, LightRule
from monitoring.sky.sun import elevation_of_epochs
from monitoring.sky.tracks import NOTHING, Flags, Floats, Track, with_gaps

STEP_S = 300.0
SLOT_S = 900.0
DAY_S = 86_400.0
SLOTS_A_DAY = 96
HABIT_DAYS_AT_LEAST = 3
HABIT_DAYS_AROUND = 15
BRIGHT_FACTOR = 4.0
DEAD_FRACTION = 0.02
DEAD_W_M2 = 2.0
DEAD_ELEVATION_DEG = 10.0
NIGHT_ELEVATION_DEG = -6.0
STUCK_S = 3 * 3600.0
LONGER_THAN_NIGHT_S = 20 * 3600.0
WITNESS_FRACTION = 0.15
PROOF_FRACTION = 0.05
SOLAR_CONSTANT_W_M2 = 1361.0
REFERENCE_W_M2 = 1000.0
RULE_PART_AT_LEAST = 0.001


@dataclass(frozen=True, slots=True)
class Place:
    """Latitude and longitude [degrees]."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the light: the place (None when unknown), irradiance [W/m²], outputs.

    `expected` is the median output of comparable stations or machines as a fraction of rated power, NaN
    where too few reported; `output` the median of the plant's own machines, which proves light and never
    its absence.
    """

    place: Place | None
    irradiance: Track = NOTHING
    expected: Track = NOTHING
    output: Track = NOTHING


@dataclass(frozen=True, slots=True)
class Light:
    """Where there was enough light: 1, 0, or NaN where nothing tells; and the rule in words.

    `shares` is by which evidence the moments with light were decided, as shares 0..1.
    """

    track: Track
    rule: LightRule
    shares: Mapping[Basis, float]

    @property
    def words(self) -> str:
        """The rule that was used, in Chinese, the leading evidence first."""
        parts = sorted(self.shares.items(), key=lambda item: -item[1])
        parts = [(basis, share) for basis, share in parts if share >= RULE_PART_AT_LEAST]
        if not parts:
            return self.rule.label
        lead = self.rule.words(parts[0][0])
        rest = "，".join(f"{share:.1%} 的时间按“{self.rule.words(basis)}”" for basis, share in parts[1:])
        return f"{lead}（{rest}）" if rest else lead


def habit(track: Track) -> Track:
    """Return what each quarter of an hour usually brings: the median over the days around, NaN if too few.

    Days are of UTC; what a day shows is the mean of its values in the quarter.
    """
    known = ~np.isnan(track.values)
    if not known.any():
        return NOTHING
    slots = np.floor(track.times[known] / SLOT_S).astype(np.int64)
    first_day = int(slots[0] // SLOTS_A_DAY)
    days = int(slots[-1] // SLOTS_A_DAY) - first_day + 1
    cells = slots - first_day * SLOTS_A_DAY
    counts = np.bincount(cells, minlength=days * SLOTS_A_DAY)
    sums = np.bincount(cells, track.values[known], minlength=days * SLOTS_A_DAY)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).reshape(days, SLOTS_A_DAY)
    usual = np.full_like(means, np.nan)
    for day in range(days):
        around = means[max(0, day - HABIT_DAYS_AROUND) : day + HABIT_DAYS_AROUND + 1]
        middle, known = medians(around)
        usual[day] = np.where(known >= HABIT_DAYS_AT_LEAST, middle, np.nan)
    times = (first_day * SLOTS_A_DAY + np.arange(days * SLOTS_A_DAY)).astype(np.float64) * SLOT_S
    return Track(times, usual.ravel())


def _stuck(track: Track) -> Flags:
    """Tell at each time whether the sensor repeats one value for hours, a zero longer than a night."""
    changes = np.append(True, track.values[1:] != track.values[:-1])
    begins = np.flatnonzero(changes)
    ends = np.append(track.times[begins[1:]], track.times[-1])
    limit = np.where(track.values[begins] == 0, LONGER_THAN_NIGHT_S, STUCK_S)
    long = ends - track.times[begins] > limit
    return np.asarray(np.repeat(long, np.diff(np.append(begins, len(changes)))), bool)


def _plausible(evidence: Evidence, threshold: float) -> Track:
    """Return the irradiance without what the sensor repeats for hours or the machines belie."""
    track = evidence.irradiance
    if not len(track.times):
        return track
    belied = (track.values < threshold) & (evidence.output.at(track.times) >= WITNESS_FRACTION)
    return Track(track.times, np.where(_stuck(track) | belied, np.nan, track.values))


@dataclass(frozen=True, slots=True)
class _View:
    """Everything that is known at the moments of the grid, NaN where it is not."""

    raw: Floats
    irradiance: Floats
    usual: Floats
    expected: Floats
    output: Floats
    usual_output: Floats
    elevation: Floats


def _view(evidence: Evidence, times: Floats, threshold: float) -> _View:
    elevation = np.full(len(times), np.nan)
    if evidence.place is not None:
        middles = times + STEP_S / 2
        elevation = elevation_of_epochs(evidence.place.latitude, evidence.place.longitude, middles)
    measured = _plausible(evidence, threshold)
    # What the machines usually do matters only where neither the sun nor a sensor tells.
    needed = evidence.place is None or bool(len(measured.times))
    usual_output = habit(evidence.output) if needed else NOTHING
    return _View(
        with_gaps(evidence.irradiance).at(times),
        with_gaps(measured).at(times),
        habit(measured).at(times),
        evidence.expected.at(times),
        evidence.output.at(times),
        usual_output.at(times),
        elevation,
    )


def _dead(view: _View, rule: LightRule) -> Flags:
    """Tell where the sensor shows darkness, or light, that cannot be."""
    threshold = rule.threshold_of(Basis.IRRADIANCE)
    value = view.irradiance
    bright = view.usual >= BRIGHT_FACTOR * threshold
    dead = bright & (value < np.maximum(DEAD_W_M2, DEAD_FRACTION * view.usual))
    if rule.basis is Basis.AUTO:
        # Whoever asks for the sensor by name is not overruled by a place that may be wrong.
        clear = SOLAR_CONSTANT_W_M2 * np.sin(np.radians(np.clip(view.elevation, 0, None)))
        high = np.isnan(view.usual) & (view.elevation > DEAD_ELEVATION_DEG)
        dead |= high & (value < DEAD_FRACTION * clear)
        dead |= (view.elevation < NIGHT_ELEVATION_DEG) & (value >= threshold)
    return np.asarray(dead, bool)


def _answers(view: _View, rule: LightRule) -> list[tuple[Basis, Floats]]:
    """Return what each evidence says (1, 0, NaN), the most trusted first."""

    def over(values: Floats, limit: float) -> Floats:
        return np.where(np.isnan(values), np.nan, (values >= limit).astype(np.float64))

    by_sensor = over(view.irradiance, rule.threshold_of(Basis.IRRADIANCE))
    by_sensor[_dead(view, rule)] = np.nan
    by_expected = over(view.expected, rule.threshold_of(Basis.EXPECTED) / 100)
    by_sun = over(view.elevation, rule.threshold_of(Basis.ELEVATION))
    # A low sun reaches one valley and not the next: neighbours count only under a sun that is up.
    by_expected = np.where(np.isnan(by_expected), np.nan, np.where(by_sun == 0, 0.0, by_expected))
    by_habit = over(view.usual, rule.threshold_of(Basis.IRRADIANCE))
    by_habit = np.where(np.isnan(by_habit), over(view.usual_output, PROOF_FRACTION), by_habit)
    by_output = np.where(view.output >= PROOF_FRACTION, 1.0, np.nan)
    sensor, expected = (Basis.IRRADIANCE, by_sensor), (Basis.EXPECTED, by_expected)
    sun, usual, output = (Basis.ELEVATION, by_sun), (Basis.HABIT, by_habit), (Basis.OUTPUT, by_output)
    alone = over(view.raw, rule.threshold_of(Basis.MEASURED))
    order = {
        Basis.MEASURED: [(Basis.MEASURED, np.where(np.isnan(alone), 0.0, alone))],
        Basis.AUTO: [sensor, expected, sun, usual, output],
        Basis.IRRADIANCE: [sensor, usual, expected, sun, output],
        Basis.EXPECTED: [expected, sun, usual, output],
        Basis.ELEVATION: [sun, usual, output],
    }
    return order[rule.basis]


def light(evidence: Evidence, interval: tuple[float, float], rule: LightRule) -> Light:
    """Return where an interval [s since 1970] had enough light, and by which evidence."""
    start, end = interval
    gapped = with_gaps(evidence.irradiance)
    grids = [np.arange(start, end, STEP_S), gapped.times, evidence.expected.times]
    times = np.unique(np.concatenate(grids))
    times = times[(times >= start) & (times < end)]
    if not len(times):
        return Light(NOTHING, rule, {})
    lit = np.full(len(times), np.nan)
    decided_by = np.full(len(times), -1)
    answers = _answers(_view(evidence, times, rule.threshold_of(Basis.IRRADIANCE)), rule)
    for number, (_basis, says) in enumerate(answers):
        fresh = np.isnan(lit) & ~np.isnan(says)
        lit[fresh], decided_by[fresh] = says[fresh], number
    lengths = np.diff(np.append(times, end))
    whole = lengths[lit == 1].sum()
    shares = {
        basis: float(lengths[(lit == 1) & (decided_by == number)].sum() / whole) if whole > 0 else 0.0
        for number, (basis, _says) in enumerate(answers)
    }
    return Light(Track(times, lit).pressed(), rule, shares)


def expected_from_irradiance(irradiance: Track, performance: float = 0.75) -> Track:
    """Return the expected output as a fraction of rated power from measured irradiance [W/m²]."""
    return Track(irradiance.times, np.clip(irradiance.values / REFERENCE_W_M2 * performance, 0, 1))
