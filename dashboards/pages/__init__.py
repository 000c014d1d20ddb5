"""One file per page; the template of the same name stands in `dashboards/templates`."""

from dashboards.pages import (
    account,
    connections,
    deciding,
    events,
    jobs,
    login,
    overview,
    paying,
    planning,
    receiving,
    registry,
    running,
    settling,
    static,
    station,
    stations,
)

ROUTERS = (
    static.router,
    login.router,
    account.router,
    overview.router,
    stations.router,
    station.router,
    events.router,
    connections.router,
    jobs.router,
    *deciding.ROUTERS,
    *settling.ROUTERS,
    *receiving.ROUTERS,
    *paying.ROUTERS,
    *planning.ROUTERS,
    *running.ROUTERS,
    *registry.ROUTERS,
)
