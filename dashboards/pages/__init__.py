"""One file per page; the template of the same name stands in `dashboards/templates`."""

from dashboards.pages import (
    account,
    events,
    household,
    households,
    login,
    notice,
    overview,
    run,
    settlement_import,
    settlements,
    statement,
    statements,
    static,
    station,
    stations,
    work,
)

ROUTERS = (
    static.router,
    login.router,
    account.router,
    overview.router,
    stations.router,
    station.router,
    work.router,
    run.router,
    notice.router,
    settlement_import.router,
    settlements.router,
    statement.router,
    statements.router,
    household.router,
    households.router,
    events.router,
)
