"""Pages about the running of stations: alarms, work orders, planned work, availability, indicators."""

from dashboards.pages.running import work_order, work_order_new, work_orders

ROUTERS = (work_orders.router, work_order_new.router, work_order.router)
