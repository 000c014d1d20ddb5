"""A made-up county-year in which every discrepancy is planted: the truth that the match is judged by.

Written apart from the code that it judges and importing none of it: energy, counters, grid readings, bills
and bank receipts come from a seed and plain arithmetic.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

SHANGHAI = timedelta(hours=8)
YEAR = 2025
MONTHS = [f"{YEAR}-{number:02d}" for number in range(1, 13)]
ELECTRICITY = Decimal("0.3515")
SHAPE = (0.58, 0.66, 0.88, 1.05, 1.18, 1.16, 1.22, 1.18, 1.0, 0.86, 0.68, 0.55)
MULTIPLIER = 60


@dataclass(frozen=True)
class Plant:
    """A station of the made-up county."""

    id: str
    name: str
    account: str
    kw: int
    loss: float
    own_use: float = 0.0


@dataclass(frozen=True)
class Planted:
    """One discrepancy that must be found: where, when, and the cause that is right."""

    station: str
    month: str
    kind: str
    cause: str


@dataclass
class Bill:
    """A row of a statement, as the grid company writes it."""

    account: str
    month: str
    previous: Decimal
    current: Decimal
    kwh: Decimal
    electricity_price: Decimal = ELECTRICITY
    read_from: date | None = None
    read_to: date | None = None

    @property
    def fee(self) -> Decimal:
        return cents(self.kwh * self.electricity_price)

    def subsidy_at(self, price: str) -> Decimal:
        return cents(self.kwh * Decimal(price))


@dataclass
class PlantedYear:
    """Everything that happened: counters, bills, receipts, orders to curtail, and what was planted."""

    plants: list[Plant]
    days: dict[str, dict[date, int]]
    samples: dict[str, list[tuple[datetime, int]]]
    bills: dict[str, list[Bill]]
    receipts: dict[str, list[tuple[str, Decimal]]]
    orders: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=dict)
    wrong_clocks: dict[str, set[str]] = field(default_factory=dict)
    silent: list[tuple[str, str]] = field(default_factory=list)
    planted: list[Planted] = field(default_factory=list)


def cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


def _first(month: str) -> date:
    return date(int(month[:4]), int(month[5:]), 1)


def _next(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _span(start: date, end: date) -> list[date]:
    return [start + timedelta(days=number) for number in range((end - start).days)]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) - SHANGHAI


PLANS: list[tuple[str, int, str, str]] = [
    # (kind, station number, month, right cause)
    ("loss", 0, "06", "loss"),
    ("loss", 1, "09", "loss"),
    ("loss", 2, "11", "loss"),
    ("loss", 3, "07", "loss"),
    ("reading_date_named", 4, "05", "reading_date"),
    ("reading_date_named_back", 4, "06", "reading_date"),
    ("reading_date_named", 5, "08", "reading_date"),
    ("reading_date_named_back", 5, "09", "reading_date"),
    ("reading_date", 6, "06", "reading_date"),
    ("reading_date_back", 6, "07", "reading_date"),
    ("reading_date", 7, "09", "reading_date"),
    ("reading_date_back", 7, "10", "reading_date"),
    ("gap", 8, "06", "gap"),
    ("gap", 9, "10", "gap"),
    ("gap", 10, "05", "gap"),
    ("counter_reset", 11, "06", "counter_reset"),
    ("counter_reset", 12, "08", "counter_reset"),
    ("counter_reset", 13, "10", "counter_reset"),
    ("multiplier", 0, "10", "multiplier"),
    ("multiplier", 1, "05", "multiplier"),
    ("multiplier", 2, "07", "multiplier"),
    ("unit", 3, "11", "unit"),
    ("unit", 8, "09", "unit"),
    ("unit", 9, "06", "unit"),
    ("curtailment", 10, "08", "curtailment"),
    ("curtailment", 11, "11", "curtailment"),
    ("curtailment", 12, "05", "curtailment"),
    ("own_use", 14, "07", "own_use"),
    ("own_use", 15, "10", "own_use"),
    ("clock", 13, "05", "clock"),
    ("clock_back", 13, "06", "clock"),
    ("unbilled", 0, "04", "unbilled"),
    ("unbilled", 8, "11", "unbilled"),
    ("short_paid", 1, "07", "short_paid"),
    ("short_paid", 4, "10", "short_paid"),
    ("unpaid", 5, "06", "unpaid"),
    ("unpaid", 6, "11", "unpaid"),
    ("continuity", 9, "08", "bill"),
    ("continuity", 10, "11", "bill"),
    ("price", 7, "05", "bill"),
]


def county_year(seed: int) -> PlantedYear:
    """Return a county-year with its planted discrepancies, from a seed."""
    rng = random.Random(seed)
    plants = [
        Plant(
            f"p{number}",
            f"第{number}电站",
            f"77{number:04d}",
            rng.choice((60, 100, 150, 200, 300)),
            rng.uniform(0.006, 0.035),
            own_use=rng.uniform(0.25, 0.4) if number >= 14 else 0.0,
        )
        for number in range(16)
    ]
    year = PlantedYear(plants, {}, {}, {month: [] for month in MONTHS}, {month: [] for month in MONTHS})
    for plant in plants:
        year.days[plant.id] = _daily(rng, plant)
    plans = {(number, f"{YEAR}-{month}"): (kind, cause) for kind, number, month, cause in PLANS}
    for number, plant in enumerate(plants):
        mine = {month: kind for (one, month), (kind, _) in plans.items() if one == number}
        _bill_year(rng, year, plant, mine)
        year.samples[plant.id] = _counter(year, plant, mine)
        if plant.own_use:
            year.planted += [Planted(plant.id, month, "own_use_unknown", "own_use") for month in MONTHS[:3]]
        year.planted += [
            Planted(plant.id, month, kind, cause)
            for (one, month), (kind, cause) in plans.items()
            if one == number
        ]
    return year


def _daily(rng: random.Random, plant: Plant) -> dict[date, int]:
    found = {}
    for day in _span(date(YEAR - 1, 12, 1), date(YEAR + 1, 1, 16)):
        weather = rng.betavariate(2.2, 1.4) * 1.5
        found[day] = int(plant.kw * 1000 * 3.4 * SHAPE[day.month - 1] * (0.15 + weather))
    return found


def _sum(days: dict[date, int], start: date, end: date) -> int:
    return sum(days[day] for day in _span(start, end))


def _bill_year(rng: random.Random, year: PlantedYear, plant: Plant, mine: dict[str, str]) -> None:
    face = Decimal(rng.randint(100, 900))
    for month in MONTHS:
        kind = mine.get(month, "")
        step = _step(rng, year, plant, (month, kind))
        if kind == "unbilled":
            continue
        if kind == "continuity":
            face += Decimal("37.50")
        bill = Bill(plant.account, month, face, face + step, step * MULTIPLIER)
        if kind == "price":
            bill.electricity_price = Decimal("0.3615")
        if "named" in kind:
            bill.read_from, bill.read_to = _read_days(month, kind)
        face += step
        year.bills[month].append(bill)
        _pay(year, bill, kind)
    for month in (m for m in mine if mine[m].startswith("clock")):
        year.wrong_clocks.setdefault(month, set()).add(plant.id)


def _read_days(month: str, kind: str) -> tuple[date, date]:
    """Return the first and the last day of reading: five days early where that is planted."""
    start, end = _first(month), _next(_first(month))
    if not kind.startswith("reading_date"):
        return start, end
    off = timedelta(days=5)
    return (start - off, end) if kind.endswith("_back") else (start, end - off)


def _step(rng: random.Random, year: PlantedYear, plant: Plant, what: tuple[str, str]) -> Decimal:
    """Return how far the grid's meter moved [kWh on its face] in a month, with what was planted."""
    month, kind = what
    share = (1 - plant.loss - rng.uniform(-0.003, 0.003)) * (1 - plant.own_use)
    share *= 1 + (rng.uniform(-0.01, 0.01) if plant.own_use else 0)
    share -= rng.uniform(0.06, 0.11) if kind == "loss" else 0
    energy_wh = _sum(year.days[plant.id], *_read_days(month, kind)) * share
    if kind == "curtailment":
        energy_wh -= _curtail(year, plant, month) * share
    if kind == "gap":
        year.silent.append((plant.id, month))
    energy_wh *= {"own_use": 0.8, "multiplier": MULTIPLIER / 40, "unit": 0.1, "gap": 1.3}.get(kind, 1)
    return (Decimal(energy_wh) / 1000 / MULTIPLIER).quantize(Decimal("0.01"))


def _pay(year: PlantedYear, bill: Bill, kind: str) -> None:
    paid = {
        "short_paid": cents(bill.fee * Decimal("0.97")),
        "unpaid": Decimal(0),
    }.get(kind, bill.fee)
    if paid:
        year.receipts[bill.month].append((bill.account, paid))


def _curtail(year: PlantedYear, plant: Plant, month: str) -> int:
    """Order five days off; what the inverters still made is not settled."""
    start = _first(month) + timedelta(days=9)
    end = start + timedelta(days=5)
    year.orders.setdefault(plant.id, []).append((_midnight(start), _midnight(end)))
    return _sum(year.days[plant.id], start, end)


def _counter(year: PlantedYear, plant: Plant, mine: dict[str, str]) -> list[tuple[datetime, int]]:
    """Return the inverter's hourly counter readings, with what was planted in them.

    An exchanged inverter was silent for its last four days and begins again at zero.
    """
    resets = {_first(month) + timedelta(days=14) for month, kind in mine.items() if kind == "counter_reset"}
    lost = {day - timedelta(days=number) for day in resets for number in range(1, 5)}
    total, found = 5_000_000_000, []
    for day, energy in year.days[plant.id].items():
        if day in resets:
            total = 0
        for hour in range(24):
            part = min(max(hour - 6, 0), 12)
            if day not in lost:
                found.append((_midnight(day) + timedelta(hours=hour), total + energy * part // 12))
        total += energy
    for month, kind in mine.items():
        if kind == "clock_back":
            found = _late(found, _midnight(_first(month)))
    return found


def _late(readings: list[tuple[datetime, int]], edge: datetime) -> list[tuple[datetime, int]]:
    """Stamp the readings around a month's edge three days late, until a pause sets the clock right."""
    found = []
    for moment, value in readings:
        if edge - timedelta(days=6) <= moment < edge - timedelta(days=2):
            found.append((moment + timedelta(days=3), value))
        elif not edge - timedelta(days=2) <= moment < edge + timedelta(days=3):
            found.append((moment, value))
    return found
