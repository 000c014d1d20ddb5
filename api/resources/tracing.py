"""From a meter reading on to everybody who was paid of it; the way back is `allocations`'."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from sqlalchemy.orm import Session

from api.resources.allocations import TraceOut
from dashboards.web import NotFoundError, reading, requires
from distribution.tracing import trace_settlement
from registry.actors import Actor, Permission

router = APIRouter(prefix="/settlements", tags=["结算"])
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]
Bill = Annotated[str, Path(max_length=200, description="结算单编号，例如 settlement:s1:2026-10:1")]


@router.get("/{settlement_id}/trace")
def show_way(settlement_id: Bill, actor: Reader, session: Reading) -> list[TraceOut]:
    """Return the way from a bill's meter readings to entries, receipts, runs, lines and payments."""
    steps = trace_settlement(session, actor, settlement_id)
    if not steps:
        raise NotFoundError(settlement_id)
    return [TraceOut.model_validate(step) for step in steps]
