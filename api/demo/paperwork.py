"""The papers of a month: what the grid company bills and pays, and what the villages spend.

Owns made-up but consistent figures, drawn from the plant's meters and the story: readings, energy, prices,
amounts to the fen, and the files in
which they arrive. It writes no database (that is `api.demo.money`).
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from io import StringIO

from api.demo.county import County
from api.demo.people import village_kw
from api.demo.plant import Plant
from api.demo.story import Fact, FactKind
from registry.stations import RevenueMeter, Station, StationKind
from store.periods import Period

ELECTRICITY_PRICE = Decimal("0.3844")
SUBSIDY_PRICE = Decimal("0.4656")
SURPLUS_SUBSIDY_PRICE = Decimal("0.42")
_WH_PER_KWH = 1000
_MAINTENANCE_FEN_PER_KW_MONTH = 200
_RENT_FEN_PER_KW_MONTH = 70
_INSURANCE_FEN_PER_KW = 350
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Bill:
    """What the grid company bills for one station and month: readings [kWh, secondary], Wh, fen."""

    station: Station
    meter: RevenueMeter
    month: Period
    previous_reading: Decimal
    current_reading: Decimal
    energy_wh: int
    electricity_fen: int
    subsidy_price: Decimal
    subsidy_fen: int

    @property
    def energy_kwh(self) -> Decimal:
        """The billed energy in kWh, exactly."""
        return Decimal(self.energy_wh) / _WH_PER_KWH


@dataclass(frozen=True, slots=True)
class Expense:
    """A cost of a village in a month [fen], with its kind as the plan names it and its voucher."""

    village_code: str
    kind: str
    amount_fen: int
    voucher: str


def bills(county: County, plant: Plant, month: Period) -> tuple[Bill, ...]:
    """Return the grid company's bills of a month, in the order of the stations."""
    stations = {station.id: station for station in county.stations}
    return tuple(_bill(county, plant, month, (stations[meter.station_id], meter)) for meter in county.meters)


def _bill(county: County, plant: Plant, month: Period, billed: tuple[Station, RevenueMeter]) -> Bill:
    station, meter = billed
    previous = _reading(county, plant, billed, month)
    current = _reading(county, plant, billed, month.next())
    energy_wh = int((current - previous) * meter.meter_multiplier * _WH_PER_KWH)
    surplus = station.kind == StationKind.HOUSEHOLD_GROUP
    subsidy_price = SURPLUS_SUBSIDY_PRICE if surplus else SUBSIDY_PRICE
    return Bill(
        station=station,
        meter=meter,
        month=month,
        previous_reading=previous,
        current_reading=current,
        energy_wh=energy_wh,
        electricity_fen=fen(Decimal(energy_wh) / _WH_PER_KWH * ELECTRICITY_PRICE),
        subsidy_price=subsidy_price,
        subsidy_fen=fen(Decimal(energy_wh) / _WH_PER_KWH * subsidy_price),
    )


def _reading(county: County, plant: Plant, billed: tuple[Station, RevenueMeter], month: Period) -> Decimal:
    """Return the revenue meter's reading at a month's beginning; a failed phase has lost some for good."""
    station, meter = billed
    device_id = meter.device_id or ""
    counter = plant.counter_at(device_id, month.start)
    for fact in county.story.of(FactKind.STATEMENT_DISAGREES):
        disputed = Period.month_of(fact.start)
        if county.station_in(fact) == station and month.start >= disputed.end:
            gained = plant.counter_at(device_id, disputed.end) - plant.counter_at(device_id, disputed.start)
            counter -= round(gained * fact.share)
    kwh = Decimal(counter) / _WH_PER_KWH / meter.meter_multiplier
    return kwh.quantize(_CENT, ROUND_HALF_UP)


def fen(yuan: Decimal) -> int:
    """Return an amount in yuan as fen, half up."""
    return int((yuan * 100).quantize(Decimal(1), ROUND_HALF_UP))


def subsidy_is_paid(county: County, month: Period) -> bool:
    """Tell whether the subsidy of a month has arrived: since the arrears began it has not."""
    return not any(_in_arrears(fact, month) for fact in county.story.of(FactKind.SUBSIDY_ARREARS))


def _in_arrears(fact: Fact, month: Period) -> bool:
    return fact.start <= month.start_utc < fact.end


def expenses(county: County, month: Period) -> tuple[Expense, ...]:
    """Return what the villages spend in a month: maintenance and rent, and insurance in the first month."""
    found: list[Expense] = []
    first = month.start == county.story.epoch
    for village in county.village_codes:
        kw = round(village_kw(county, village))
        place = village[6:]
        stamp = f"{month.start:%Y%m}-{place}"
        found.append(Expense(village, "maintenance", kw * _MAINTENANCE_FEN_PER_KW_MONTH, f"运维发票 {stamp}"))
        found.append(Expense(village, "land_rent", kw * _RENT_FEN_PER_KW_MONTH, f"地租收据 {stamp}"))
        if first:
            found.append(Expense(village, "insurance", kw * _INSURANCE_FEN_PER_KW, f"保险单 {stamp}"))
    return tuple(found)


_STATEMENT_HEADINGS = (
    "户号", "结算月份", "电表编号", "倍率", "上次示数", "本次示数", "上网电量(千瓦时)", "上网电价(元/千瓦时)",
    "上网电费(元)", "补贴单价(元/千瓦时)", "补贴金额(元)",
)  # fmt: skip
_RECEIPT_HEADINGS = ("户号", "款项", "所属月份", "到账金额(元)", "到账日期", "银行流水号")


def statement_file(billed: Sequence[Bill]) -> bytes:
    """Return the grid company's statement of a month as a CSV file, one row a station."""
    rows = [
        (
            bill.station.account_number,
            bill.month,
            bill.meter.meter_number,
            bill.meter.meter_multiplier,
            bill.previous_reading,
            bill.current_reading,
            bill.energy_kwh,
            ELECTRICITY_PRICE,
            _yuan(bill.electricity_fen),
            bill.subsidy_price,
            _yuan(bill.subsidy_fen),
        )
        for bill in billed
    ]
    return _csv(_STATEMENT_HEADINGS, rows)


def receipts_file(billed: Sequence[Bill], received_on: date, *, with_subsidy: bool) -> bytes:
    """Return the bank's list of what arrived for a month's bills on a day, one row an account and kind."""
    rows: list[tuple[object, ...]] = []
    for number, bill in enumerate(billed, start=1):
        account, month = bill.station.account_number, bill.month
        reference = f"{received_on:%Y%m%d}{number:04d}"
        rows.append((account, "上网电费", month, _yuan(bill.electricity_fen), received_on, f"{reference}D"))
        if with_subsidy:
            rows.append((account, "财政补贴", month, _yuan(bill.subsidy_fen), received_on, f"{reference}B"))
    return _csv(_RECEIPT_HEADINGS, rows)


def _yuan(amount_fen: int) -> Decimal:
    return Decimal(amount_fen).scaleb(-2)


def _csv(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(headings)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")
