"""What the import of a statement must know beforehand, fetched for many stations at once.

Owns the queries: bills that hold, last readings, what was received, shares of joint stations, and the
values in force. It judges nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from distribution.settlement.bank.tables import BankDifferenceRow
from distribution.settlement.checks import StationFacts
from distribution.settlement.metering.readings import MeterReading
from distribution.settlement.statements import StatementRow
from distribution.settlement.tables import ReceiptRow, ReceivableRow, SettlementLineRow, SettlementRow
from distribution.settlement.tariffs import prices
from distribution.types import Component
from registry.parameters import ValueBook
from registry.stations import RevenueMeter, Station, StationShare, shares_ever
from store.periods import Period

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Present:
    """The bill that holds for a station and month."""

    id: str
    revision: int
    content_hash: str
    file_sha256: str = ""


class Known:
    """What is known of a group of stations before their bills come in."""

    def __init__(self, session: Session, station_ids: Sequence[str], months: Collection[str]) -> None:
        wanted = {*months, *(str(Period.parse(month).previous()) for month in months)}
        self.present = present_bills(session, station_ids, wanted)
        self._readings = last_readings(session, self.present)
        self._received = _received(session, station_ids, months)
        self._shares = shares_ever(session, station_ids)
        self._villages = _villages(session, self.present)

    def last_readings(self, station_id: str, month: str) -> Mapping[str, Decimal]:
        """Return the current readings of the month before, by meter."""
        return self._readings.get((station_id, _before(month)), {})

    def remember(self, station_id: str, month: str, rows: Sequence[StatementRow]) -> None:
        """Take the readings of a bill that is coming in as the last ones for the month after."""
        self._readings[station_id, month] = {
            row.line.meter_number: row.line.current_reading for row in rows if row.line.current_reading
        }

    def received_fen(self, station_id: str, month: str, component: Component) -> int:
        """Return what was received [fen] of a component."""
        return self._received.get((station_id, month, component.value), 0)

    def owners(self, station: Station, month: str) -> tuple[StationShare, ...]:
        """Return who owns a station on the month's first day, by village; its host alone without shares."""
        on = _month(month).start
        held = tuple(
            one
            for one in self._shares.get(station.id, ())
            if one.valid_from <= on and (one.valid_to is None or on < one.valid_to)
        )
        return held or (StationShare(station.id, station.division_code, 1, on),)

    def parts_before(self, present: Present | None) -> tuple[tuple[Component, str], ...]:
        """Return which villages had which components in the bill that holds."""
        return () if present is None else tuple(self._villages.get(present.id, ()))


@cache
def _month(month: str) -> Period:
    return Period.parse(month)


@cache
def _before(month: str) -> str:
    return str(Period.parse(month).previous())


def present_bills(
    session: Session, station_ids: Sequence[str], months: Collection[str]
) -> dict[Key, Present]:
    """Return the newest revision by station and month, also of bills that were taken back."""
    columns = (
        SettlementRow.station_id,
        SettlementRow.month,
        SettlementRow.id,
        SettlementRow.revision,
        SettlementRow.content_hash,
        SettlementRow.file_sha256,
    )
    statement = select(*columns).where(
        SettlementRow.station_id.in_(station_ids), SettlementRow.month.in_(months)
    )
    rows = session.execute(statement.order_by(SettlementRow.revision))
    return {(row[0], row[1]): Present(*row[2:]) for row in rows}


def last_readings(session: Session, present: Mapping[Key, Present]) -> dict[Key, dict[str, Decimal]]:
    """Return the current readings of bills by meter, by station and month."""
    keys = {bill.id: key for key, bill in present.items()}
    found: dict[Key, dict[str, Decimal]] = defaultdict(dict)
    columns = (
        SettlementLineRow.settlement_id,
        SettlementLineRow.meter_number,
        SettlementLineRow.current_reading,
    )
    for ids in _pieces(list(keys)):
        statement = select(*columns).where(SettlementLineRow.settlement_id.in_(ids))
        for settlement_id, meter, reading in session.execute(statement.order_by(SettlementLineRow.line_no)):
            found[keys[settlement_id]][meter] = Decimal(reading)
    return found


def _received(
    session: Session, station_ids: Sequence[str], months: Collection[str]
) -> dict[tuple[str, str, str], int]:
    """Return what arrived, and what was written off beside it within tolerance [fen]."""
    found: dict[tuple[str, str, str], int] = defaultdict(int)
    for table in (ReceiptRow, BankDifferenceRow):
        keys = (table.station_id, table.month, table.component)
        statement = select(*keys, func.sum(table.amount_fen)).where(
            table.station_id.in_(station_ids), table.month.in_(months)
        )
        for row in session.execute(statement.group_by(*keys)):
            found[row[0], row[1], row[2]] += int(row[3])
    return found


def _villages(session: Session, present: Mapping[Key, Present]) -> dict[str, list[tuple[Component, str]]]:
    found: dict[str, list[tuple[Component, str]]] = defaultdict(list)
    columns = (ReceivableRow.settlement_id, ReceivableRow.component, ReceivableRow.village_code)
    for ids in _pieces([bill.id for bill in present.values()]):
        statement = select(*columns).where(ReceivableRow.settlement_id.in_(ids))
        for settlement_id, component, village in session.execute(statement):
            found[settlement_id].append((Component(component), village))
    return found


def _pieces(ids: Sequence[str], size: int = 500) -> list[Sequence[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


class FactBook:
    """The facts of the checks, from the registry, the values in force and what people read off the meters."""

    def __init__(
        self, book: ValueBook, meters: Iterable[RevenueMeter], hand: Iterable[MeterReading] = ()
    ) -> None:
        self._book = book
        self._hand: dict[str, dict[tuple[str, date], Decimal]] = defaultdict(dict)
        for one in hand:
            if one.holds:
                self._hand[one.station_id][one.meter_number, one.read_on] = one.reading
        self._multipliers: dict[str, dict[str, int]] = defaultdict(dict)
        for meter in meters:
            self._multipliers[meter.station_id][meter.meter_number] = meter.meter_multiplier

    def of(
        self, station: Station, month: str, rows: Sequence[StatementRow], last: Mapping[str, Decimal]
    ) -> StationFacts:
        """Return what the checks need of a station's month."""
        period, book = _month(month), self._book
        sales = sum(row.line.electricity_fen + row.line.subsidy_fen for row in rows)
        taxed = any(row.line.tax_fen for row in rows)
        return StationFacts(
            station.name,
            station.rated_power_w,
            self._multipliers[station.id],
            last,
            prices.windows(book, station, period),
            prices.hours_maximum(book, station, period),
            prices.hours_cap_wh(book, station, period),
            tax_fen=prices.withheld_tax_fen(book, station, period, sales) if taxed else None,
            is_listed=prices.is_listed(station),
            by_day=prices.split_method(book, station, period.start) == prices.BY_DAY,
            change_readings=self._hand.get(station.id, {}),
            rounding=prices.rounding_of(book, station, period.start),
        )
