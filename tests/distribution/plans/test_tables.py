"""Plan versions: kept unchanged, published without overlap, found by village and day."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from distribution.plans.document import load_plan
from distribution.plans.states import PlanState, StateChange
from distribution.plans.tables import (
    NoPlanPublishedError,
    OwnPlanError,
    advance,
    plan_for,
    plan_list,
    plan_version,
    publish,
    retire,
    save,
    state_of,
    states_of,
)
from distribution.plans.templates import template_path
from registry.actors import Actor, NotPermittedError, Role
from store.problem import ProblemsError

NOW = datetime(2026, 11, 1, tzinfo=UTC)
COUNTY = Actor("u1", "县办", Role.COUNTY, "520499000000")
OTHER = Actor("u3", "局长", Role.COUNTY, "520499000000")
CLERK = Actor("u2", "乡镇", Role.TOWNSHIP, "520499101000")
VILLAGE = "520499101201"
TEXT = template_path("default_county").read_text(encoding="utf-8")

STATEMENTS = (
    (
        "INSERT INTO plan_publication"
        " (plan_id, version, division_code, valid_from, recorded_at, recorded_by)"
        " VALUES ('default-county', 2, '', '2026-01-01', '2026-01-01', 'x')"
    ),
    "UPDATE plan_publication SET valid_from = '2000-01-01'",
    "DELETE FROM plan_publication",
    "UPDATE plan_version SET text = ''",
    "DELETE FROM plan_state",
)


def changed(**values: str) -> str:
    head, body = TEXT.split("\n[[class]]", 1)
    lines = [line for line in head.splitlines() if line.split(" = ")[0] not in values]
    return "\n".join([*lines, *(f"{key} = {value}" for key, value in values.items())]) + "\n[[class]]" + body


def test_a_published_plan_is_found_by_village_and_day(database):
    with database.transaction() as session:
        publish(session, COUNTY, TEXT, NOW)
        publish(session, COUNTY, TEXT, NOW)
    with database.reading() as session:
        assert plan_for(session, VILLAGE, date(2026, 10, 1)).id == "default-county"
        with pytest.raises(NoPlanPublishedError, match="没有已发布"):
            plan_for(session, VILLAGE, date(2020, 12, 31))
        assert [(item.version, item.state) for item in plan_list(session)] == [(1, PlanState.PUBLISHED)]


def test_the_narrowest_scope_wins(database):
    narrow = changed(id='"township-plan"', scope='["520499101000"]')
    with database.transaction() as session:
        publish(session, COUNTY, TEXT, NOW)
        publish(session, COUNTY, narrow, NOW)
        assert plan_for(session, VILLAGE, date(2026, 10, 1)).id == "township-plan"
        assert plan_for(session, "520499102201", date(2026, 10, 1)).id == "default-county"


def test_overlapping_publications_of_one_scope_are_refused(database):
    second = changed(version="2", valid_from="2026-07-01")
    with database.transaction() as session:
        first = publish(session, COUNTY, TEXT, NOW)
        with pytest.raises(ProblemsError, match="已有方案 default-county 第 1 版"):
            publish(session, COUNTY, second, NOW)
    with database.transaction() as session:
        retire(session, COUNTY, first, on=date(2026, 7, 1), now=NOW)
        publish(session, COUNTY, second, NOW)
    with database.reading() as session:
        assert plan_for(session, VILLAGE, date(2026, 6, 30)).version == 1
        assert plan_for(session, VILLAGE, date(2026, 7, 1)).version == 2
        assert plan_version(session, "default-county", 1) == load_plan(TEXT)
        assert state_of(session, first) is PlanState.RETIRED


def test_the_database_itself_refuses_overlap_and_change(database):
    with database.transaction() as session:
        publish(session, COUNTY, TEXT, NOW)
        save(session, COUNTY, changed(version="2"), NOW)
    for statement in STATEMENTS:
        with pytest.raises(DBAPIError), database.transaction() as session:
            session.execute(text(statement))


def test_a_version_cannot_be_saved_with_another_text(database):
    with database.transaction() as session:
        save(session, COUNTY, TEXT, NOW)
        with pytest.raises(ProblemsError, match="把 version 改成 2"):
            save(
                session,
                COUNTY,
                TEXT.replace("60%", "61%").replace('households = "20%"', 'households = "19%"'),
                NOW,
            )


def test_states_go_forward_one_at_a_time_and_testing_runs_the_cases(database):
    wrong = changed(version="3").replace('"posts/h1" = "600.00"', '"posts/h1" = "600.01"')
    with database.transaction() as session:
        plan = save(session, COUNTY, TEXT, NOW)
        with pytest.raises(ProblemsError, match="之后不能直接到"):
            advance(session, COUNTY, plan, StateChange(PlanState.APPROVED, ""), NOW)
        advance(session, COUNTY, plan, StateChange(PlanState.TESTED, "试算"), NOW)
        with pytest.raises(NotPermittedError):
            advance(session, CLERK, plan, StateChange(PlanState.APPROVED, ""), NOW)
        with pytest.raises(OwnPlanError):
            advance(session, COUNTY, plan, StateChange(PlanState.APPROVED, "常务会"), NOW)
        advance(session, OTHER, plan, StateChange(PlanState.APPROVED, "常务会"), NOW)
        assert [(one.state, one.by) for one in states_of(session, plan.id, plan.version)] == [
            (PlanState.DRAFT, "u1"),
            (PlanState.TESTED, "u1"),
            (PlanState.APPROVED, "u3"),
        ]
        with pytest.raises(ProblemsError, match=r"应为 600\.01 元，算出 600\.00 元，差 -0\.01 元"):
            publish(session, COUNTY, wrong, NOW)


def test_postgresql_keeps_the_same_rules(postgres):
    with postgres.transaction() as session:
        first = publish(session, COUNTY, TEXT, NOW)
        save(session, COUNTY, changed(version="2", valid_from="2026-07-01"), NOW)
        assert plan_for(session, VILLAGE, date(2026, 10, 1)) == load_plan(TEXT)
    for statement in STATEMENTS:
        with pytest.raises(DBAPIError), postgres.transaction() as session:
            session.execute(text(statement))
    with postgres.transaction() as session:
        retire(session, COUNTY, first, on=date(2026, 7, 1), now=NOW)
        publish(session, COUNTY, changed(version="2", valid_from="2026-07-01"), NOW)
    with postgres.reading() as session:
        assert plan_for(session, VILLAGE, date(2026, 10, 1)).version == 2
