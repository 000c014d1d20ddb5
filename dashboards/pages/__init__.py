"""One file per page; the template of the same name stands in `dashboards/templates`."""

from dashboards.pages import account, events, households, login, static

ROUTERS = (static.router, login.router, account.router, events.router, households.router)
