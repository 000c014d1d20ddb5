"""Long work that people start: queued as durable jobs, whose page they are sent to.

Owns the kinds that pages may queue, what they are called, and who sees a job. What a kind does is given by
the composition root.
"""

from collections.abc import Mapping
from datetime import datetime

from fastapi import Request, Response

from dashboards.web import redirect, services_of
from registry.actors import Actor, Role
from store.jobs import Job, NewJob, submit

CLOSE, SHEETS = "close", "sheets"
KIND_NAMES = {
    CLOSE: "办理本月",
    SHEETS: "全村明白单",
    "daily-energy": "每日电量",
    "verify": "账目校验",
    "states": "状态重算",
    "late-truth": "迟到数据核对",
    "retire-samples": "清理原始数据",
}


def queued(request: Request, actor: Actor, kind: str, payload: Mapping[str, str]) -> Response:
    """Queue a job in the actor's name and send him to its page.

    The same button pressed again within a minute leads to the same job.
    """
    services = services_of(request)
    now = services.clock()
    about = "-".join(payload[name] for name in sorted(payload))
    key = f"{kind}-{about}-{actor.user_id}-{now:%Y%m%dT%H%M}"
    whose = {"user_id": actor.user_id, "name": actor.name, "role": actor.role.value, "area": actor.area}
    with services.database.transaction() as session:
        submit(session, NewJob(key, kind, {**payload, **whose}), now)
    return redirect(f"/jobs/{key}")


def owner_of(job: Job) -> Actor | None:
    """Return who queued a job, or None for one that the scheduler queued by itself."""
    given = job.payload
    if "user_id" not in given:
        return None
    return Actor(given["user_id"], given["name"], Role(given["role"]), given["area"])


def may_see(actor: Actor, job: Job) -> bool:
    """Tell whether an actor sees a job: his own, those of a county's area, the scheduler's."""
    owner = owner_of(job)
    if owner is None:
        return actor.area_prefix == "" or actor.role in {Role.COUNTY, Role.AUDITOR}
    return owner.user_id == actor.user_id or (
        owner.area.startswith(actor.area_prefix) and actor.role in {Role.COUNTY, Role.AUDITOR}
    )


def words_of(job: Job) -> str:
    """Return a job's result in words; a second line of a result names its file."""
    return job.result.partition("\n")[0]


def file_of(job: Job) -> tuple[str, str] | None:
    """Return the SHA-256 and the name of the file that a job made, or None."""
    digest, _, name = job.result.partition("\n")[2].partition(" ")
    return (digest, name) if digest and name else None


def result_of(words: str, digest: str, name: str) -> str:
    """Return the result of a job that made a file."""
    return f"{words}\n{digest} {name}"


def remaining_seconds(job: Job, now: datetime) -> int | None:
    """Return about how long a running job still takes [s], from its pace so far; None when unknown."""
    if not job.done or job.total <= job.done:
        return None
    return round((now - job.created_at).total_seconds() * (job.total - job.done) / job.done)
