"""Grid statements as they were billed."""

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from dashboards.web import reading, requires
from distribution.settlement.reads import settlements
from registry.actors import Actor, Permission

router = APIRouter(prefix="/settlements", tags=["结算"])
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]
MONTH = r"^20[0-9]{2}-(0[1-9]|1[0-2])$"


class FromRecord(BaseModel):
    """Shown as the record of the same names has it."""

    model_config = ConfigDict(from_attributes=True)


class SettlementLineOut(FromRecord):
    """One row of a grid statement; readings [kWh at the meter's face], prices [yuan/kWh], amounts [fen]."""

    account_number: str
    meter_number: str
    meter_multiplier: int
    previous_reading: Decimal
    current_reading: Decimal
    exported_energy_wh: int
    electricity_price: Decimal
    electricity_fen: int
    subsidy_price: Decimal
    subsidy_fen: int
    local_subsidy_fen: int
    tax_fen: int
    adjustment_fen: int
    tariff_window: str


class SettlementOut(FromRecord):
    """What the grid company billed one station for one month, in its latest revision."""

    id: str
    station_id: str
    month: str
    revision: int
    exported_energy_wh: int
    electricity_fen: int
    subsidy_fen: int
    local_subsidy_fen: int
    lines: list[SettlementLineOut]


@router.get("")
def list_settlements(
    actor: Reader,
    session: Reading,
    month: Annotated[str, Query(pattern=MONTH, description="月份，例如 2026-10")],
) -> list[SettlementOut]:
    """Return the month's settlements of the area's stations."""
    return [SettlementOut.model_validate(one) for one in settlements(session, actor, month=month)]
