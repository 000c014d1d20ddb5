"""Taking in lists: template, upload, which column is which, dry run, marked copy, confirmation, undo.

Owns the steps on pages. The file waits sealed between them; what a row means is `registry.intake`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, Response

from dashboards.files import XLSX, attached
from dashboards.web import NotFoundError, check_form, redirect, render, requires, services_of
from documents.cells import column_letters
from documents.limits import Limits
from documents.refusal import FileRefusedError
from registry.actors import Actor, Permission
from registry.intake import (
    LISTS,
    Batch,
    Outcome,
    Preview,
    RowOutcome,
    Upload,
    batches,
    commit,
    marked_copy,
    preview,
    template,
    undo,
)
from registry.intake.columns import ListSpec
from registry.intake.waiting import forget, keep, waiting
from registry.secrets import open_key_ring
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Editor = Annotated[Actor, Depends(requires(Permission.EDIT_REGISTRY))]
_SHOWN_ROWS = 200
_REFUSED = 409


@dataclass(frozen=True, slots=True)
class Kept:
    """What the forms after an upload carry: the list's kind, the sealed file, its name, chosen columns."""

    kind: Annotated[str, Form(max_length=30)] = ""
    token: Annotated[str, Form(max_length=64)] = ""
    file_name: Annotated[str, Form(max_length=120)] = ""
    columns: Annotated[tuple[str, ...], Form()] = ()
    partial: Annotated[str, Form(max_length=1)] = ""

    @property
    def chosen(self) -> dict[str, int] | None:
        """The person's own assignment of fields to columns, or None while there is none."""
        pairs = [one.rpartition(":") for one in self.columns]
        found = {field: int(place) for field, _, place in pairs if field and place.isdigit()}
        return found or None


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """One column of the list, and which column of the file it is taken from (-1: none)."""

    field: str
    title: str
    required: bool
    place: int


@dataclass(frozen=True, slots=True)
class ImportView:
    """The lists and batches, and after a check what the file would do."""

    lists: Sequence[ListSpec]
    batches: Sequence[Batch]
    kind: str
    message: str = ""
    tone: str = "bad"
    kept: Kept | None = None
    look: Preview | None = None
    label: str = ""
    columns: tuple[ColumnChoice, ...] = ()
    headers: tuple[tuple[int, str], ...] = ()
    rows: tuple[RowOutcome, ...] = ()

    @property
    def outcomes(self) -> tuple[tuple[str, int, str, str], ...]:
        """The counts by outcome: word, count, tone, shape."""
        if self.look is None:
            return ()
        tones = {"added": ("normal", "●"), "changed": ("warning", "▲"), "refused": ("fault", "✕")}
        return tuple(
            (one.word, self.look.count(one), *tones.get(one.value, ("offline", "◌"))) for one in Outcome
        )

    @property
    def good(self) -> int:
        """How many rows would be added or changed."""
        return 0 if self.look is None else self.look.count(Outcome.ADDED) + self.look.count(Outcome.CHANGED)


def _view(request: Request, actor: Actor, kind: str, message: tuple[str, str] = ("", "bad")) -> ImportView:
    with services_of(request).database.reading() as session:
        done = batches(session, actor)
    known = kind if kind in LISTS else "households"
    return ImportView([one.spec for one in LISTS.values()], done, known, *message)


def _page(request: Request, view: ImportView) -> HTMLResponse:
    return render(request, "registry/import.html", "台账导入", view=view)


@router.get("/registry/import")
def show_import(request: Request, actor: Editor, kind: str = "", done: str = "") -> HTMLResponse:
    """Show the lists with their templates, the upload form, and the batches that were taken in."""
    words = {
        "taken": ("已导入，批次在下面的列表里，可以整批撤销。", "good"),
        "undone": ("已整批撤销。", "good"),
    }
    return _page(request, _view(request, actor, kind, words.get(done, ("", "bad"))))


@router.get("/registry/import/{kind}/template")
def list_template(actor: Editor, kind: str) -> Response:  # noqa: ARG001, the rule is the actor
    """Hand out a template: Chinese headers, notes, drop-down lists."""
    if kind not in LISTS:
        raise NotFoundError(kind)
    return attached(template(kind), XLSX, f"{LISTS[kind].spec.label}模板.xlsx")


@router.post("/registry/import", dependencies=[Depends(check_form)])
def check_file(
    request: Request, actor: Editor, file: UploadFile, kind: Annotated[str, Form(max_length=30)]
) -> HTMLResponse:
    """Seal the file, read it, and show what it would do; nothing is taken in."""
    services = services_of(request)
    name = (file.filename or "名单").replace("\\", "/").rpartition("/")[2][:120]
    content = file.file.read(Limits().file_bytes + 1)
    if kind not in LISTS:
        raise NotFoundError(kind)
    if len(content) > Limits().file_bytes:
        raise ProblemsError([Problem(name, "文件超过 10 MB", "拆成几个文件分别导入")])
    ring = open_key_ring(services.data_dir)
    token = keep(services.data_dir, ring, content, services.clock())
    return _checked(request, actor, Kept(kind, token, name))


@router.post("/registry/import/columns", dependencies=[Depends(check_form)])
def check_again(request: Request, actor: Editor, kept: Annotated[Kept, Depends()]) -> HTMLResponse:
    """Read the same file again with the columns that a person chose."""
    return _checked(request, actor, kept)


def _upload(request: Request, kept: Kept) -> Upload:
    services = services_of(request)
    content = waiting(services.data_dir, open_key_ring(services.data_dir), kept.token)
    return Upload(kept.kind, kept.file_name, content, partial=bool(kept.partial), columns=kept.chosen)


def _checked(request: Request, actor: Editor, kept: Kept, message: str = "") -> HTMLResponse:
    services = services_of(request)
    ring = open_key_ring(services.data_dir)
    upload = _upload(request, kept)
    with services.database.reading() as session:
        look = preview(session, actor, ring, upload, services.clock())
    spec = LISTS[kept.kind].spec
    base = _view(request, actor, kept.kind, (message, "bad"))
    view = ImportView(
        base.lists,
        base.batches,
        kept.kind,
        message,
        "bad",
        kept,
        look,
        spec.label,
        tuple(
            ColumnChoice(one.field, one.title, one.required, look.places.get(one.field, -1))
            for one in spec.columns
        ),
        tuple(
            (place, f"{column_letters(place)} {title}".strip()) for place, title in enumerate(look.headers)
        ),
        _worst_first(look)[:_SHOWN_ROWS],
    )
    return _page(request, view)


def _worst_first(look: Preview) -> tuple[RowOutcome, ...]:
    order = (Outcome.REFUSED, Outcome.CHANGED, Outcome.ADDED, Outcome.UNCHANGED)
    return tuple(sorted(look.rows, key=lambda row: (order.index(row.outcome), row.row_no)))


@router.post("/registry/import/marked", dependencies=[Depends(check_form)])
def marked_file(request: Request, actor: Editor, kept: Annotated[Kept, Depends()]) -> Response:
    """Hand out the sender's own table with the wrong cells coloured and explained."""
    services = services_of(request)
    upload = _upload(request, kept)
    with services.database.reading() as session:
        look = preview(session, actor, open_key_ring(services.data_dir), upload, services.clock())
    try:
        content = marked_copy(upload, look)
    except FileRefusedError as error:
        raise ProblemsError([Problem(error.where, error.what, error.how_to_fix)]) from error
    return attached(content, XLSX, f"{kept.file_name.rpartition('.')[0] or kept.file_name}_核对.xlsx")


@router.post("/registry/import/confirm", dependencies=[Depends(check_form)])
def take_in(request: Request, actor: Editor, kept: Annotated[Kept, Depends()]) -> Response:
    """Take the file in: all of it, or with `partial` the rows without problems."""
    services = services_of(request)
    ring = open_key_ring(services.data_dir)
    upload = _upload(request, kept)
    try:
        with services.database.transaction() as session:
            commit(session, actor, ring, upload, services.clock())
    except ProblemsError as error:
        page = _checked(request, actor, kept, f"没有导入：{error.problems[0]}")
        page.status_code = _REFUSED
        return page
    forget(services.data_dir, kept.token)
    return redirect("/registry/import", kind=kept.kind, done="taken")


@router.post("/registry/import/batches/{batch_id}/undo", dependencies=[Depends(check_form)])
def undo_batch(request: Request, actor: Editor, batch_id: str) -> Response:
    """Take a batch back, or say which row stands in the way."""
    services = services_of(request)
    try:
        with services.database.transaction() as session:
            undone = undo(session, actor, batch_id, services.clock())
    except LookupError as error:
        raise NotFoundError(batch_id) from error
    except ProblemsError as error:
        page = _page(request, _view(request, actor, "", (f"没有撤销：{error.problems[0]}", "bad")))
        page.status_code = _REFUSED
        return page
    return redirect("/registry/import", kind=undone.kind, done="undone")
