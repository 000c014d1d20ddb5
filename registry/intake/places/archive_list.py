"""The list of station files (电站档案表): one row for a station, one column for a field of its file.

Owns its columns and how a row becomes dated entries. An empty cell leaves the file as it is.
"""

from datetime import date
from typing import Any

from documents.cells import half_width
from documents.reading import Cell
from registry.assets.archive import ArchiveEntry, archive, record_entry
from registry.assets.fields import ARCHIVE_FIELDS, FIELDS, ArchiveField, FieldKind, fitted
from registry.intake import values as v
from registry.intake.columns import ColumnSpec, ListSpec
from registry.intake.places.common import DOCUMENT, WHICH, station_named
from registry.intake.plans import Change, Claim, RowPlan, Values, future_problem
from registry.intake.steps import Desk, watched
from registry.secrets import KeyRing
from store.problem import Problem, ProblemsError


def _parser(field: ArchiveField) -> v.Parser:
    if field.kind is FieldKind.CHOICE:
        return v.choice({word: word for word in field.choices})

    def parse(cell: Cell) -> str:
        if field.kind is FieldKind.DATE:
            return v.day(cell).isoformat()
        written = v.text(cell, 200)
        if field.kind is FieldKind.NUMBER:
            written = half_width(written).replace(",", "")
        try:
            return fitted(field.key, written)
        except ProblemsError as error:
            raise v.UnfitError(error.problems[0].what, error.problems[0].how_to_fix) from error

    return parse


SPEC = ListSpec(
    "archive",
    "电站档案表",
    (
        WHICH,
        ColumnSpec("valid_from", "起始日期", v.day, True, ("生效日期",), "2026-01-01", "从这一天起是这样"),
        DOCUMENT,
        *(
            ColumnSpec(one.key, one.title, _parser(one), hint="、".join(one.choices))
            for one in ARCHIVE_FIELDS
        ),
    ),
    ("每座电站一行；空着的格子不改动已登记的内容。内容有变的，写新的内容和从哪一天起。",),
)


class ArchiveList:
    """Rows of the list of station files."""

    spec = SPEC

    def claims(self, values: Values) -> tuple[Claim, ...]:
        """A station once for a first day."""
        return (Claim((values["station"], values["valid_from"])),)

    def plan(self, desk: Desk, ring: KeyRing, values: Values) -> RowPlan:  # noqa: ARG002, no personal data here
        """Record the fields that the row fills."""
        station = station_named(desk, str(values["station"]))
        late = future_problem(desk, "valid_from", values["valid_from"])
        problems = tuple(one for one in (station, late) if isinstance(one, Problem))
        if problems or isinstance(station, Problem):
            return RowPlan(str(values["station"]), problems=problems)
        given: dict[str, Any] = dict(values)
        start: date = given["valid_from"]
        file = archive(desk.session, desk.actor, station.id)
        present = {one.field: one for one in file if one.valid_to is None or one.valid_to > start}
        entries = [
            ArchiveEntry(station.id, key, given[key], start, None, given.get("document", ""))
            for key in FIELDS
            if key in given and (key not in present or present[key].value != given[key])
        ]
        changes = tuple(
            Change(
                FIELDS[one.field].title,
                present[one.field].value if one.field in present else "（空）",
                one.value,
            )
            for one in entries
        )

        def act() -> None:
            for one in entries:
                record_entry(desk.session, desk.actor, one, desk.now)

        is_new = not file and bool(entries)
        return RowPlan(station.name, changes, is_new, act=lambda: watched(desk, act))
