"""What the lists about stations share: which station is meant.

Owns the column that names a station, by name or 户号.
"""

from sqlalchemy import select

from registry.intake import values as v
from registry.intake.columns import ColumnSpec
from registry.intake.steps import Desk
from registry.stations import StationRow, station_in_area
from store.problem import Problem

WHICH = ColumnSpec("station", "电站", v.text, True, ("电站名称", "发电户号", "户号"), "上寨村光伏电站")
DOCUMENT = ColumnSpec("document", "依据", v.text, False, ("依据文件", "文号"), "县〔2026〕3号")


def station_named(desk: Desk, name: str) -> StationRow | Problem:
    """Return the one station of the actor's area with a name or 户号, or what is wrong."""
    found = desk.session.scalars(
        select(StationRow).where(
            station_in_area(desk.actor), (StationRow.name == name) | (StationRow.account_number == name)
        )
    ).all()
    if len(found) == 1:
        return found[0]
    what = "没有登记" if not found else f"有 {len(found)} 座同名"
    return Problem("station", f"电站“{name}”{what}", "先导入电站台账，或改用发电户号")
