"""Who is paid on which account: accounts by their own ids, and members who are paid by themselves.

Owns no table; whole numbers leave it only for a bank's file, and audited.
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import audit
from registry.actors import Actor, Permission, scope
from registry.facts import known
from registry.households import Disclosure, HouseholdMemberRow, HouseholdRow, PayeeAccountRow
from registry.secrets import KeyRing

_AT_ONCE = 500


def plain_accounts_named(
    session: Session, actor: Actor, ring: KeyRing, ids: Sequence[str], disclosure: Disclosure
) -> dict[str, str]:
    """Return whole account numbers by the accounts' own ids, superseded ones too, to make a file anew.

    Needs the permission to export a batch; the access is audited with its reason.
    """
    actor.require(Permission.EXPORT_BATCH)
    found: dict[str, str] = {}
    for start in range(0, len(ids), _AT_ONCE):
        statement = scope(select(PayeeAccountRow).join(HouseholdRow), actor, HouseholdRow.village_code)
        for row in session.scalars(statement.where(PayeeAccountRow.id.in_(ids[start : start + _AT_ONCE]))):
            found[row.id] = ring.decrypt("account", row.account_encrypted)
    detail = {"accounts": len(found)}
    entry = audit.Entry("unmask", "payee_account", actor.area, reason=disclosure.reason, detail=detail)
    audit.record(session, actor, entry, disclosure.at)
    return found


def member_homes(session: Session, actor: Actor, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the household and the name of members, by member id; unknown ids are left out."""
    actor.require(Permission.VIEW_HOUSEHOLDS)
    found: dict[str, tuple[str, str]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        statement = scope(select(HouseholdMemberRow).join(HouseholdRow), actor, HouseholdRow.village_code)
        part = HouseholdMemberRow.id.in_(ids[start : start + _AT_ONCE])
        for row in session.scalars(statement.where(part, known(HouseholdMemberRow))):
            found[row.id] = (row.household_id, row.name)
    return found
