"""Roles, permissions and areas."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.actors import PERMISSIONS, PUBLIC, SYSTEM, Actor, NotPermittedError, Permission, Role

CODES = st.text("0123456789", min_size=12, max_size=12)


def test_every_role_and_permission_has_a_word_for_people() -> None:
    assert len({role.word for role in Role}) == len(Role)
    assert len({permission.word for permission in Permission}) == len(Permission)
    assert set(PERMISSIONS) == set(Role)


def test_whoever_may_not_is_told_in_words() -> None:
    with pytest.raises(NotPermittedError, match="公众（公众）无权修改台账"):
        PUBLIC.require(Permission.EDIT_REGISTRY)


def test_nobody_holds_both_ends_of_the_money() -> None:
    for role, held in PERMISSIONS.items():
        assert not {Permission.COMPUTE_RUN, Permission.EXPORT_BATCH} <= held, role
        assert not {Permission.VOTE_VILLAGE, Permission.APPROVE_COUNTY} <= held, role
        assert not {Permission.APPROVE_TOWNSHIP, Permission.APPROVE_COUNTY} <= held, role
        assert not {Permission.VIEW_AUDIT, Permission.EDIT_REGISTRY} <= held, role


def test_the_public_sees_public_things_only_and_the_system_approves_nothing() -> None:
    assert PERMISSIONS[Role.PUBLIC] == {Permission.VIEW_PUBLIC}
    for permission in (
        Permission.APPROVE_COUNTY,
        Permission.APPROVE_TOWNSHIP,
        Permission.VOTE_VILLAGE,
        Permission.EXPORT_BATCH,
        Permission.EDIT_REGISTRY,
    ):
        assert not SYSTEM.may(permission)


@given(CODES, CODES)
def test_an_area_covers_exactly_what_begins_with_its_significant_digits(area, code) -> None:
    actor = Actor("u", "某人", Role.COUNTY, area)
    assert actor.covers(code) == code.startswith(actor.area_prefix)
    assert area == actor.area_prefix.ljust(12, "0") or not area.strip("0")
