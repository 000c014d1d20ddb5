"""Seals over rows: who edits, removes or adds a row behind the program's back is found, and the row is named.

Owns table `seal`, a hash chain. Tables are put under seal beside their guards; from then on every commit
that writes to such a table by a session leaves a seal over the group of rows it touched (a run's votes, a
batch's attempts), with no word of the writer. Rows from before their table's first seal are left alone.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Index,
    String,
    Table,
    Text,
    event,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column

from store.db import Base, UtcDateTime, guard_append_only
from store.problem import Problem

GENESIS = "0" * 64
_MARK = 8
_AT_ONCE = 500
_PENDING = "unsealed"
_MEND = "请从备份恢复并报告审计"


class SealRow(Base):
    """Table `seal`: one seal over one group of rows; `marks` holds the first 8 digits of each row's hash."""

    __tablename__ = "seal"
    __table_args__ = (
        CheckConstraint("seq >= 1", name="seq"),
        CheckConstraint("length(hash) = 64 AND length(previous_hash) = 64", name="hash"),
        Index(None, "kind", "group_key"),
        Index(None, "previous_hash", unique=True),
    )

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    group_key: Mapped[str]
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    digest: Mapped[str] = mapped_column(String(64))
    marks: Mapped[str] = mapped_column(Text)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


guard_append_only(SealRow.__table__)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A table under seal: a row's name, what groups the rows, when they were written, what stays out."""

    table: Table
    label: str
    group: str
    since: str
    free: frozenset[str]

    @property
    def columns(self) -> list[Any]:
        """The columns that are under seal, in the order of the table."""
        return [column for column in self.table.columns if column.name not in self.free]

    @property
    def keys(self) -> list[str]:
        """The names of the primary key's columns."""
        return [column.name for column in self.table.primary_key.columns]


SEALED: dict[str, Sealed] = {}


def put_under_seal(table: Any, label: str, *, group: str, since: str, free: Sequence[str] = ()) -> None:
    """Put a table under seal: its rows are `label` in Chinese, sealed together by the column `group`.

    `since` is the column with the instant of writing; the columns `free` may change without a seal.
    """
    SEALED[table.name] = Sealed(table, label, group, since, frozenset(free))


@event.listens_for(Session, "after_flush")
def _note_flushed(session: Session, _context: object) -> None:
    for row in (*session.new, *session.dirty):
        sealed = SEALED.get(row.__tablename__)
        if sealed is not None:
            _note(session, sealed, getattr(row, sealed.group))


@event.listens_for(Session, "do_orm_execute")
def _note_bulk(state: ORMExecuteState) -> None:
    if not state.is_insert:
        return
    sealed = SEALED.get(state.statement.table.name)  # type: ignore[attr-defined]
    if sealed is None or state.parameters is None:
        return
    every = [state.parameters] if isinstance(state.parameters, Mapping) else state.parameters
    for values in every:
        _note(state.session, sealed, values[sealed.group])


def _note(session: Session, sealed: Sealed, group: str) -> None:
    session.info.setdefault(_PENDING, {}).setdefault(sealed.table.name, set()).add(group)


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop(_PENDING, None)


@event.listens_for(Session, "before_commit")
def _seal(session: Session) -> None:
    """Seal what the transaction touched, as it will stand; the last thing that the transaction does."""
    if session.in_nested_transaction():
        return
    session.flush()
    pending: dict[str, set[str]] = session.info.pop(_PENDING, {})
    if not pending:
        return
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('seal', 0))"))
    values: list[dict[str, Any]] = []
    seq, previous = _end(session)
    for name, groups in sorted(pending.items()):
        for group, rows in _groups(session, SEALED[name], sorted(groups)):
            seq += 1
            row = _seal_of(SEALED[name], group, rows) | {"seq": seq, "previous_hash": previous}
            previous = row["hash"] = _hash_of(row)
            values.append(row)
    session.execute(insert(SealRow), values)


def _end(session: Session) -> tuple[int, str]:
    last = select(SealRow.seq, SealRow.hash).order_by(SealRow.seq.desc()).limit(1)
    found = session.execute(last).first()
    return (0, GENESIS) if found is None else (found.seq, found.hash)


def _seal_of(sealed: Sealed, group: str, rows: Sequence[Any]) -> dict[str, Any]:
    marks = [_row_hash(row) for row in rows]
    return {
        "kind": sealed.table.name,
        "group_key": group,
        "at": max(getattr(row, sealed.since) for row in rows),
        "digest": hashlib.sha256("".join(marks).encode()).hexdigest(),
        "marks": "".join(mark[:_MARK] for mark in marks),
    }


def _hash_of(row: Mapping[str, Any]) -> str:
    names = ("seq", "kind", "group_key", "at", "digest", "marks", "previous_hash")
    return _digest([row[name] for name in names])


def _row_hash(row: Any) -> str:
    return _digest(list(row))


def _digest(values: list[Any]) -> str:
    return hashlib.sha256(json.dumps(values, ensure_ascii=False, default=_plain).encode()).hexdigest()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be put under seal")


def _groups(
    session: Session, sealed: Sealed, groups: Iterable[str] | None
) -> Iterator[tuple[str, list[Any]]]:
    """Give the rows of groups (or of all) by group and key, read anew from the database."""
    group = sealed.table.columns[sealed.group]
    statement = select(*sealed.columns).order_by(group, *sealed.table.primary_key.columns)
    if groups is None:
        parts = [statement]
    else:
        wanted = list(groups)
        cuts = range(0, len(wanted), _AT_ONCE)
        parts = [statement.where(group.in_(wanted[cut : cut + _AT_ONCE])) for cut in cuts]
    for part in parts:
        gathered: list[Any] = []
        for row in session.execute(part):
            if gathered and getattr(row, sealed.group) != getattr(gathered[0], sealed.group):
                yield getattr(gathered[0], sealed.group), gathered
                gathered = []
            gathered.append(row)
        if gathered:
            yield getattr(gathered[0], sealed.group), gathered


def verify_seals(session: Session) -> list[Problem]:
    """Return what is not as it was sealed: broken seals, and the first row of each group that differs."""
    problems, last = _verify_chain(session)
    for name, sealed in sorted(SEALED.items()):
        mine = {group: seal for (kind, group), seal in last.items() if kind == name}
        first = session.scalar(select(func.min(SealRow.at)).where(SealRow.kind == name))
        unread = _unreadable(session, sealed)
        if unread:
            problems.append(Problem(unread, "读不出，已被改动", _MEND))
            continue
        for group, rows in _groups(session, sealed, None):
            seal = mine.pop(group, None)
            if seal is not None:
                problems += _compare(sealed, rows, seal)
            elif first is not None and any(getattr(row, sealed.since) >= first for row in rows):
                problems.append(Problem(_place(sealed, rows[0]), "未经程序写入", _MEND))
        problems += [
            Problem(f"{sealed.label} {group}", "封存过的记录已被删去", _MEND) for group in sorted(mine)
        ]
    return problems


def _unreadable(session: Session, sealed: Sealed) -> str:
    """Return the place of the first row of a table whose columns no longer have a form, or nothing."""
    try:
        for _ in session.execute(select(*sealed.columns)):
            pass
    except (ValueError, TypeError):
        group = sealed.table.columns[sealed.group]
        keys = [sealed.table.columns[name] for name in sealed.keys]
        for found in session.execute(select(group, *keys).order_by(*keys)).all():
            same = (key == getattr(found, key.name) for key in keys)
            one = select(*sealed.columns).where(*same)
            try:
                session.execute(one).all()
            except (ValueError, TypeError):
                return _place(sealed, found)
    return ""


def _verify_chain(session: Session) -> tuple[list[Problem], dict[tuple[str, str], tuple[str, str]]]:
    last: dict[tuple[str, str], tuple[str, str]] = {}
    expected, previous = 1, GENESIS
    for row in session.execute(select(SealRow.__table__).order_by(SealRow.seq)):
        if row.seq != expected or row.previous_hash != previous or _hash_of(dict(row._mapping)) != row.hash:  # noqa: SLF001, the documented way to a row's columns
            return [Problem(f"封存记录第 {expected} 号", "被改动、删去或插入", _MEND)], last
        last[(row.kind, row.group_key)] = (row.digest, row.marks)
        expected, previous = expected + 1, row.hash
    return [], last


def _compare(sealed: Sealed, rows: list[Any], seal: tuple[str, str]) -> list[Problem]:
    digest, marks = seal
    hashes = [_row_hash(row) for row in rows]
    if hashlib.sha256("".join(hashes).encode()).hexdigest() == digest:
        return []
    for place, row in enumerate(rows):
        if marks[place * _MARK : (place + 1) * _MARK] != hashes[place][:_MARK]:
            return [Problem(_place(sealed, row), "被改动，或其前有记录被删去或插入", _MEND)]
    group = getattr(rows[0], sealed.group)
    return [Problem(f"{sealed.label} {group}", f"第 {len(rows)} 条之后有记录被删去", _MEND)]


def _place(sealed: Sealed, row: Any) -> str:
    names = dict.fromkeys((sealed.group, *sealed.keys))
    return " ".join((sealed.label, *(str(getattr(row, name)) for name in names)))
