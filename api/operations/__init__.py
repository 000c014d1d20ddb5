"""What operator commands do, as functions of the services: the same whether a service runs or not."""

from collections.abc import Callable, Mapping
from typing import Any

from api.operations.alarms import (
    add_subscription,
    end_subscription,
    list_alarms,
    list_subscriptions,
    outbox,
    retry,
)
from api.operations.availability import availability
from api.operations.backup import backup
from api.operations.collecting import connections
from api.operations.corrections import correct, top_up
from api.operations.dispatch import dispatch_add, dispatch_end, dispatch_list
from api.operations.energy import adjustments, energy, station_energy, telemetry
from api.operations.exports import export
from api.operations.keys import key_rotate, key_status
from api.operations.money import bank, close, receipts, statement, verify
from api.operations.parameters import list_parameters, set_parameter
from api.operations.people import registry
from api.operations.plans import publish_plan
from api.operations.reconciling import reconcile
from api.operations.series import coverage, series
from api.operations.store import retire, statistics
from api.operations.upkeep import indicators, plan_add, plan_cancel, plan_list, report
from api.operations.users import add_user, close_user, list_users, reset_user
from api.outcome import Outcome
from dashboards.web import Services
from store.problem import Problem, ProblemsError
from store.series import SeriesUnavailableError

OPERATIONS: dict[str, Callable[..., Outcome]] = {
    "adjustments": adjustments,
    "alarms": list_alarms,
    "notify-status": outbox,
    "notify-retry": retry,
    "notify-list": list_subscriptions,
    "notify-subscribe": add_subscription,
    "notify-unsubscribe": end_subscription,
    "parameters-list": list_parameters,
    "parameters-set": set_parameter,
    "availability": availability,
    "backup": backup,
    "dispatch-add": dispatch_add,
    "dispatch-end": dispatch_end,
    "dispatch-list": dispatch_list,
    "collector-connections": connections,
    "energy": energy,
    "energy-of-stations": station_energy,
    "import-telemetry": telemetry,
    "import-settlement": statement,
    "import-receipts": receipts,
    "import-bank": bank,
    "import-registry": registry,
    "close": close,
    "correct": correct,
    "top-up": top_up,
    "reconcile": reconcile,
    "coverage": coverage,
    "series": series,
    "store-info": statistics,
    "store-retire": retire,
    "export": export,
    "plan-publish": publish_plan,
    "verify": verify,
    "key-status": key_status,
    "key-rotate": key_rotate,
    "indicators": indicators,
    "planned-add": plan_add,
    "planned-cancel": plan_cancel,
    "planned-list": plan_list,
    "uptime-report": report,
    "user-list": list_users,
    "user-add": add_user,
    "user-reset": reset_user,
    "user-close": close_user,
}
"""Every operation by the name under which a command asks for it; arguments are plain JSON values."""


def perform(services: Services, name: str, arguments: Mapping[str, Any]) -> Outcome:
    """Run an operation by its name; raises ProblemsError, also where the time-series store is away."""
    try:
        return OPERATIONS[name](services, **arguments)
    except SeriesUnavailableError as error:
        how = "时序库恢复后再运行一次，重复运行不会重复写入；采集到的数据在采集队列里等待"
        raise ProblemsError([Problem("时序库", str(error), how)]) from error
