"""One file per page; the template of the same name stands in `dashboards/templates`."""

from dashboards.pages import account, events, households, login, overview, static, station, stations

ROUTERS = (
    static.router,
    login.router,
    account.router,
    overview.router,
    stations.router,
    station.router,
    events.router,
    households.router,
)
