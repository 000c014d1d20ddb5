"""Logins: users, passwords, lock-out and sessions.

Owns who may act and how that is proved. `Actor` itself, roles and scope are in `registry.actors`. It
never sleeps and never asks the clock: the HTTP edge waits as long as a refusal says.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import CheckConstraint, ForeignKey, Index, delete, func, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.actors import PERMISSIONS, Actor, Permission, Role, area_prefix, scope
from registry.companies import CompanyLoginRow
from registry.facts import Recorded
from store.db import Base, UtcDateTime, new_id
from store.problem import Problem, ProblemsError

_TOKEN_BYTES = 32
_ONE_TIME_BYTES = 12
# Argon2id with 19 MiB, two passes and one lane, so that a burst of logins does not exhaust a small machine.
# Source: OWASP Password Storage Cheat Sheet.
_HASHER = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1),))
_TOUCH_AFTER = timedelta(seconds=30)
_FORGET_FAILURES_AFTER = timedelta(days=1)
_MAX_LOGIN_LENGTH = 64
_MAX_PASSWORD_LENGTH = 128


class UserRow(Recorded, Base):
    """Table `user`."""

    __tablename__ = "user"
    __table_args__ = (
        CheckConstraint(
            "role IN ('county', 'township', 'village', 'finance', 'maintenance', 'auditor', 'public')",
            name="role",
        ),
        CheckConstraint("area = '' OR length(area) = 12", name="area"),
        CheckConstraint("failed_count >= 0", name="failed_count"),
        Index(None, "login", unique=True),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    login: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    area: Mapped[str]
    password_hash: Mapped[str]
    password_set_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled: Mapped[bool]
    must_change_password: Mapped[bool]
    failed_count: Mapped[int]
    locked_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PasswordHistoryRow(Base):
    """Table `password_history`: the latest hashes of a user, so that they are not used again."""

    __tablename__ = "password_history"
    __table_args__ = (Index(None, "user_id", "set_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"))
    password_hash: Mapped[str]
    set_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LoginFailureRow(Base):
    """Table `login_failure`: failures of one login from one source, whether or not the login exists."""

    __tablename__ = "login_failure"

    key: Mapped[str] = mapped_column(primary_key=True)
    failed_count: Mapped[int]
    last_failed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    locked_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class UserSessionRow(Base):
    """Table `user_session`: open sessions by the hash of their token."""

    __tablename__ = "user_session"
    __table_args__ = (Index(None, "user_id"),)

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"))
    csrf_token: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


@dataclass(frozen=True, slots=True)
class LoginPolicy:
    """Rules of login; the defaults follow the usual 等保 2.0 second-level settings.

    Source: GB/T 22239-2019 7.1.4.1 (identity), the figures from common rectification records.
    """

    failures_before_lock: int = 5
    lock: timedelta = timedelta(minutes=15)
    idle: timedelta = timedelta(minutes=15)
    absolute: timedelta = timedelta(hours=8)
    password_length: int = 12
    password_classes: int = 3
    passwords_remembered: int = 5
    password_age: timedelta = timedelta(days=90)


DEFAULT_POLICY = LoginPolicy()


@dataclass(frozen=True, slots=True)
class User:
    """A user as an administrator sees it."""

    id: str
    login: str
    name: str
    role: str
    area: str
    disabled: bool
    must_change_password: bool
    locked_until: datetime | None


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be made; `area` is a 12-digit division code, empty for the whole installation.

    `company` limits a user of role MAINTENANCE to the stations of that O&M company.
    """

    login: str
    name: str
    role: Role
    area: str = ""
    company: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody typed, and the network address it came from."""

    login: str
    password: str
    source: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A login that was refused: the same words whatever the reason, and how long to wait [s].

    `delay_seconds` is how long the edge holds this answer back; `retry_after_seconds` is how long this
    login is closed for this source.
    """

    message: str
    delay_seconds: int = 0
    retry_after_seconds: int = 0


@dataclass(frozen=True, slots=True)
class OpenSession:
    """An open session: who acts, the CSRF token of its forms, and whether the password must be changed.

    `stale` says that `touch_session` should note the activity (at most every 30 s).
    """

    actor: Actor
    csrf_token: str
    must_change_password: bool
    expires_at: datetime
    stale: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class NewSession:
    """A session just opened: the token goes into the cookie and is kept nowhere else."""

    token: str
    csrf_token: str
    expires_at: datetime


@cache
def _decoy_hash() -> str:
    # Verified for unknown logins, so that they cost the same time as known ones.
    return hash_password(secrets.token_urlsafe(_TOKEN_BYTES))


def hash_password(password: str) -> str:
    """Return the Argon2id hash of a password with its own salt."""
    return _HASHER.hash(password)


def password_fits(password: str, password_hash: str) -> bool:
    """Tell whether a password is the one that was hashed; one that is too long never is."""
    fits = _HASHER.verify(password[:_MAX_PASSWORD_LENGTH], password_hash)
    return fits and len(password) <= _MAX_PASSWORD_LENGTH


def one_time_password() -> str:
    """Return a fresh random password that its owner must replace at the first login."""
    return secrets.token_urlsafe(_ONE_TIME_BYTES)


def create_user(
    session: Session, actor: Actor, new: NewUser, now: datetime, password: str | None = None
) -> str:
    """Make a user and return the password, which must be changed at the first login.

    Without `password` a fresh random one is made.
    Raises ProblemsError when the login is taken or malformed, PermissionError outside the area.
    """
    actor.require(Permission.MANAGE_USERS)
    if not actor.covers(new.area):
        raise PermissionError(f"{new.area or '全部'} 不在 {actor.name} 的辖区内")
    _refuse_login(session, new)
    password = password or one_time_password()
    row = UserRow(
        id=new_id("user"),
        login=new.login,
        name=new.name,
        role=new.role,
        area=new.area,
        password_hash=hash_password(password),
        password_set_at=now,
        disabled=False,
        must_change_password=True,
        failed_count=0,
        locked_until=None,
        recorded_at=now,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    if new.company:
        stamp = {"recorded_at": now, "recorded_by": actor.user_id}
        session.add(CompanyLoginRow(user_id=row.id, company=new.company, **stamp))
        session.flush()
    audit.record(session, actor, audit.Entry("create", "user", row.id, after=new), now)
    return password


def _refuse_login(session: Session, new: NewUser) -> None:
    login = new.login
    if new.company and new.role is not Role.MAINTENANCE:
        raise ProblemsError(
            [Problem(f"登录名 {login}", "只有运维角色才属于运维单位", "去掉运维单位或改用运维角色")]
        )
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,63}", login):
        raise ProblemsError(
            [Problem(f"登录名 {login}", "格式不对", "用 2 到 64 个小写字母、数字、点、横线或下划线")]
        )
    if session.scalar(select(UserRow.id).where(UserRow.login == login)) is not None:
        raise ProblemsError([Problem(f"登录名 {login}", "已有人使用", "换一个登录名")])


def authenticate(
    session: Session, credentials: Credentials, now: datetime, policy: LoginPolicy = DEFAULT_POLICY
) -> Actor | Refusal:
    """Return who logged in, or a refusal that tells nothing about whether the login exists.

    Five failures of one login from one source close it for that source for 15 minutes; another source is
    not affected, so that nobody can lock others out. The caller commits in both cases.
    """
    if session.get_bind().dialect.name == "postgresql":
        # Attempts that run side by side are counted one after the other; SQLite has one writer anyway.
        lock = func.pg_advisory_xact_lock(func.hashtextextended(_failure_key(credentials), 0))
        session.execute(select(lock))
    failure = _failure(session, credentials)
    if failure is not None and failure.locked_until is not None and failure.locked_until > now:
        wait = int((failure.locked_until - now).total_seconds()) + 1
        return Refusal(f"尝试次数过多，请在 {-(-wait // 60)} 分钟后再试", retry_after_seconds=wait)
    row = session.scalar(
        select(UserRow).where(UserRow.login == credentials.login, UserRow.disabled.is_(False))
    )
    right = password_fits(credentials.password, _decoy_hash() if row is None else row.password_hash)
    if row is None or not right:
        return _refuse(session, credentials, now, policy)
    if failure is not None:
        session.delete(failure)
    row.failed_count = 0
    session.flush()
    signed_in = _actor(row)
    audit.record(session, signed_in, audit.Entry("login", "user", row.id), now)
    return signed_in


def _failure(session: Session, credentials: Credentials) -> LoginFailureRow | None:
    return session.get(LoginFailureRow, _failure_key(credentials))


def _failure_key(credentials: Credentials) -> str:
    # Hashes, because people type passwords into the field of the login.
    login = credentials.login[:_MAX_LOGIN_LENGTH]
    return f"{_digest(login)}:{_digest(credentials.source)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _refuse(session: Session, credentials: Credentials, now: datetime, policy: LoginPolicy) -> Refusal:
    session.execute(
        delete(LoginFailureRow).where(
            LoginFailureRow.last_failed_at < now - _FORGET_FAILURES_AFTER,
            or_(LoginFailureRow.locked_until.is_(None), LoginFailureRow.locked_until < now),
        )
    )
    row = _failure(session, credentials)
    if row is None:
        row = LoginFailureRow(key=_failure_key(credentials), failed_count=0, last_failed_at=now)
        session.add(row)
    elif row.locked_until is not None:
        row.failed_count, row.locked_until = 0, None
    row.failed_count += 1
    row.last_failed_at = now
    known = session.scalar(select(UserRow).where(UserRow.login == credentials.login))
    if known is not None:
        known.failed_count += 1
    if row.failed_count >= policy.failures_before_lock:
        row.locked_until = now + policy.lock
    session.flush()
    return Refusal("登录名或口令不对", delay_seconds=min(2 ** (row.failed_count - 1), 8))


def _actor(row: UserRow, company: str = "") -> Actor:
    return Actor(row.id, row.name, Role(row.role), row.area, company)


def open_session(
    session: Session, actor: Actor, now: datetime, policy: LoginPolicy = DEFAULT_POLICY
) -> NewSession:
    """Open a session for somebody who has just logged in, with a fresh token of 256 bits."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    opened = NewSession(token, secrets.token_urlsafe(_TOKEN_BYTES), now + policy.absolute)
    session.execute(delete(UserSessionRow).where(UserSessionRow.expires_at < now))
    session.add(
        UserSessionRow(
            token_hash=_digest(token),
            user_id=actor.user_id,
            csrf_token=opened.csrf_token,
            created_at=now,
            last_seen_at=now,
            expires_at=opened.expires_at,
        )
    )
    session.flush()
    return opened


def actor_of_session(
    session: Session, token: str, now: datetime, policy: LoginPolicy = DEFAULT_POLICY
) -> OpenSession | None:
    """Return the open session of a token, or None when it is unknown, idle too long, over, or disabled.

    Reads only; role and area are those of this moment, not of the login.
    """
    statement = (
        select(UserSessionRow, UserRow, CompanyLoginRow.company)
        .join(UserRow, UserRow.id == UserSessionRow.user_id)
        .outerjoin(CompanyLoginRow, CompanyLoginRow.user_id == UserRow.id)
        .where(UserSessionRow.token_hash == _digest(token), UserRow.disabled.is_(False))
        .where(UserSessionRow.expires_at > now, UserSessionRow.last_seen_at > now - policy.idle)
    )
    found = session.execute(statement).first()
    if found is None:
        return None
    row, user, company = found
    must_change = user.must_change_password or now - user.password_set_at > policy.password_age
    stale = now - row.last_seen_at > _TOUCH_AFTER
    return OpenSession(_actor(user, company or ""), row.csrf_token, must_change, row.expires_at, stale)


def touch_session(session: Session, token: str, now: datetime) -> None:
    """Note that a session is in use; its idle time begins anew."""
    row = session.get(UserSessionRow, _digest(token))
    if row is not None and row.last_seen_at < now < row.expires_at:
        row.last_seen_at = now
        session.flush()


def csrf_matches(opened: OpenSession, given: str) -> bool:
    """Tell whether a form's token is the session's, in constant time."""
    return hmac.compare_digest(opened.csrf_token.encode(), given.encode())


def close_session(session: Session, token: str) -> None:
    """Close a session; closing an unknown one is no error."""
    session.execute(delete(UserSessionRow).where(UserSessionRow.token_hash == _digest(token)))


def close_sessions_of(session: Session, actor: Actor, user_id: str, now: datetime) -> None:
    """Close every session of a user: one's own, or another's as an administrator."""
    if user_id != actor.user_id:
        managed_user(session, actor, user_id)
    session.execute(delete(UserSessionRow).where(UserSessionRow.user_id == user_id))
    audit.record(session, actor, audit.Entry("close_sessions", "user", user_id), now)


def users(session: Session, actor: Actor) -> tuple[User, ...]:
    """Return the users whose area lies inside the administrator's, by login."""
    actor.require(Permission.MANAGE_USERS)
    statement = scope(select(UserRow), actor, UserRow.area).order_by(UserRow.login)
    return tuple(
        User(
            row.id,
            row.login,
            row.name,
            row.role,
            row.area,
            row.disabled,
            row.must_change_password,
            row.locked_until,
        )
        for row in session.scalars(statement)
    )


def acting_as(session: Session, user_id: str) -> Actor | None:
    """Return a user as an actor with the present role, area and company; None when unknown or disabled."""
    found = session.execute(
        select(UserRow, CompanyLoginRow.company)
        .outerjoin(CompanyLoginRow, CompanyLoginRow.user_id == UserRow.id)
        .where(UserRow.id == user_id, UserRow.disabled.is_(False))
    ).first()
    return None if found is None else _actor(found[0], found[1] or "")


def holders(session: Session, permission: Permission, division_code: str) -> frozenset[str]:
    """Return the ids of users in use who hold a permission over a division; unscoped."""
    roles = [role.value for role, every in PERMISSIONS.items() if permission in every]
    rows = session.scalars(select(UserRow).where(UserRow.role.in_(roles), UserRow.disabled.is_(False)))
    return frozenset(row.id for row in rows if _actor(row).covers(division_code))


def user_names(session: Session) -> dict[str, str]:
    """Return the names of all users by id, for records that say who did something."""
    return {row.id: row.name for row in session.execute(select(UserRow.id, UserRow.name))}


def disable_user(
    session: Session, actor: Actor, user_id: str, now: datetime, *, disabled: bool = True
) -> None:
    """Close a login, or open it again; its sessions end at once.

    Raises ProblemsError when it is the last administrator that could open any login again.
    """
    row = managed_user(session, actor, user_id)
    if disabled and _is_last_administrator(session, row):
        raise ProblemsError(
            [Problem(f"用户 {row.login}", "是最后一个管理员，不能停用", "先设另一个同辖区的管理员")]
        )
    row.disabled = disabled
    session.execute(delete(UserSessionRow).where(UserSessionRow.user_id == user_id))
    session.flush()
    audit.record(session, actor, audit.Entry("disable" if disabled else "enable", "user", user_id), now)


def _is_last_administrator(session: Session, row: UserRow) -> bool:
    managing = [role for role in Role if Permission.MANAGE_USERS in PERMISSIONS[role]]
    if Role(row.role) not in managing:
        return False
    others = select(UserRow.area).where(
        UserRow.role.in_(managing), UserRow.disabled.is_(False), UserRow.id != row.id
    )
    own = area_prefix(row.area)
    return not any(own.startswith(area_prefix(area)) for area in session.scalars(others))


def release_login(session: Session, actor: Actor, user_id: str, now: datetime) -> None:
    """Forget the failures of a user's login from every source, so that a lock-out ends at once."""
    row = managed_user(session, actor, user_id)
    session.execute(delete(LoginFailureRow).where(LoginFailureRow.key.startswith(_digest(row.login))))
    row.failed_count = 0
    session.flush()
    audit.record(session, actor, audit.Entry("release", "user", user_id), now)


def managed_user(session: Session, actor: Actor, user_id: str) -> UserRow:
    """Return the row of a user whom the actor may administer; raises LookupError for any other."""
    actor.require(Permission.MANAGE_USERS)
    row = session.get(UserRow, user_id)
    if row is None or not actor.covers(row.area):
        raise LookupError(f"{actor.name} 的辖区内没有用户 {user_id}")
    return row
