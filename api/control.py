"""Answers operator commands in the service that owns the stores.

Owns the route behind the door of `api.door`, not the operations.
"""

import hmac
from typing import Any

from fastapi import APIRouter, HTTPException, Request

from api.door import COLLECTOR_FILE, HEADER, ask_running_service
from api.operations import OPERATIONS, perform
from api.operations.collecting import SPOOL_OPERATIONS
from api.outcome import Outcome
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
NO_COLLECTOR = Problem(
    "采集队列",
    "采集程序不在这个数据目录里运行",
    "在采集程序所在的机器上用它的 --data 运行这个命令，或先启动它",
)


@router.post("/control/{operation}")
def run_operation(operation: str, arguments: dict[str, Any], request: Request) -> dict[str, Any]:
    """Run one operation for a command on this machine that holds the token of the data directory."""
    expected = request.app.state.control_token
    if not expected or not hmac.compare_digest(request.headers.get(HEADER, ""), expected):
        raise HTTPException(404)
    if operation not in OPERATIONS and operation not in SPOOL_OPERATIONS:
        raise HTTPException(404)
    try:
        return _run(request, operation, arguments).as_json()
    except ProblemsError as error:
        return Outcome.refused(error.problems).as_json()


def _run(request: Request, operation: str, arguments: dict[str, Any]) -> Outcome:
    services, collector = request.app.state.services, request.app.state.collector
    if operation in OPERATIONS:
        return perform(services, operation, arguments)
    if collector is not None:
        return SPOOL_OPERATIONS[operation](services, collector.spool, **arguments)
    outcome = ask_running_service(services.data_dir, operation, arguments, COLLECTOR_FILE)
    return outcome or Outcome.refused([NO_COLLECTOR])
