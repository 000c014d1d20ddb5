"""Records of dispatch: what may be recorded, by whom, and how they end."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.exc import DatabaseError

from monitoring.calendar.dispatch import (
    DispatchKind,
    DispatchRecord,
    dispatch_between,
    dispatch_records,
    end_dispatch,
    record_dispatch,
)
from monitoring.snapshot import station_view
from monitoring.states import StationState
from monitoring.tables import DispatchRecordRow
from registry.actors import Actor, Role
from store.problem import ProblemsError
from tests.monitoring.conftest import CADRE, CLERK, NOON, OTHER_TOWNSHIP, TOWNSHIP

HOUR = timedelta(hours=1)
TOWN = Actor("u3", "镇里的人", Role.TOWNSHIP, TOWNSHIP)


def _order(subject="s1", *, kind=DispatchKind.CURTAILMENT, end=NOON + HOUR, **more):
    return DispatchRecord(subject, kind, NOON - HOUR, end, more.pop("document", "调〔2026〕7号"), **more)


def _recorded(county, record, actor=CLERK):
    with county.database.transaction() as session:
        return record_dispatch(session, actor, record, NOON)


def test_an_order_is_in_force_from_its_beginning_to_its_end(county):
    _recorded(county, _order(limit_percent=30.0))
    with county.database.reading() as session:
        (found,) = dispatch_between(session, NOON, NOON + timedelta(seconds=1))
        assert found.note == "限电 调〔2026〕7号，限至 30 %"
        assert dispatch_between(session, NOON + HOUR, NOON + 2 * HOUR) == []


@pytest.mark.parametrize(
    ("record", "word"),
    [
        (_order("nowhere"), "对象"),
        (_order(document="  "), "依据"),
        (_order(end=NOON - 2 * HOUR), "结束时刻"),
        (_order(limit_percent=130.0), "限至"),
    ],
)
def test_a_wrong_record_is_refused_with_the_reason(county, record, word):
    with pytest.raises(ProblemsError) as refused:
        _recorded(county, record)
    assert [problem.where for problem in refused.value.problems] == [word]


def test_a_township_records_for_its_own_area_only(county):
    _recorded(county, _order(TOWNSHIP), TOWN)
    with pytest.raises(ProblemsError):
        _recorded(county, _order(OTHER_TOWNSHIP), TOWN)
    with pytest.raises(PermissionError):
        _recorded(county, _order("s1"), CADRE)


def test_a_record_ends_or_never_held_by_another_entry(county):
    lasting = _recorded(county, _order(end=None))
    mistake = _recorded(county, _order("s2"))
    with county.database.transaction() as session:
        end_dispatch(session, CLERK, lasting, NOON + HOUR, NOON)
        end_dispatch(session, CLERK, mistake, None, NOON)
        with pytest.raises(LookupError):
            end_dispatch(session, CLERK, "dispatch-none", None, NOON)
    with county.database.reading() as session:
        (found,) = dispatch_records(session, CLERK)
        assert (found.id, found.end) == (lasting, NOON + HOUR)
    with pytest.raises(DatabaseError), county.database.transaction() as session:
        session.execute(update(DispatchRecordRow).values(document="别的"))


def test_an_order_shows_in_the_state_with_its_document(running):
    _recorded(running, _order("529901101000"))
    with running.database.reading() as session:
        view = station_view(session, running.series, CLERK, "s1", NOON)
        other = station_view(session, running.series, CLERK, "s3", NOON)
    assert (view.state, view.opinion.reason) == (StationState.CURTAILED, view.opinion.reason)
    assert "调〔2026〕7号" in view.opinion.reason
    assert other.state is StationState.NORMAL
