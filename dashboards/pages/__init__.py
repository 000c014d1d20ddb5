"""One file per page; the template of the same name stands in `dashboards/templates`."""

from dashboards.pages import login, static

ROUTERS = (static.router, login.router)
