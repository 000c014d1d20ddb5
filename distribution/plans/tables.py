"""Plan versions in the database: kept for ever, published for a span of days, found by village and day.

Owns the tables `plan_version`, `plan_state` and `plan_publication`. A version's text never changes; a
state only moves forward; publications of one scope never overlap. Reading a published plan needs no
permission: it is public.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Select, Text, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from distribution.plans.cases import run_cases
from distribution.plans.checks import check_plan
from distribution.plans.document import Plan, load_plan, plan_hash
from distribution.plans.states import PlanState, StateChange, next_state
from registry.actors import Actor, Permission
from registry.audit import Entry, record
from store.db import Base, UtcDateTime, guard, guard_append_only
from store.problem import Problem, ProblemsError
from store.seals import put_under_seal

EVERYWHERE = ""
_CODE_LENGTHS = (12, 9, 6, 4, 2)


class PlanVersionRow(Base):
    """Table `plan_version`: the text of one version of a plan; append-only."""

    __tablename__ = "plan_version"
    __table_args__ = (CheckConstraint("version >= 1", name="version"),)

    plan_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    text: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


class PlanStateRow(Base):
    """Table `plan_state`: each state that a version has reached, once; append-only."""

    __tablename__ = "plan_state"
    __table_args__ = (
        ForeignKeyConstraint(["plan_id", "version"], ["plan_version.plan_id", "plan_version.version"]),
        CheckConstraint("state IN ('draft', 'tested', 'approved', 'published', 'retired')", name="state"),
    )

    plan_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(primary_key=True)
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")


class PlanPublicationRow(Base):
    """Table `plan_publication`: where and when a version applies; only an open end may be closed."""

    __tablename__ = "plan_publication"
    __table_args__ = (
        ForeignKeyConstraint(["plan_id", "version"], ["plan_version.plan_id", "plan_version.version"]),
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="half_open"),
        CheckConstraint("division_code = '' OR length(division_code) = 12", name="division_code"),
    )

    plan_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    division_code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


guard_append_only(PlanVersionRow.__table__)  # type: ignore[arg-type]
guard_append_only(PlanStateRow.__table__)  # type: ignore[arg-type]
put_under_seal(PlanVersionRow.__table__, "分配方案", group="plan_id", since="recorded_at")
put_under_seal(PlanStateRow.__table__, "分配方案状态", group="plan_id", since="recorded_at")
put_under_seal(PlanPublicationRow.__table__, "分配方案发布", group="plan_id", since="recorded_at")

_OVERLAP = (
    "EXISTS (SELECT 1 FROM plan_publication AS other WHERE other.division_code = NEW.division_code "
    "AND NOT (other.plan_id = NEW.plan_id AND other.version = NEW.version) "
    "AND (NEW.valid_to IS NULL OR other.valid_from < NEW.valid_to) "
    "AND (other.valid_to IS NULL OR other.valid_to > NEW.valid_from) "
    "AND (NEW.valid_to IS NULL OR NEW.valid_to > NEW.valid_from) "
    "AND (other.valid_to IS NULL OR other.valid_to > other.valid_from))"
)
_CHANGED = (
    "OLD.valid_to IS NOT NULL OR NEW.valid_to IS NULL OR OLD.plan_id <> NEW.plan_id "
    "OR OLD.version <> NEW.version OR OLD.division_code <> NEW.division_code "
    "OR OLD.valid_from <> NEW.valid_from"
)
guard(
    PlanPublicationRow.__table__,  # type: ignore[arg-type]
    sqlite=[
        (
            f"CREATE TRIGGER plan_publication_no_overlap BEFORE INSERT ON plan_publication WHEN {_OVERLAP} "
            "BEGIN SELECT RAISE(ABORT, 'plan publications overlap'); END"
        ),
        (
            f"CREATE TRIGGER plan_publication_closes BEFORE UPDATE ON plan_publication WHEN {_CHANGED} "
            "BEGIN SELECT RAISE(ABORT, 'a publication may only be ended'); END"
        ),
        (
            "CREATE TRIGGER plan_publication_no_delete BEFORE DELETE ON plan_publication "
            "BEGIN SELECT RAISE(ABORT, 'a publication stays'); END"
        ),
    ],
    postgresql=[
        (
            "CREATE OR REPLACE FUNCTION plan_publication_guard() RETURNS trigger AS $$ BEGIN "
            "IF TG_OP = 'DELETE' THEN RAISE EXCEPTION 'a publication stays'; END IF; "
            f"IF TG_OP = 'UPDATE' THEN IF {_CHANGED} THEN "
            "RAISE EXCEPTION 'a publication may only be ended'; END IF; RETURN NEW; END IF; "
            "PERFORM pg_advisory_xact_lock(hashtext('plan_publication')); "
            f"IF {_OVERLAP} THEN RAISE EXCEPTION 'plan publications overlap'; END IF; "
            "RETURN NEW; END $$ LANGUAGE plpgsql"
        ),
        (
            "CREATE TRIGGER plan_publication_guard BEFORE INSERT OR UPDATE OR DELETE ON plan_publication "
            "FOR EACH ROW EXECUTE FUNCTION plan_publication_guard()"
        ),
    ],
)


class NoPlanPublishedError(LookupError):
    """No plan applies to a village on a day, so nothing can be distributed there."""


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """One version of a plan, as a list shows it."""

    plan_id: str
    version: int
    title: str
    content_hash: str
    state: PlanState


@dataclass(frozen=True, slots=True)
class StateRecord:
    """When a version reached a state, by whom, and why."""

    state: PlanState
    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Publication:
    """Where and when a version applies; an empty code is everywhere, `valid_to` is the first day after."""

    plan_id: str
    version: int
    division_code: str
    valid_from: date
    valid_to: date | None


class OwnPlanError(PermissionError):
    """Who wrote a plan does not approve it."""


def save(session: Session, actor: Actor, text: str, now: datetime) -> Plan:
    """Keep a plan's text as a version in state draft, and return the plan.

    Saving the same text again changes nothing. Raises ProblemsError when the text is no plan, or when the
    version exists with another text.
    """
    actor.require(Permission.EDIT_REGISTRY)
    plan = load_plan(text)
    row = session.get(PlanVersionRow, (plan.id, plan.version))
    if row is not None:
        if row.text != text:
            raise ProblemsError(
                [
                    Problem(
                        f"方案 {plan.id} 第 {plan.version} 版",
                        "这一版已经存有不同的内容",
                        f"把 version 改成 {plan.version + 1}，作为新版保存",
                    )
                ]
            )
        return plan
    session.add(
        PlanVersionRow(
            plan_id=plan.id,
            version=plan.version,
            title=plan.title,
            text=text,
            content_hash=plan_hash(plan),
            recorded_at=now,
            recorded_by=actor.user_id,
        )
    )
    session.flush()
    _enter(session, actor, plan, StateChange(PlanState.DRAFT, ""), now)
    return plan


def advance(session: Session, actor: Actor, plan: Plan, change: StateChange, now: datetime) -> None:
    """Move a kept version to its next state; `tested` runs the plan's checks and cases first.

    Raises ProblemsError when the state is not the next one, or the plan fails its checks or cases, and
    OwnPlanError when the one who saved a version would approve it.
    """
    next_state(state_of(session, plan), change.state)
    if change.state is PlanState.APPROVED and _saved_by(session, plan) == actor.user_id:
        raise OwnPlanError("方案由谁保存，就不能由谁批准；请另一位县级人员办理")
    _advance(session, actor, plan, change, now)


def _saved_by(session: Session, plan: Plan) -> str:
    row = session.get(PlanVersionRow, (plan.id, plan.version))
    return "" if row is None else row.recorded_by


def _advance(session: Session, actor: Actor, plan: Plan, change: StateChange, now: datetime) -> None:
    needed = Permission.EDIT_REGISTRY if change.state is PlanState.TESTED else Permission.APPROVE_COUNTY
    actor.require(needed)
    if change.state is PlanState.TESTED:
        problems = [*check_plan(plan), *run_cases(plan)]
        if problems:
            raise ProblemsError(problems)
    if change.state is PlanState.PUBLISHED:
        _add_publications(session, actor, plan, now)
    _enter(session, actor, plan, change, now)


def publish(session: Session, actor: Actor, text: str, now: datetime) -> Plan:
    """Publish a plan for its scope and dates: kept, tested, approved and published in one act.

    For the operator of the machine, who publishes what was decided on paper; on pages each step is taken
    by itself, and approved by somebody else. The audit names whoever acts.
    The plan's `scope` (empty: everywhere) and `valid_from`/`valid_to` say where and when it applies.
    Publishing the same text again changes nothing. Raises ProblemsError when a check or case fails, when
    a date is missing, or when another published plan already covers part of the scope and time.
    """
    actor.require(Permission.APPROVE_COUNTY)
    plan = save(session, actor, text, now)
    current = state_of(session, plan)
    if current in {PlanState.PUBLISHED, PlanState.RETIRED}:
        return plan
    # A publication that cannot be made must not leave its state behind in the caller's transaction.
    with session.begin_nested():
        for state in (PlanState.TESTED, PlanState.APPROVED, PlanState.PUBLISHED):
            if state.rank > current.rank:
                _advance(session, actor, plan, StateChange(state, ""), now)
    return plan


def _add_publications(session: Session, actor: Actor, plan: Plan, now: datetime) -> None:
    if plan.valid_from is None:
        raise ProblemsError([Problem(plan.place("valid_from"), "没有写从哪一天起执行", "写上 valid_from")])
    for code in plan.scope or (EVERYWHERE,):
        clash = session.scalar(_overlapping(plan, code))
        if clash is not None:
            until = f"到 {clash.valid_to}" if clash.valid_to else "尚未截止"
            other = f"方案 {clash.plan_id} 第 {clash.version} 版（{until}）"
            raise ProblemsError(
                [
                    Problem(
                        plan.place("scope"),
                        f"{code or '全部'}从 {clash.valid_from} 起已有{other}",
                        "先停用那一版，或改 valid_from、valid_to",
                    )
                ]
            )
        session.add(
            PlanPublicationRow(
                plan_id=plan.id,
                version=plan.version,
                division_code=code,
                valid_from=plan.valid_from,
                valid_to=plan.valid_to,
                recorded_at=now,
                recorded_by=actor.user_id,
            )
        )
    _flush(session, plan)


def _flush(session: Session, plan: Plan) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        raise ProblemsError(
            [Problem(plan.place("scope"), f"数据库拒绝发布：{error.orig}", "先停用重叠的那一版")]
        ) from error


def _overlapping(plan: Plan, code: str) -> Select[PlanPublicationRow]:
    table = PlanPublicationRow
    statement = select(table).where(
        table.division_code == code,
        or_(table.valid_to.is_(None), table.valid_to > plan.valid_from),
        or_(table.valid_to.is_(None), table.valid_to > table.valid_from),
    )
    return statement.where(table.valid_from < plan.valid_to) if plan.valid_to else statement


def retire(session: Session, actor: Actor, plan: Plan, *, on: date, now: datetime) -> None:
    """End the publications of a version on a day (the first day on which it no longer applies).

    Raises ProblemsError when the version is not published, or `on` lies before its start.
    """
    actor.require(Permission.APPROVE_COUNTY)
    statement = select(PlanPublicationRow).where(
        PlanPublicationRow.plan_id == plan.id,
        PlanPublicationRow.version == plan.version,
        PlanPublicationRow.valid_to.is_(None),
    )
    next_state(state_of(session, plan), PlanState.RETIRED)
    for row in session.scalars(statement):
        if on < row.valid_from:
            raise ProblemsError(
                [Problem(f"方案 {plan.id}", f"停用日 {on} 早于执行日 {row.valid_from}", "改停用日")]
            )
        row.valid_to = on
    _enter(session, actor, plan, StateChange(PlanState.RETIRED, f"自 {on} 起停用"), now)


def state_of(session: Session, plan: Plan) -> PlanState:
    """Return the furthest state that a kept version has reached.

    Raises NoPlanPublishedError when the version is not kept.
    """
    states = session.scalars(
        select(PlanStateRow.state).where(
            PlanStateRow.plan_id == plan.id, PlanStateRow.version == plan.version
        )
    )
    found = max((PlanState(state) for state in states), key=lambda state: state.rank, default=None)
    if found is None:
        raise NoPlanPublishedError(f"方案 {plan.id} 第 {plan.version} 版还没有保存")
    return found


def _enter(session: Session, actor: Actor, plan: Plan, change: StateChange, now: datetime) -> None:
    session.add(
        PlanStateRow(
            plan_id=plan.id,
            version=plan.version,
            state=change.state.value,
            recorded_at=now,
            recorded_by=actor.user_id,
            reason=change.reason,
        )
    )
    session.flush()
    entry = Entry(
        action=f"plan.{change.state.value}",
        object_kind="plan",
        object_id=f"{plan.id}/{plan.version}",
        after=plan_hash(plan),
        reason=change.reason,
    )
    record(session, actor, entry, now)


def plan_for(session: Session, village_code: str, on: date) -> Plan:
    """Return the plan that is published for a village on a day; the narrowest scope wins.

    Raises NoPlanPublishedError when there is none.
    """
    codes = [village_code[:length].ljust(len(village_code), "0") for length in _CODE_LENGTHS] + [EVERYWHERE]
    table = PlanPublicationRow
    rows = session.scalars(
        select(table).where(
            table.division_code.in_(codes),
            table.valid_from <= on,
            or_(table.valid_to.is_(None), table.valid_to > on),
        )
    ).all()
    if not rows:
        raise NoPlanPublishedError(f"{village_code} 在 {on} 没有已发布的分配方案")
    best = min(rows, key=lambda row: codes.index(row.division_code))
    return plan_version(session, best.plan_id, best.version)


def plan_version(session: Session, plan_id: str, version: int) -> Plan:
    """Return a kept version of a plan, published or not; a past run is recomputed with it.

    Raises NoPlanPublishedError when there is no such version.
    """
    row = session.get(PlanVersionRow, (plan_id, version))
    if row is None:
        raise NoPlanPublishedError(f"没有方案 {plan_id} 第 {version} 版")
    return load_plan(row.text)


def plan_list(session: Session) -> tuple[PlanSummary, ...]:
    """Return every kept version with its state, by plan and version."""
    reached: dict[tuple[str, int], PlanState] = {}
    for row in session.scalars(select(PlanStateRow)):
        key, state = (row.plan_id, row.version), PlanState(row.state)
        if key not in reached or state.rank > reached[key].rank:
            reached[key] = state
    statement = select(PlanVersionRow).order_by(PlanVersionRow.plan_id, PlanVersionRow.version)
    return tuple(
        PlanSummary(row.plan_id, row.version, row.title, row.content_hash, reached[row.plan_id, row.version])
        for row in session.scalars(statement)
    )


def plan_text(session: Session, plan_id: str, version: int) -> str:
    """Return the text of a kept version as it was saved.

    Raises NoPlanPublishedError when there is no such version.
    """
    row = session.get(PlanVersionRow, (plan_id, version))
    if row is None:
        raise NoPlanPublishedError(f"没有方案 {plan_id} 第 {version} 版")
    return row.text


def states_of(session: Session, plan_id: str, version: int) -> tuple[StateRecord, ...]:
    """Return the states that a version has reached, in their order."""
    statement = select(PlanStateRow).where(PlanStateRow.plan_id == plan_id, PlanStateRow.version == version)
    found = [
        StateRecord(PlanState(row.state), row.recorded_at, row.recorded_by, row.reason)
        for row in session.scalars(statement)
    ]
    return tuple(sorted(found, key=lambda one: one.state.rank))


def publications(session: Session) -> tuple[Publication, ...]:
    """Return every publication, by division and first day."""
    statement = select(PlanPublicationRow).order_by(
        PlanPublicationRow.division_code, PlanPublicationRow.valid_from
    )
    return tuple(
        Publication(row.plan_id, row.version, row.division_code, row.valid_from, row.valid_to)
        for row in session.scalars(statement)
    )
