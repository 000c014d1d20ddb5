"""What came in: statements, receipts, and where figures differ."""

from dashboards.pages.settling import (
    energy_adjustments,
    reconciliation,
    reconciliation_station,
    settlement_files,
    settlement_import,
    settlements,
)

ROUTERS = (
    energy_adjustments.router,
    reconciliation.router,
    reconciliation_station.router,
    settlement_files.router,
    settlement_import.router,
    settlements.router,
)
