"""Figures as they stand in a table: rounded once, here.

Owns the digits of shares, hours and energies. What is missing stays None.
"""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from store.periods import SHANGHAI

_TENTH, _HUNDREDTH = Decimal("0.1"), Decimal("0.01")


def percent_cell(share: float | None) -> Decimal | None:
    """Return a share of 0 to 1 as percent with two digits."""
    return None if share is None else (Decimal(repr(share)) * 100).quantize(_HUNDREDTH, ROUND_HALF_EVEN)


def hours_cell(hours: float | None) -> Decimal | None:
    """Return hours (or kW) with one digit."""
    return None if hours is None else Decimal(repr(float(hours))).quantize(_TENTH, ROUND_HALF_EVEN)


def energy_cell(energy_wh: float | None) -> int | None:
    """Return an energy in whole Wh."""
    return None if energy_wh is None else round(energy_wh)


def moment_cell(moment: datetime | None) -> str | None:
    """Return an instant as local time to the minute."""
    return None if moment is None else f"{moment.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
