"""Closed months that late data would change: offered, never done."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from dashboards.web import reading, requires, services_of
from monitoring.adjustments import proposed_adjustments
from registry.actors import Actor, Permission
from store.periods import Period

router = APIRouter(prefix="/energy-adjustments", tags=["电量"])
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]
MONTH = r"^20[0-9]{2}-(0[1-9]|1[0-2])$"


class AdjustmentOut(BaseModel):
    """A device's closed month [Wh] as it was frozen and as it would come out today, null where unknown."""

    model_config = ConfigDict(from_attributes=True)

    device_id: str
    station_id: str
    month: str
    frozen_wh: int | None
    current_wh: int | None
    difference_wh: int
    completeness: float
    method: str


@router.get("")
def list_adjustments(
    request: Request, actor: Reader, session: Reading, month: Annotated[str, Query(pattern=MONTH)]
) -> list[AdjustmentOut]:
    """Return the proposed adjustments of a closed month in the area; the frozen figures stay."""
    found = proposed_adjustments(session, services_of(request).series, actor, Period.parse(month))
    return [AdjustmentOut.model_validate(one) for one in found]
