"""Column layouts of grid companies as a county keeps them: which heading of their file means which field.

Owns saved layouts, dated and audited, the newest of a company in force; and the proposal of a layout for a
file that nobody has mapped yet. Reading with a layout is `settlement.statements`'.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from distribution.settlement.columns import Layout, load_layout
from distribution.settlement.intake.tables import StatementLayoutRow
from distribution.settlement.statements import FIELD_NAMES, REQUIRED
from documents.cells import CellKind, Sheet
from documents.reading import read_sheets
from registry import audit
from registry.actors import Actor, Permission, area_prefix
from store.db import new_id
from store.problem import Problem, ProblemsError

STANDARD = "standard"
ENERGY_UNITS = ("kWh", "MWh", "万kWh")
_HEADING_ROWS = 15
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class SavedLayout:
    """A company's layout as it is in force: its number, when and by whom it was saved."""

    company: str
    revision: int
    layout: Layout
    recorded_at: datetime
    recorded_by: str


@dataclass(frozen=True, slots=True)
class HeadingChoice:
    """What a file offers: the texts of its heading row, and which of them each field may be."""

    headings: tuple[str, ...]
    proposed: Mapping[str, str]


def save_layout(
    session: Session,
    actor: Actor,
    company: str,
    mapping: tuple[str, Mapping[str, str]],
    now: datetime,
) -> SavedLayout:
    """Save a company's layout, given as (unit of energy, heading by field); the same again changes nothing.

    Raises ProblemsError when a needed field has no heading, two fields share one, or the unit is unknown.
    """
    actor.require(Permission.IMPORT_SETTLEMENT)
    name = company.strip()
    unit, headings = mapping
    chosen = {field: (text.strip(),) for field, text in headings.items() if text.strip()}
    problems = _problems(name, chosen)
    if problems:
        raise ProblemsError(problems)
    try:
        layout = Layout.model_validate(
            {"name": name, "title": f"{name}电费结算单", "energy_unit": unit, "columns": chosen}
        )
    except ValidationError as error:
        what = f"电量单位“{unit}”不认识"
        raise ProblemsError([Problem("电量单位", what, f"请选 {'、'.join(ENERGY_UNITS)} 之一")]) from error
    return _kept(session, actor, layout, now)


def _kept(session: Session, actor: Actor, layout: Layout, now: datetime) -> SavedLayout:
    present = {one.company: one for one in saved_layouts(session, actor)}.get(layout.name)
    if present is not None and present.layout == layout:
        return present
    row = StatementLayoutRow(
        id=new_id("layout"),
        area=actor.area,
        company=layout.name,
        revision=_last_revision(session, actor.area, layout.name) + 1,
        content=layout.model_dump_json(),
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor, audit.Entry("save", "statement_layout", row.id, after=row.content), now)
    return SavedLayout(layout.name, row.revision, layout, now, actor.user_id)


def _last_revision(session: Session, area: str, company: str) -> int:
    statement = select(StatementLayoutRow.revision).where(
        StatementLayoutRow.area == area, StatementLayoutRow.company == company
    )
    return max(session.scalars(statement), default=0)


def _problems(name: str, chosen: Mapping[str, tuple[str, ...]]) -> list[Problem]:
    found = []
    if not name or len(name) > _LONGEST_NAME or name == STANDARD:
        found.append(Problem("供电公司", "没有名称，或名称过长", "请填写供电公司的名称"))
    strange = [field for field in chosen if field not in FIELD_NAMES]
    found += [Problem("列名对照", f"没有“{field}”这一项", "请从列表中选择") for field in strange]
    missing = [FIELD_NAMES[field] for field in REQUIRED if field not in chosen]
    if missing:
        found.append(Problem("列名对照", f"没有选：{'、'.join(missing)}", "请为这几项选择表中的列"))
    seen: dict[str, str] = {}
    for field, (heading,) in chosen.items():
        if heading in seen and field in FIELD_NAMES and seen[heading] in FIELD_NAMES:
            both = f"“{FIELD_NAMES[seen[heading]]}”和“{FIELD_NAMES[field]}”都选了“{heading}”"
            found.append(Problem("列名对照", both, "一列只能对应一项"))
        seen.setdefault(heading, field)
    return found


def saved_layouts(session: Session, actor: Actor) -> tuple[SavedLayout, ...]:
    """Return the layouts in force in the actor's area, by company; a wider area's serves a narrower one."""
    actor.require(Permission.VIEW_MONEY)
    found: dict[str, SavedLayout] = {}
    order = (StatementLayoutRow.company, StatementLayoutRow.area, StatementLayoutRow.revision)
    for row in session.scalars(select(StatementLayoutRow).order_by(*order)):
        if actor.covers(row.area) or actor.area.startswith(area_prefix(row.area)):
            layout = Layout.model_validate_json(row.content)
            found[row.company] = SavedLayout(
                row.company, row.revision, layout, row.recorded_at, row.recorded_by
            )
    return tuple(found.values())


def layout_named(session: Session, actor: Actor, name: str) -> Layout:
    """Return a layout by name: a company's saved one, a shipped one, or a TOML file by its path.

    Raises ProblemsError when there is none.
    """
    saved = {one.company: one.layout for one in saved_layouts(session, actor)}
    if name in saved:
        return saved[name]
    if name.endswith(".toml"):
        return load_layout(Path(name))
    if not name.isidentifier():
        how = "请选用保存过的供电公司，或在导入页保存一份列名对照"
        raise ProblemsError([Problem(name, "没有这家供电公司的列名对照", how)])
    return load_layout(name)


def heading_choice(source: bytes, file_name: str) -> HeadingChoice:
    """Return the headings of a file's first visible table, and a proposal which is which.

    The heading is the row with the most texts among the first rows. Raises FileRefusedError for a file
    that cannot be read.
    """
    visible = [sheet for sheet in read_sheets(source, file_name) if not sheet.hidden]
    rows = [_texts(sheet, index) for sheet in visible for index in range(min(_HEADING_ROWS, len(sheet.rows)))]
    headings = max(rows, key=len, default=())
    return HeadingChoice(headings, _proposed(headings))


def _texts(sheet: Sheet, index: int) -> tuple[str, ...]:
    texts = (cell.text for cell in sheet.rows[index] if cell.kind is CellKind.TEXT)
    return tuple(dict.fromkeys(text for text in texts if not text.replace(".", "").isdigit()))


def _proposed(headings: Sequence[str]) -> dict[str, str]:
    """Match exactly named columns first, then the most alike; each column once."""
    known = load_layout(STANDARD).columns
    found: dict[str, str] = {}
    for field, names in known.items():
        exact = next((heading for heading in headings if heading in names), None)
        if exact is not None:
            found[field] = exact
    for field, names in known.items():
        rest = [heading for heading in headings if heading not in found.values()]
        near = (difflib.get_close_matches(name, rest, n=1) for name in names)
        if field not in found:
            best = next((one[0] for one in near if one), None)
            found |= {} if best is None else {field: best}
    return found
