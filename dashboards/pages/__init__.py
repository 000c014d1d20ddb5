"""One file per page; the template of the same name stands in `dashboards/templates`."""

from dashboards.pages import static

ROUTERS = (static.router,)
