"""Pages about the running of stations: alarms, work orders, planned work, availability, indicators."""

from dashboards.pages.running import (
    alarm,
    alarms,
    availability,
    indicators,
    planned_work,
    station_uptime,
    subscriptions,
    uptime_report,
    work_order,
    work_order_new,
    work_orders,
)

ROUTERS = (
    alarms.router,
    alarm.router,
    work_orders.router,
    work_order_new.router,
    work_order.router,
    planned_work.router,
    availability.router,
    indicators.router,
    uptime_report.router,
    station_uptime.router,
    subscriptions.router,
)
