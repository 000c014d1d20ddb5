"""Which prices are in force for a station, window by window, each with its source.

Owns the price of electricity and of subsidies per kWh from the dated values: coal benchmark by province,
fixed price by zone and day of grid connection, self-use mode, local subsidy, years of subsidy, and whether
the station stands on a subsidy list. What a bill says is compared with them in `settlement.checks`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from distribution.money import RoundingPolicy, round_fen, split
from registry.parameters import Place, ValueBook
from registry.stations import Station
from store.periods import Period

BENCHMARK = "coal_benchmark_price"
PER_LINE, ON_THE_SUM = 1, 2
BY_READING, BY_DAY = 1, 2
_ROUNDINGS = {
    1: RoundingPolicy.HALF_UP,
    2: RoundingPolicy.HALF_EVEN,
    3: RoundingPolicy.DOWN,
    4: RoundingPolicy.UP,
}
_NOT_LISTED = ("未", "不在", "否", "非目录")
_WH_PER_KWH, _FEN_PER_YUAN = 1_000, 100


@dataclass(frozen=True, slots=True)
class TariffWindow:
    """Prices [yuan/kWh] in force in [start, end); None is a price that no dated value gives.

    `sources` say where each is written.
    """

    start: date
    end: date
    electricity_price: Decimal | None
    subsidy_price: Decimal | None
    local_subsidy_price: Decimal | None
    sources: tuple[str, ...] = ()

    @property
    def days(self) -> int:
        """How many days it lasts."""
        return (self.end - self.start).days


def place_of(station: Station, key: str = "") -> Place:
    """Return where the values of a station are asked."""
    return Place(station.division_code, key)


def windows(book: ValueBook, station: Station, period: Period) -> tuple[TariffWindow, ...]:
    """Return the windows of a period in order; there is more than one where a price changes inside it."""
    changes = book.changes(BENCHMARK, place_of(station), period.start, period.end)
    edges = (period.start, *changes, period.end)
    return tuple(_window(book, station, edges[n], edges[n + 1]) for n in range(len(edges) - 1))


def _window(book: ValueBook, station: Station, start: date, end: date) -> TariffWindow:
    benchmark = book.on(BENCHMARK, start, place_of(station))
    sources = [] if benchmark is None else [benchmark.source]
    subsidy, local = None, None
    connected = station.grid_connected_on
    if connected is not None:
        subsidy, written = _subsidy(book, station, connected, None if benchmark is None else benchmark.value)
        sources += written
        found = book.on("local_subsidy_price", connected, place_of(station))
        local = None if found is None else found.value
        sources += [] if found is None else [found.source]
        if subsidy is not None and _ended(book, station, connected, start):
            subsidy = Decimal(0)
    electricity = None if benchmark is None else benchmark.value
    return TariffWindow(start, end, electricity, subsidy, local, tuple(dict.fromkeys(sources)))


def _subsidy(
    book: ValueBook, station: Station, connected: date, benchmark: Decimal | None
) -> tuple[Decimal | None, list[str]]:
    if is_listed(station) is False:
        return Decimal(0), []
    if station.on_grid_mode == "surplus":
        found = book.on("self_use_subsidy_price", connected, place_of(station))
        return (None, []) if found is None else (found.value, [found.source])
    fixed = book.on("fixed_price", connected, place_of(station, station.tariff_zone))
    if fixed is None or benchmark is None:
        return None, []
    return max(fixed.value - benchmark, Decimal(0)), [fixed.source]


def _ended(book: ValueBook, station: Station, connected: date, on: date) -> bool:
    years = book.on("subsidy_years", connected, place_of(station))
    return years is not None and on.year - connected.year > int(years.value)


def is_listed(station: Station) -> bool | None:
    """Tell whether a station stands on a subsidy list; None where the registry does not say."""
    status = station.subsidy_list_status
    if not status:
        return None
    return not status.startswith(_NOT_LISTED)


def rounding_of(book: ValueBook, station: Station, on: date) -> tuple[RoundingPolicy, int]:
    """Return how amounts are rounded for a station on a day, and whether per line or on the sum."""
    policy = book.on("settlement_rounding", on, place_of(station))
    scope = book.on("settlement_rounding_scope", on, place_of(station))
    return (
        RoundingPolicy.HALF_UP if policy is None else _ROUNDINGS[int(policy.value)],
        PER_LINE if scope is None else int(scope.value),
    )


def amounts_fen(
    parts: Sequence[tuple[int, Decimal]], policy: RoundingPolicy, scope: int = PER_LINE
) -> tuple[int, ...]:
    """Return the amount [fen] of each part, given as (energy [Wh], price [yuan/kWh]).

    On the sum, the rounded sum is split over the parts by their exact amounts.
    Source: the household settlement of Shushan (2017 Q3) closes only with rounding per line.
    """
    exact = [_exact_fen(energy_wh, price) for energy_wh, price in parts]
    if scope == PER_LINE or not any(exact):
        return tuple(round_fen(one, policy) for one in exact)
    total = round_fen(sum(exact, Fraction(0)), policy)
    return tuple(split(total, exact, [f"{number:06d}" for number in range(len(exact))]))


def _exact_fen(energy_wh: int, price: Decimal) -> Fraction:
    numerator, denominator = price.as_integer_ratio()
    return Fraction(energy_wh * numerator * _FEN_PER_YUAN, denominator * _WH_PER_KWH)


def split_energy(
    energy_wh: int, found: Sequence[TariffWindow], readings_wh: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Return how a period's energy [Wh] lies in its windows.

    `readings_wh` are the meter's totals [Wh] at the start, at each change and at the end; without them the
    energy is split by days.
    """
    if readings_wh is not None and len(readings_wh) == len(found) + 1:
        return tuple(readings_wh[n + 1] - readings_wh[n] for n in range(len(found)))
    keys = [f"{window.start}" for window in found]
    return tuple(split(energy_wh, [window.days for window in found], keys))


def split_method(book: ValueBook, station: Station, on: date) -> int:
    """Return how the county splits a period over its windows: by the reading of the day, or by days."""
    found = book.on("window_split_method", on, place_of(station))
    return BY_READING if found is None else int(found.value)


def hours_cap_wh(book: ValueBook, station: Station, month: Period) -> int | None:
    """Return the lifetime energy [Wh] above which the subsidy stops, None where no cap applies."""
    connected = station.grid_connected_on
    applies = book.on("subsidy_hours_cap_applies", month.start, place_of(station))
    if connected is None or applies is None or not applies.value:
        return None
    cap = book.on("subsidy_hours_cap", connected, place_of(station, station.tariff_zone))
    return None if cap is None else int(cap.value * station.rated_power_w)


def hours_maximum(book: ValueBook, station: Station, month: Period) -> Decimal | None:
    """Return the most full-load hours that a month can have in the region."""
    place = place_of(station)
    year = book.on("typical_full_load_hours", month.start.replace(month=1, day=1), place)
    share = book.on("month_hours_share", month.start, place)
    if year is not None and share is not None:
        return year.value * share.value
    most = book.on("month_hours_maximum", month.start, place)
    return None if most is None else most.value


def withheld_tax_fen(book: ValueBook, station: Station, month: Period, sales_fen: int) -> int | None:
    """Return the VAT [fen] inside a month's sales (electricity and subsidy, tax included).

    None where no rate is in force on the last day of the month; 0 below the exempt monthly sales.
    """
    on, place = month.end - timedelta(days=1), place_of(station)
    rate = book.on("vat_rate", on, place)
    if rate is None:
        return None
    net = Fraction(sales_fen) / (1 + Fraction(rate.value))
    exempt = book.on("vat_exempt_monthly_sales", on, place)
    if exempt is not None and net <= Fraction(exempt.value) * _FEN_PER_YUAN:
        return 0
    return round_fen(net * Fraction(rate.value))
