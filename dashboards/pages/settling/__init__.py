"""What came in: statements, receipts, and where figures differ."""

from dashboards.pages.settling import energy_adjustments, settlement_import, settlements

ROUTERS = (
    energy_adjustments.router,
    settlement_import.router,
    settlements.router,
)
