"""What people get: payouts, statements, households' sheets and files."""

from dashboards.pages.paying import (
    downloads,
    household,
    households,
    papers,
    payouts,
    statement,
    statements,
    tracing,
)

ROUTERS = (
    statement.router,
    downloads.router,
    payouts.router,
    statements.router,
    household.router,
    households.router,
    tracing.router,
    papers.router,
)
