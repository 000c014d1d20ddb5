"""Writing personal data anew under a new key.

Owns the walk over every ciphertext, in parts that can be broken off and taken up again. The keys themselves
are `registry.secrets`'; look-up hashes stay.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry import audit
from registry.account_changes import PayeeAccountChangeRow
from registry.actors import Actor, Permission
from registry.households import HouseholdMemberRow, PayeeAccountRow
from registry.secrets import KeyRing

_TABLES: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (HouseholdMemberRow, ("id_number", "phone")),
    (PayeeAccountRow, ("account",)),
    (PayeeAccountChangeRow, ("account",)),
)


def ciphertexts_by_key(session: Session, actor: Actor) -> Mapping[str, int]:
    """Return how many ciphertexts there are under each key, by the key's id."""
    _require(actor)
    found: Counter[str] = Counter()
    for table, fields in _TABLES:
        for field in fields:
            column = getattr(table, f"{field}_encrypted")
            key = func.substr(column, 1, 8)
            counted = select(key, func.count()).where(column != "").group_by(key)
            for head, count in session.execute(counted):
                found[head.partition(":")[0]] += count
    return dict(found)


def encrypt_anew(
    session: Session, actor: Actor, ring: KeyRing, now: datetime, *, at_most: int | None = None
) -> int:
    """Write ciphertexts of other keys anew under the ring's present one; return how many.

    Superseded rows too, so that nothing needs the old key afterwards. `at_most` rows of each table are
    taken; 0 returned means that nothing is left. Audited.
    """
    _require(actor)
    written = 0
    for table, fields in _TABLES:
        for field in fields:
            column = getattr(table, f"{field}_encrypted")
            other = select(table).where(column != "", column.not_like(f"{ring.current}:%"))
            for row in session.scalars(other.order_by(table.id).limit(at_most)).all():
                plain = ring.decrypt(field, getattr(row, f"{field}_encrypted"))
                setattr(row, f"{field}_encrypted", ring.encrypt(field, plain))
                written += 1
            session.flush()
    if written:
        detail = {"key": ring.current, "ciphertexts": written}
        audit.record(session, actor, audit.Entry("rotate_key", "key_ring", ring.current, detail=detail), now)
    return written


def _require(actor: Actor) -> None:
    if actor.area_prefix:
        raise PermissionError(f"更换密钥涉及全部数据，{actor.name} 只管 {actor.area}")
    actor.require(Permission.UNMASK_PERSONAL_DATA)
    actor.require(Permission.EDIT_REGISTRY)
