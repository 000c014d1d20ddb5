"""Changing public-welfare posts over time: ending one, changing its rate.

Owns the rule that what was served on a post stays with it when the post is written anew. The rows are
`registry.enrolment`'s.
"""

from datetime import date, datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from registry.actors import Actor, Permission
from registry.enrolment import AttendanceRow, Post, PostRow, add_post
from registry.facts import as_record, known, supersede
from registry.roll.spans import columns_of, put
from store.db import new_id


def end_post(session: Session, actor: Actor, row: PostRow, on: date, now: datetime) -> None:
    """End a post on a day (its first day without it); what was served before stays with it."""
    served = session.scalars(
        select(AttendanceRow).where(
            AttendanceRow.post_id == row.id, known(AttendanceRow), AttendanceRow.valid_from < on
        )
    ).all()
    supersede(row, actor, now)
    session.flush()
    if row.valid_from >= on:
        return
    made = put(session, actor, PostRow, {**columns_of(row), "valid_to": on}, now)
    for one in served:
        supersede(one, actor, now)
        session.flush()
        put(session, actor, AttendanceRow, {**columns_of(one), "post_id": made}, now)


def put_post(session: Session, actor: Actor, record: Post, now: datetime) -> bool:
    """Record a post from its first day on; an earlier one of the same holder and kind ends there.

    Returns whether anything changed.
    """
    actor.require(Permission.EDIT_REGISTRY)
    for row in session.scalars(_same(record)).all():
        old = as_record(Post, row)
        if (old.monthly_rate_fen, old.valid_to, old.document) == (
            record.monthly_rate_fen,
            record.valid_to,
            record.document or old.document,
        ) and old.valid_from <= record.valid_from:
            return False
        end_post(session, actor, row, record.valid_from, now)
    fresh = Post(
        record.id or new_id("post"),
        record.village_code,
        record.household_id,
        record.kind,
        record.monthly_rate_fen,
        record.valid_from,
        record.valid_to,
        record.document,
    )
    add_post(session, actor, fresh, now)
    return True


def find_post(session: Session, household_id: str, kind: str, on: date) -> PostRow | None:
    """Return the post of a kind that a household holds on a day, as known now."""
    statement = select(PostRow).where(
        PostRow.household_id == household_id,
        PostRow.kind == kind,
        known(PostRow),
        PostRow.valid_from <= on,
        PostRow.valid_to.is_(None) | (PostRow.valid_to > on),
    )
    return session.scalars(statement.order_by(PostRow.valid_from.desc())).first()


def _same(record: Post) -> Select[PostRow]:
    return select(PostRow).where(
        PostRow.household_id == record.household_id,
        PostRow.kind == record.kind,
        known(PostRow),
        PostRow.valid_to.is_(None) | (PostRow.valid_to > record.valid_from),
    )
