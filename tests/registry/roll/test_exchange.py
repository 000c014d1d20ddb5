"""Lists of other departments are compared by keyed hash; nothing changes until a person says so."""

from datetime import date, timedelta

import pytest
from sqlalchemy import text

from registry.actors import Actor, NotPermittedError, Role
from registry.roll.cards import household_card
from registry.roll.exchange import DepartmentList, compare, decide, exchange, exchanges, matches
from registry.roll.lifecycle import Basis
from store.problem import ProblemsError
from tests.registry.conftest import CLERK, COUNTIES, NOW, made_up_id

LATER = NOW + timedelta(hours=1)
STRANGER = made_up_id(991)


def listing(*rows: tuple[str, str], kind: str = "dibao") -> DepartmentList:
    lines = ["姓名,身份证号,日期", *(f"{name},{number},2026-07-01" for name, number in rows)]
    return DepartmentList(kind, "民政局", date(2026, 11, 1), "名单.csv", "\n".join(lines).encode())


def outcomes(session, made: str) -> dict[str, tuple[str, str]]:
    found = matches(session, CLERK, made)
    return {one.name_there or one.name_here: (one.outcome, one.proposal) for one in found}


def test_same_differing_missing_there_and_missing_here_are_told_apart(filled_both):
    world, number = filled_both, filled_both.id_number_of
    with world.database.transaction() as session:
        made = compare(
            session,
            CLERK,
            world.ring,
            listing(("张小明", number["h0-1"]), ("李错名", number["h0-2"]), ("赵陌生", STRANGER)),
            NOW,
        )
        assert outcomes(session, made) == {
            "张小明": ("same", "add_class"),
            "李错名": ("name_differs", "check_name"),
            "赵陌生": ("only_there", ""),
        }
        card = household_card(session, CLERK, world.ring, "h0-1")
        assert [one.class_name for one in card.classes] == ["脱贫户"]
        proposal = next(one for one in matches(session, CLERK, made) if one.proposal == "add_class")
        decide(session, CLERK, proposal.id, Basis(date(2026, 7, 1), "民政函", LATER), accept=True)
        card = household_card(session, CLERK, world.ring, "h0-1")
        assert {(one.class_name, one.valid_from) for one in card.classes} >= {("低保", date(2026, 7, 1))}
        with pytest.raises(ProblemsError, match="已经处理"):
            decide(session, CLERK, proposal.id, Basis(date(2026, 7, 1), "民政函", LATER), accept=False)
        second = compare(session, CLERK, world.ring, listing(("赵陌生", STRANGER)), LATER)
        assert outcomes(session, second)["张小明"] == ("only_here", "end_class")
        assert exchange(session, CLERK, second).open_proposals == 1
        ending = next(one for one in matches(session, CLERK, second) if one.proposal == "end_class")
        decide(session, CLERK, ending.id, Basis(date(2026, 10, 1), "民政函", LATER), accept=True)
        card = household_card(session, CLERK, world.ring, "h0-1")
        assert {one.class_name: one.valid_to for one in card.classes}["低保"] == date(2026, 10, 1)


def test_no_whole_number_is_kept_anywhere(filled):
    with filled.database.transaction() as session:
        compare(session, CLERK, filled.ring, listing(("赵陌生", STRANGER)), NOW)
        rows = session.execute(text("SELECT * FROM exchange_match")).all()
    assert STRANGER not in str(rows)
    assert STRANGER[3:14] not in str(rows)


def test_a_death_is_recorded_by_hand_from_the_list(filled):
    with filled.database.transaction() as session:
        source = listing(("张小明", filled.id_number_of["h0-1"]), kind="death")
        made = compare(session, CLERK, filled.ring, source, NOW)
        (one,) = matches(session, CLERK, made)
        assert one.proposal == "death"
        decide(session, CLERK, one.id, Basis(date(2026, 7, 1), "死亡证明", LATER), accept=True)
        card = household_card(session, CLERK, filled.ring, "h0-1")
        assert card.household.left_on == date(2026, 7, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("姓名,身份证号\n张三,123\n", "B2"),
        ("姓名\n张三\n", "身份证号"),
        (f"姓名,身份证号\n甲,{STRANGER}\n乙,{STRANGER}\n", "同一个人"),
        (" ", "身份证号"),
    ],
)
def test_a_list_that_cannot_be_read_whole_is_refused_with_the_cell(filled, content, words):
    source = DepartmentList("dibao", "民政局", date(2026, 11, 1), "名单.csv", content.encode())
    with pytest.raises(ProblemsError, match=words), filled.database.transaction() as session:
        compare(session, CLERK, filled.ring, source, NOW)


def test_only_the_county_compares_and_sees_its_own(filled):
    with filled.database.transaction() as session:
        own = Actor("own", "本县", Role.COUNTY, COUNTIES[0])
        made = compare(session, own, filled.ring, listing(("赵陌生", STRANGER)), NOW)
        other = Actor("other", "外县", Role.COUNTY, COUNTIES[1])
        assert exchanges(session, other) == ()
        assert matches(session, other, made) == ()
        with pytest.raises(NotPermittedError):
            exchanges(session, Actor("v", "村干部", Role.VILLAGE, COUNTIES[0]))
