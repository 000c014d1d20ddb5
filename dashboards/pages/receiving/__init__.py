"""What arrives and is spent: receivables, bank lines, remittances, costs, meter readings, papers."""

from dashboards.pages.receiving import (
    bank_line,
    costs,
    meter_readings,
    papers,
    receipts,
    receipts_import,
    receivables,
    remittances,
    spendings,
)

ROUTERS = (
    bank_line.router,
    costs.router,
    meter_readings.router,
    papers.router,
    receipts_import.router,
    receipts.router,
    receivables.router,
    remittances.router,
    spendings.router,
)
