"""One work order: what is to be done, what was done, and the forms to go on, good on a phone.

Owns the page and its forms; the rules are `monitoring.work_orders`'. Photos are shown to whoever sees the
order, and to nobody else.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.files import ATTACHMENTS
from dashboards.moments import field_value, read_moment
from dashboards.pages.running.work_orders import TONES, deadline_words
from dashboards.web import (
    Crumb,
    NotFoundError,
    Services,
    check_form,
    reading,
    redirect,
    render,
    requires,
    services_of,
)
from documents.attachments import read_attachment
from documents.refusal import FileRefusedError
from monitoring.work_orders.orders import Entry, Part, Photo, WorkOrderError, act, keep_photo
from monitoring.work_orders.reads import LogEntry, WorkOrder, log_of, photo_type, work_order
from monitoring.work_orders.states import ACTION_WORDS, MOVES, PERMISSIONS, Action, OrderState
from registry.actors import Actor, NotPermittedError, Permission
from registry.stations import Station, device, station
from store.problem import Problem, ProblemsError

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]
_REFUSED = 409
_PHOTOS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class _Form:
    """How one action is offered: its heading, the words on its button, and which fields it has."""

    action: Action
    title: str
    button: str
    tone: str = ""
    note_label: str = ""
    note_required: bool = False
    photos: bool = False
    parts: bool = False
    due: bool = False


FORMS = (
    _Form(Action.ACCEPT, "接单", "接单，我来处理", "primary"),
    _Form(
        Action.FINISH,
        "报完工",
        "报完工，请县里验收",
        "primary",
        "做了什么、现在是否正常",
        True,
        photos=True,
        parts=True,
    ),
    _Form(Action.NOTE, "记录进展", "记下进展", "", "进展、困难、等什么", True, photos=True),
    _Form(Action.CLOSE, "验收", "验收办结", "primary", "验收意见（可不填）"),
    _Form(Action.SEND_BACK, "退回重办", "退回重办", "danger", "哪里不行", True),
    _Form(Action.EXTEND, "延长期限", "延长期限", "", "为什么", True, due=True),
    _Form(Action.CANCEL, "撤销工单", "撤销工单", "danger", "为什么撤销", True),
)
_MAIN = frozenset({Action.ACCEPT, Action.FINISH, Action.CLOSE, Action.SEND_BACK})
"""Actions that stand open; the others are folded away."""


@dataclass(frozen=True, slots=True)
class WorkOrderView:
    """The order, its log, and what this reader may do now."""

    order: WorkOrder
    tone: str
    shape: str
    deadline: str
    late: bool
    place: Station | None
    device_name: str
    log: Sequence[LogEntry]
    words: dict[Action, str]
    main: tuple[_Form, ...]
    folded: tuple[_Form, ...]
    waits_for: str
    due: str
    message: str
    tone_of_message: str


def _offered(actor: Actor, order: WorkOrder, log: Sequence[LogEntry]) -> tuple[_Form, ...]:
    finished = {one.by_id for one in log if one.action is Action.FINISH}
    return tuple(
        form
        for form in FORMS
        if actor.may(PERMISSIONS[form.action])
        and order.state in MOVES[form.action][0]
        and not (form.action is Action.CLOSE and actor.user_id in finished)
    )


def _waits_for(order: WorkOrder, offered: Sequence[_Form]) -> str:
    if order.state is OrderState.DONE and Action.CLOSE not in {form.action for form in offered}:
        return "等县里另一位同志验收，报完工的人不能自己验收。"
    return "" if order.ended or offered else f"等{order.company or '运维单位'}处理。"


def _own(session: Session, actor: Actor, order_id: str) -> WorkOrder:
    found = work_order(session, actor, order_id)
    if found is None:
        raise NotFoundError(order_id)
    return found


def _page(
    request: Request, session: Session, actor: Actor, order: WorkOrder, told: tuple[str, str]
) -> HTMLResponse:
    now = services_of(request).clock()
    log = log_of(session, actor, order.id)
    offered = _offered(actor, order, log)
    tone, shape = TONES[order.state]
    concerned = device(session, actor, order.device_id) if order.device_id else None
    view = WorkOrderView(
        order=order,
        tone=tone,
        shape=shape,
        deadline=deadline_words(order, now),
        late=order.overdue(now),
        place=station(session, actor, order.station_id),
        device_name=concerned.name if concerned else "全站",
        log=log,
        words=ACTION_WORDS,
        main=tuple(form for form in offered if form.action in _MAIN),
        folded=tuple(form for form in offered if form.action not in _MAIN),
        waits_for=_waits_for(order, offered),
        due=field_value(order.due_at),
        message=told[0],
        tone_of_message=told[1],
    )
    crumbs = (Crumb("工单", "/work-orders"),)
    return render(request, "running/work_order.html", order.title, crumbs=crumbs, view=view)


@router.get("/work-orders/{order_id}")
def show_order(
    request: Request, actor: Reader, session: Reading, order_id: str, done: str = ""
) -> HTMLResponse:
    """Show an order of the actor's stations."""
    told = f"{ACTION_WORDS[Action(done)]}已记录。" if done in set(Action) else ""
    return _page(request, session, actor, _own(session, actor, order_id), (told, "good"))


@router.get("/work-orders/{order_id}/photos/{sha256}")
def show_photo(request: Request, actor: Reader, session: Reading, order_id: str, sha256: str) -> Response:
    """Show a photo of an order of the actor's stations."""
    kind = photo_type(session, actor, order_id, sha256)
    if kind is None:
        raise NotFoundError(sha256)
    content = read_attachment(services_of(request).data_dir / ATTACHMENTS, sha256)
    return Response(content, media_type=kind, headers={"Cache-Control": "private, max-age=86400"})


@dataclass(frozen=True, slots=True)
class _Said:
    """What the form of an action holds."""

    seen: Annotated[int, Form(ge=1, le=100_000)]
    note: Annotated[str, Form(max_length=2000)] = ""
    parts: Annotated[str, Form(max_length=2000)] = ""
    due: Annotated[str, Form(max_length=40)] = ""
    photos: Annotated[list[UploadFile] | None, File()] = None


def read_parts(text: str) -> tuple[Part, ...]:
    """Read parts, one a line: name, count, serial number; raises ProblemsError for a count that is none."""
    found, problems = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        name, *rest = re.split(r"[\s,，;；、]+", line.strip(), maxsplit=2)
        if not name:
            continue
        count = rest[0] if rest else "1"
        if not re.fullmatch(r"[1-9][0-9]{0,3}", count):
            problems.append(
                Problem(
                    f"配件第 {number} 行",
                    f"“{count}” 不是数量",
                    "写成：名称 数量 序列号，如：散热风扇 2 FS-204",
                )
            )
            continue
        found.append(Part(name, int(count), rest[1] if len(rest) > 1 else ""))
    if problems:
        raise ProblemsError(problems)
    return tuple(found)


def _photos(services: Services, uploads: Sequence[UploadFile]) -> tuple[Photo, ...]:
    given = [one for one in uploads if one.filename]
    if len(given) > _PHOTOS_AT_ONCE:
        raise FileRefusedError("照片", f"一次最多 {_PHOTOS_AT_ONCE} 张", "分几次上传，先传最说明问题的")
    folder = services.data_dir / ATTACHMENTS
    return tuple(keep_photo(folder, one.file.read()) for one in given)


def _entry(services: Services, action: Action, said: _Said) -> Entry:
    return Entry(
        action=action,
        note=said.note,
        seen_seq=said.seen,
        photos=_photos(services, said.photos or ()),
        parts=read_parts(said.parts) if action is Action.FINISH else (),
        due_at=read_moment(said.due, "新的期限") if action is Action.EXTEND else None,
    )


def _is_repeated(log: Sequence[LogEntry], actor: Actor, action: Action, seen: int) -> bool:
    """Tell whether this very form was accepted before: a double click is no mistake of anybody."""
    return any(one.seq == seen + 1 and one.by_id == actor.user_id and one.action is action for one in log)


@router.post("/work-orders/{order_id}/{action}", dependencies=[Depends(check_form)])
def act_on_order(
    request: Request, actor: Reader, order_id: str, action: Action, said: Annotated[_Said, Depends()]
) -> Response:
    """Do something with an order; a refusal is shown on its page."""
    services = services_of(request)
    if not actor.may(PERMISSIONS[action]):
        raise NotPermittedError(f"{actor.name} 无权{ACTION_WORDS[action]}")
    if action is Action.DISPATCH:
        raise NotFoundError(action)
    with services.database.reading() as session:
        _own(session, actor, order_id)
        repeated = _is_repeated(log_of(session, actor, order_id), actor, action, said.seen)
    if repeated:
        return redirect(f"/work-orders/{order_id}", done=action)
    try:
        entry = _entry(services, action, said)
        with services.database.transaction() as session:
            act(session, actor, order_id, entry, services.clock())
    except (WorkOrderError, FileRefusedError, ProblemsError) as refused:
        with services.database.reading() as session:
            response = _page(request, session, actor, _own(session, actor, order_id), (str(refused), "bad"))
        response.status_code = _REFUSED
        return response
    return redirect(f"/work-orders/{order_id}", done=action)
