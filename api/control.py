"""Answers operator commands in the service that owns the stores.

Owns the route behind the door of `api.door`, not the operations.
"""

import hmac
from typing import Any

from fastapi import APIRouter, HTTPException, Request

from api.door import HEADER
from api.operations import OPERATIONS
from api.outcome import Outcome
from store.problem import ProblemsError

router = APIRouter(include_in_schema=False)


@router.post("/control/{operation}")
def run_operation(operation: str, arguments: dict[str, Any], request: Request) -> dict[str, Any]:
    """Run one operation for a command on this machine that holds the token of the data directory."""
    expected = request.app.state.control_token
    if not expected or not hmac.compare_digest(request.headers.get(HEADER, ""), expected):
        raise HTTPException(404)
    if operation not in OPERATIONS:
        raise HTTPException(404)
    try:
        return OPERATIONS[operation](request.app.state.services, **arguments).as_json()
    except ProblemsError as error:
        return Outcome.refused(error.problems).as_json()
