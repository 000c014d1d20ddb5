"""What is owed, what of it has arrived, how old the rest is: by station, month and component.

Owns the sums behind 应收, 已到账 and 待补贴, and the ageing of arrears. Accrued money and received money are
always two figures. A village sees its own part of a joint station.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from distribution.settlement.bank.tables import BankDifferenceRow, BankDifferenceShareRow
from distribution.settlement.tables import ReceiptRow, ReceiptShareRow, ReceivableRow, SettlementRow
from distribution.types import Component
from registry.actors import Actor, Permission, in_area
from registry.stations import StationRow
from store.periods import Period

AGES = (
    (30, "0–30 天"),
    (90, "31–90 天"),
    (180, "91–180 天"),
    (365, "181–365 天"),
    (730, "1–2 年"),
    (1095, "2–3 年"),
)
OLDEST = "3 年以上"
AGE_WORDS = (*(word for _days, word in AGES), OLDEST)
SUBSIDIES = (Component.SUBSIDY, Component.LOCAL_SUBSIDY)
_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class OwedItem:
    """One component [fen] of a station's month: billed, arrived, lost within tolerance.

    `list_status` is where the station stands in the subsidy lists.
    """

    station_id: str
    station_name: str
    account_number: str
    list_status: str
    month: str
    component: Component
    settlement_id: str
    owed_fen: int
    received_fen: int
    written_off_fen: int

    @property
    def outstanding_fen(self) -> int:
        """What has not arrived [fen]."""
        return self.owed_fen - self.received_fen - self.written_off_fen

    def age_days(self, on: date) -> int:
        """Return how many days lie between the end of the month it was earned in and a day."""
        return max(0, (on - Period.parse(self.month).end).days + 1)

    def age_word(self, on: date) -> str:
        """Return the age group on a day."""
        return age_word(self.age_days(on))


@dataclass(frozen=True, slots=True)
class MonthOwed:
    """A month's money [fen]: 应收 and 已到账 by kind, apart from one another."""

    month: str
    electricity_fen: int
    electricity_received_fen: int
    subsidy_fen: int
    subsidy_received_fen: int
    written_off_fen: int

    @property
    def owed_fen(self) -> int:
        """应收 [fen]: everything billed."""
        return self.electricity_fen + self.subsidy_fen

    @property
    def received_fen(self) -> int:
        """已到账 [fen]."""
        return self.electricity_received_fen + self.subsidy_received_fen

    @property
    def electricity_open_fen(self) -> int:
        """Electricity that has not arrived [fen], before what was lost within tolerance."""
        return self.electricity_fen - self.electricity_received_fen

    @property
    def subsidy_open_fen(self) -> int:
        """待补贴 [fen]: billed subsidy that has not arrived."""
        return self.subsidy_fen - self.subsidy_received_fen


@dataclass(frozen=True, slots=True)
class AgeingRow:
    """What is open [fen] of one component and list status, by age group in the order of `AGE_WORDS`."""

    component: Component
    list_status: str
    amounts_fen: tuple[int, ...]

    @property
    def total_fen(self) -> int:
        """The sum over the age groups [fen]."""
        return sum(self.amounts_fen)


def age_word(days: int) -> str:
    """Return the age group of an age [days]."""
    return next((word for most, word in AGES if days <= most), OLDEST)


def owed_items(
    session: Session,
    actor: Actor,
    *,
    station_id: str = "",
    month: str = "",
    received_until: date | None = None,
) -> tuple[OwedItem, ...]:
    """Return every billed component of the actor's area with what arrived of it, by month and station.

    With `received_until`, money counts that arrived until and with that day.
    """
    actor.require(Permission.VIEW_MONEY)
    received = _received(session, actor, station_id, month, received_until)
    lost = _written_off(session, actor, station_id, month)
    newest = (
        select(SettlementRow.station_id, SettlementRow.month, func.max(SettlementRow.revision).label("last"))
        .group_by(SettlementRow.station_id, SettlementRow.month)
        .subquery()
    )
    columns = (
        SettlementRow.station_id,
        StationRow.name,
        StationRow.account_number,
        StationRow.subsidy_list_status,
        SettlementRow.month,
        ReceivableRow.component,
        SettlementRow.id,
    )
    statement = (
        select(*columns, func.sum(ReceivableRow.amount_fen))
        .join(ReceivableRow, ReceivableRow.settlement_id == SettlementRow.id)
        .join(StationRow, StationRow.id == SettlementRow.station_id)
        .join(
            newest,
            (newest.c.station_id == SettlementRow.station_id)
            & (newest.c.month == SettlementRow.month)
            & (newest.c.last == SettlementRow.revision),
        )
        .where(in_area(actor, ReceivableRow.village_code))
        .group_by(*columns)
        .order_by(SettlementRow.month, SettlementRow.station_id, ReceivableRow.component)
    )
    statement = _narrowed(statement, SettlementRow.station_id, station_id, SettlementRow.month, month)
    return tuple(
        OwedItem(
            *(row[0], row[1], row[2] or "", row[3] or ""),
            *(row[4], Component(row[5]), row[6], int(row[7])),
            received[(row[0], row[4], row[5])],
            lost[(row[0], row[4], row[5])],
        )
        for row in session.execute(statement)
    )


def _narrowed(
    statement: Any,
    station_column: InstrumentedAttribute[str],
    station_id: str,
    month_column: InstrumentedAttribute[str],
    month: str,
) -> Any:
    if station_id:
        statement = statement.where(station_column == station_id)
    return statement.where(month_column == month) if month else statement


def _received(
    session: Session, actor: Actor, station_id: str, month: str, until: date | None
) -> dict[_Key, int]:
    keys = (ReceiptRow.station_id, ReceiptRow.month, ReceiptRow.component)
    statement = (
        select(*keys, func.sum(ReceiptShareRow.amount_fen))
        .join(ReceiptShareRow, ReceiptShareRow.receipt_id == ReceiptRow.id)
        .where(in_area(actor, ReceiptShareRow.village_code))
        .group_by(*keys)
    )
    if until is not None:
        statement = statement.where(ReceiptRow.received_on <= until)
    return _sums(session, _narrowed(statement, ReceiptRow.station_id, station_id, ReceiptRow.month, month))


def _written_off(session: Session, actor: Actor, station_id: str, month: str) -> dict[_Key, int]:
    keys = (BankDifferenceRow.station_id, BankDifferenceRow.month, BankDifferenceRow.component)
    statement = (
        select(*keys, func.sum(BankDifferenceShareRow.amount_fen))
        .join(BankDifferenceShareRow, BankDifferenceShareRow.difference_id == BankDifferenceRow.id)
        .where(in_area(actor, BankDifferenceShareRow.village_code))
        .group_by(*keys)
    )
    columns = (BankDifferenceRow.station_id, station_id, BankDifferenceRow.month, month)
    return _sums(session, _narrowed(statement, *columns))


def _sums(session: Session, statement: Any) -> dict[_Key, int]:
    return defaultdict(int, {(row[0], row[1], row[2]): int(row[3]) for row in session.execute(statement)})


def by_month(items: Iterable[OwedItem]) -> tuple[MonthOwed, ...]:
    """Return the money of each month, the latest first."""
    grouped: dict[str, list[OwedItem]] = defaultdict(list)
    for one in items:
        grouped[one.month].append(one)
    return tuple(_month_owed(month, grouped[month]) for month in sorted(grouped, reverse=True))


def _month_owed(month: str, items: list[OwedItem]) -> MonthOwed:
    power = [one for one in items if one.component is Component.ELECTRICITY]
    extra = [one for one in items if one.component in SUBSIDIES]
    return MonthOwed(
        month,
        sum(one.owed_fen for one in power),
        sum(one.received_fen for one in power),
        sum(one.owed_fen for one in extra),
        sum(one.received_fen for one in extra),
        sum(one.written_off_fen for one in items),
    )


def ageing(items: Iterable[OwedItem], on: date) -> tuple[AgeingRow, ...]:
    """Return what is open on a day by component, list status and age; groups without arrears are left out."""
    sums: dict[tuple[Component, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in items:
        if one.outstanding_fen:
            sums[(one.component, one.list_status)][one.age_word(on)] += one.outstanding_fen
    order = list(Component)
    return tuple(
        AgeingRow(component, status, tuple(sums[(component, status)][word] for word in AGE_WORDS))
        for component, status in sorted(sums, key=lambda key: (order.index(key[0]), key[1]))
    )
