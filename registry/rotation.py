"""Writing personal data anew under a new key.

Owns the walk over every ciphertext. The keys themselves are `registry.secrets`'; look-up hashes stay.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import audit
from registry.account_changes import PayeeAccountChangeRow
from registry.actors import Actor, Permission
from registry.households import HouseholdMemberRow, PayeeAccountRow
from registry.secrets import KeyRing
from store.db import Base


def encrypt_anew(session: Session, actor: Actor, ring: KeyRing, now: datetime) -> int:
    """Write every ciphertext of another key anew under the ring's present one; return how many.

    Superseded rows too, so that the old key can be thrown away afterwards. Audited.
    """
    if actor.area_prefix:
        raise PermissionError(f"更换密钥涉及全部数据，{actor.name} 只管 {actor.area}")
    actor.require(Permission.UNMASK_PERSONAL_DATA)
    actor.require(Permission.EDIT_REGISTRY)
    written = 0
    for table, fields in (
        (HouseholdMemberRow, ("id_number", "phone")),
        (PayeeAccountRow, ("account",)),
        (PayeeAccountChangeRow, ("account",)),
    ):
        for row in session.scalars(select(table)):
            written += sum(_encrypt_anew(row, field, ring) for field in fields)
    session.flush()
    if written:
        detail = {"key": ring.current, "ciphertexts": written}
        audit.record(session, actor, audit.Entry("rotate_key", "key_ring", ring.current, detail=detail), now)
    return written


def _encrypt_anew(row: Base, field: str, ring: KeyRing) -> bool:
    sealed: str = getattr(row, f"{field}_encrypted")
    if not sealed or sealed.startswith(f"{ring.current}:"):
        return False
    setattr(row, f"{field}_encrypted", ring.encrypt(field, ring.decrypt(field, sealed)))
    return True
