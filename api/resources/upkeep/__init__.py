"""Upkeep: work orders, announced work, and records of dispatch."""

from fastapi import APIRouter

from api.resources.upkeep import calendar, work_orders

router = APIRouter(tags=["运维"])
router.include_router(work_orders.router)
router.include_router(calendar.router)
