"""How much a station loses between its inverters and the grid's meter, learnt from months that agreed.

Owns the learning: the median of the last agreed months, so that one odd month teaches nothing. A month
agreed when it matched, or when a person has explained its difference, and little of it was estimated.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from fractions import Fraction
from statistics import median

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from distribution.settlement.matching.evidence import Loss
from distribution.settlement.matching.tables import MatchFindingRow, MatchResultRow
from distribution.settlement.tables import DiscrepancyResolutionRow, DiscrepancyRow
from store.periods import Period

MONTHS_BACK = 12
MONTHS_NEEDED = 3
ESTIMATED_PART = 50
_LEAST, _MOST = Fraction(-5, 100), Fraction(95, 100)


def learnt(shares: Collection[Fraction], default: Fraction) -> Loss:
    """Return the median of the shares lost in agreed months, or the default while there are too few."""
    if len(shares) < MONTHS_NEEDED:
        return Loss(default)
    return Loss(min(max(median(shares), _LEAST), _MOST), len(shares))


def agreed_shares(session: Session, station_ids: Collection[str], month: str) -> Mapping[str, list[Fraction]]:
    """Return, by station, the share lost in each of the agreed months before a month."""
    first = Period.parse(month)
    for _ in range(MONTHS_BACK):
        first = first.previous()
    newest = (
        select(
            MatchResultRow.station_id, MatchResultRow.month, func.max(MatchResultRow.revision).label("last")
        )
        .where(MatchResultRow.month >= str(first), MatchResultRow.month < month)
        .group_by(MatchResultRow.station_id, MatchResultRow.month)
        .subquery()
    )
    unexplained = (
        exists()
        .where(MatchFindingRow.match_id == MatchResultRow.id)
        .where(MatchFindingRow.discrepancy_id == DiscrepancyRow.id)
        .where(DiscrepancyRow.unit == "Wh")
        .where(
            ~exists().where(
                DiscrepancyResolutionRow.discrepancy_id == DiscrepancyRow.id,
                DiscrepancyResolutionRow.outcome == "explained",
            )
        )
    )
    statement = (
        select(
            MatchResultRow.station_id,
            MatchResultRow.inverter_wh,
            func.coalesce(MatchResultRow.meter_wh, MatchResultRow.billed_wh),
        )
        .join(
            newest,
            (newest.c.station_id == MatchResultRow.station_id)
            & (newest.c.month == MatchResultRow.month)
            & (newest.c.last == MatchResultRow.revision),
        )
        .where(
            MatchResultRow.station_id.in_(station_ids),
            MatchResultRow.estimated_wh * ESTIMATED_PART <= MatchResultRow.inverter_wh,
            MatchResultRow.inverter_wh > 0,
            MatchResultRow.settlement_id.is_not(None),
            ~unexplained,
        )
    )
    found: dict[str, list[Fraction]] = defaultdict(list)
    for station_id, generated, arrived in session.execute(statement):
        if generated:
            found[station_id].append(1 - Fraction(arrived, generated))
    return found
