"""How much a station loses between its inverters and the grid's meter, learnt from months that agreed.

Owns the learning: the median of the last agreed months, so that one odd month teaches nothing. A month
agreed when it matched, or when a person has explained its difference, and little of it was estimated.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from fractions import Fraction
from statistics import median_low

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from distribution.settlement.matching.evidence import PPM, Loss
from distribution.settlement.matching.tables import MatchFindingRow, MatchResultRow
from distribution.settlement.tables import DiscrepancyResolutionRow, DiscrepancyRow
from store.periods import Period

MONTHS_BACK = 12
MONTHS_NEEDED = 3
ESTIMATED_PART = 50
_LEAST_PPM, _MOST_PPM = -50_000, 950_000


def learnt(lost_ppm: Collection[int], default: Fraction) -> Loss:
    """Return the median of what agreed months lost [ppm], or the default share while there are too few."""
    if len(lost_ppm) < MONTHS_NEEDED:
        return Loss(default)
    return Loss(Fraction(min(max(median_low(lost_ppm), _LEAST_PPM), _MOST_PPM), PPM), len(lost_ppm))


def agreed_losses(session: Session, station_ids: Collection[str], month: str) -> Mapping[str, list[int]]:
    """Return, by station, what was lost [ppm] in each of the agreed months before a month."""
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
    found: dict[str, list[int]] = defaultdict(list)
    for station_id, generated, arrived in session.execute(statement):
        if generated:
            found[station_id].append(PPM - arrived * PPM // generated)
    return found
