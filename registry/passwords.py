"""What a password must be, and how it is changed.

Owns the rules (length, classes, common and guessable words, earlier ones) and the two ways to a new
password: by its owner, and by an administrator's one-time password.
"""

import re
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry import audit
from registry.actors import Actor
from registry.users import (
    DEFAULT_POLICY,
    LoginPolicy,
    PasswordHistoryRow,
    UserRow,
    UserSessionRow,
    hash_password,
    managed_user,
    one_time_password,
    password_fits,
)
from store.db import new_id
from store.problem import Problem, ProblemsError

_MAX_LENGTH = 128
_CLASSES = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]")
# What the well-known lists of broken passwords are made of: a password that is little more than one of
# these is refused.
_COMMON = (
    "password",
    "passw0rd",
    "p@ssw0rd",
    "p@ssword",
    "admin",
    "administrator",
    "root",
    "qwerty",
    "qwertyuiop",
    "asdfgh",
    "zxcvbn",
    "letmein",
    "welcome",
    "iloveyou",
    "monkey",
    "dragon",
    "abc123",
    "abcd1234",
    "1q2w3e4r",
    "1qaz2wsx",
    "a123456",
    "woaini",
    "5201314",
    "123456",
    "12345678",
    "1234567890",
    "111111",
    "000000",
    "666666",
    "888888",
    "112233",
    "123123",
    "sunledger",
    "guangfu",
    "xiangcun",
    "zhenxing",
)
_SEQUENCES = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_RUN = 5


def password_problems(password: str, login: str, policy: LoginPolicy = DEFAULT_POLICY) -> list[Problem]:
    """Return what keeps a text from being a password, every reason at once.

    Source: GB/T 22239-2019 7.1.4.1 a) complexity; OWASP ASVS 5.0 6.2.4 common passwords.
    """
    return [Problem("新口令", what, how_to_fix) for what, how_to_fix in _reasons(password, login, policy)]


def _reasons(password: str, login: str, policy: LoginPolicy) -> Iterator[tuple[str, str]]:
    if len(password) < policy.password_length:
        yield f"只有 {len(password)} 个字符", f"至少 {policy.password_length} 个字符"
    if len(password) > _MAX_LENGTH:
        yield "太长", f"最多 {_MAX_LENGTH} 个字符"
    if sum(bool(re.search(one, password)) for one in _CLASSES) < policy.password_classes:
        yield "字符种类太少", f"大写、小写、数字、符号中至少用 {policy.password_classes} 种"
    folded = password.lower()
    if login and login.lower() in folded:
        yield "含有登录名", "不要用登录名作口令的一部分"
    if any(common in folded and len(folded) - len(common) < policy.password_length for common in _COMMON):
        yield "是常见口令，或只比常见口令多几个字符", "换成别人猜不到的，例如四个不相干的词加数字"
    if re.search(rf"(.)\1{{{_RUN - 2},}}", password) or _has_run(folded):
        yield f"有 {_RUN - 1} 个以上相同或 {_RUN} 个以上连续的字符", "打乱顺序"


def _has_run(folded: str) -> bool:
    pieces = {folded[start : start + _RUN] for start in range(len(folded) - _RUN + 1)}
    return any(piece in row or piece[::-1] in row for piece in pieces for row in _SEQUENCES)


def change_password(
    session: Session,
    actor: Actor,
    passwords: tuple[str, str],
    now: datetime,
    policy: LoginPolicy = DEFAULT_POLICY,
) -> None:
    """Replace one's own password: `passwords` is the present one and the new one.

    Every open session of the user ends; the caller opens a new one. Raises ProblemsError when the present
    one is wrong, or the new one does not do.
    """
    present, new = passwords
    row = session.get(UserRow, actor.user_id)
    if row is None or not password_fits(present, row.password_hash):
        raise ProblemsError([Problem("原口令", "不对", "重新输入；忘记了请管理员重置")])
    problems = password_problems(new, row.login, policy)
    if not problems and _used_before(session, row, new, policy):
        problems = [Problem("新口令", f"是最近 {policy.passwords_remembered} 次用过的", "换一个没有用过的")]
    if problems:
        raise ProblemsError(problems)
    _set(session, row, new, now)
    row.must_change_password = False
    session.flush()
    audit.record(session, actor, audit.Entry("change_password", "user", row.id), now)


def _used_before(session: Session, row: UserRow, new: str, policy: LoginPolicy) -> bool:
    statement = (
        select(PasswordHistoryRow.password_hash)
        .where(PasswordHistoryRow.user_id == row.id)
        .order_by(PasswordHistoryRow.set_at.desc(), PasswordHistoryRow.id)
        .limit(policy.passwords_remembered - 1)
    )
    hashes = [row.password_hash, *session.scalars(statement)]
    return any(password_fits(new, one) for one in hashes)


def _set(session: Session, row: UserRow, password: str, now: datetime) -> None:
    session.add(
        PasswordHistoryRow(
            id=new_id("password"), user_id=row.id, password_hash=row.password_hash, set_at=row.password_set_at
        )
    )
    row.password_hash = hash_password(password)
    row.password_set_at = now
    session.execute(delete(UserSessionRow).where(UserSessionRow.user_id == row.id))


def reset_password(session: Session, actor: Actor, user_id: str, now: datetime) -> str:
    """Give a user a fresh one-time password and return it; every open session of the user ends."""
    row = managed_user(session, actor, user_id)
    password = one_time_password()
    _set(session, row, password, now)
    row.must_change_password = True
    session.flush()
    audit.record(session, actor, audit.Entry("reset_password", "user", user_id), now)
    return password
