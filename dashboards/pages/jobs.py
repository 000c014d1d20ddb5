"""Long work: how far it is, what came of it, and the file that it made."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from dashboards.files import ATTACHMENTS, PDF, attached
from dashboards.jobs import KIND_NAMES, file_of, may_see, owner_of, remaining_seconds, words_of
from dashboards.web import Crumb, NotFoundError, reading, render, requires, services_of
from documents.attachments import read_attachment
from registry.actors import Actor, Permission
from store.jobs import Job, JobState, find, listing

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_MONEY))]
Reading = Annotated[Session, Depends(reading)]
_STATES = {
    JobState.WAITING: "排队中",
    JobState.RUNNING: "正在办理",
    JobState.DONE: "已完成",
    JobState.FAILED: "没有完成",
}
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class JobView:
    """A job in words: what, by whom, how far, about how long still [s], what came of it."""

    job: Job
    title: str
    by: str
    state_word: str
    words: str
    remaining: int | None
    file_name: str

    @property
    def is_active(self) -> bool:
        """Tell whether the page looks again by itself."""
        return self.job.state in {JobState.WAITING, JobState.RUNNING}


def _view(request: Request, job: Job) -> JobView:
    owner, file = owner_of(job), file_of(job)
    about = job.payload.get("month") or job.payload.get("period") or ""
    return JobView(
        job,
        f"{KIND_NAMES.get(job.kind, '其他任务')} {about}".strip(),
        "系统自动" if owner is None else owner.name,
        _STATES[job.state],
        words_of(job),
        remaining_seconds(job, services_of(request).clock()),
        "" if file is None else file[1],
    )


@router.get("/jobs")
def show_jobs(request: Request, actor: Reader, session: Reading) -> HTMLResponse:
    """Show the long work that changed last."""
    views = [_view(request, one) for one in listing(session, _SHOWN) if may_see(actor, one)]
    return render(request, "jobs.html", "后台任务", view=tuple(views))


@router.get("/jobs/{key}")
def show_job(request: Request, actor: Reader, session: Reading, key: str) -> HTMLResponse:
    """Show how far a job is; while it runs the page looks again every three seconds."""
    view = _view(request, _job(session, actor, key))
    return render(request, "job.html", view.title, crumbs=(Crumb("后台任务", "/jobs"),), view=view)


@router.get("/jobs/{key}/file")
def download(request: Request, actor: Reader, session: Reading, key: str) -> Response:
    """Hand out the file that a job made."""
    file = file_of(_job(session, actor, key))
    if file is None:
        raise NotFoundError(key)
    content = read_attachment(services_of(request).data_dir / ATTACHMENTS, file[0])
    return attached(content, PDF, file[1])


def _job(session: Session, actor: Actor, key: str) -> Job:
    found = find(session, key)
    if found is None or not may_see(actor, found):
        raise NotFoundError(key)
    return found
