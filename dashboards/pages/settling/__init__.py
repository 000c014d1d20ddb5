"""What came in: statements, receipts, and where figures differ."""

from dashboards.pages.settling import settlement_import, settlements

ROUTERS = (
    settlement_import.router,
    settlements.router,
)
