"""Whatever lists are taken in: the dry run tells the truth, again changes nothing, undo goes all the way."""

import csv
import io
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry import enrolment, households, intake
from registry.actors import Actor, Role
from registry.intake import Outcome, Upload

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
CLERK = Actor("clerk", "县经办", Role.COUNTY, "520491000000")
VILLAGE = "520491100201"
HOMES = ["村代码", "户编号", "户主姓名", "登记日期", "户主身份证号", "户类别", "开户行", "银行账号"]
PARTS = ["村代码", "户编号", "分配项目", "份额", "固定金额(元)", "起始日期", "终止日期", "依据"]
NUMBERS = st.sampled_from(["001", "002", "101", "102"])


def home_rows(ids):
    return st.tuples(
        st.just(VILLAGE),
        NUMBERS,
        st.sampled_from(["李四", "王小五", "坏=名"]),
        st.sampled_from(["2026-01-01", "2025-06-30", ""]),
        st.sampled_from([*ids, "", "123"]),
        st.sampled_from(["脱贫户", "低保、脱贫户", "", "富农"]),
        st.just("农信社"),
        st.sampled_from(["6217000000001111", "6217000000002222", ""]),
    )


PART_ROWS = st.tuples(
    st.just(VILLAGE),
    NUMBERS,
    st.sampled_from(["奖励", "分红"]),
    st.sampled_from(["1", "2", ""]),
    st.sampled_from(["", "100"]),
    st.sampled_from(["2026-01-01", "2026-06-01"]),
    st.sampled_from(["", "2026-06-01", "2026-09-01"]),
    st.just("决议"),
)


def upload(kind: str, header: list[str], rows) -> Upload:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([header, *rows])
    return Upload(kind, f"{kind}.csv", buffer.getvalue().encode(), partial=True)


def state(world) -> object:
    with world.database.reading() as session:
        found = households.households(session, CLERK, VILLAGE)
        names = {one.id: one.number for one in found}
        return (
            [(one.number, one.name, one.registered_on, one.left_on) for one in found],
            [
                [(m.name, m.id_number_masked) for m in households.members(session, CLERK, world.ring, one.id)]
                for one in found
            ],
            [sorted(c.class_name for c in households.classes(session, CLERK, one.id)) for one in found],
            [[a.account_masked for a in households.payee_accounts(session, CLERK, one.id)] for one in found],
            sorted(
                (names[e.household_id], e.component, e.valid_from, str(e.valid_to), e.weight or 0)
                for e in enrolment.enrolments(session, CLERK, VILLAGE)
            ),
        )


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_run_of_imports_is_as_told_repeatable_and_undone_to_the_beginning(filled, id_number, data) -> None:
    ids = [id_number(number) for number in (901, 902, 903)]
    files = st.one_of(
        st.lists(home_rows(ids), min_size=1, max_size=4).map(lambda rows: upload("households", HOMES, rows)),
        st.lists(PART_ROWS, min_size=1, max_size=4).map(lambda rows: upload("enrolments", PARTS, rows)),
    )
    beginning = state(filled)
    done = []
    for number, file in enumerate(data.draw(st.lists(files, min_size=1, max_size=4))):
        now = NOW + timedelta(minutes=number)
        with filled.database.transaction() as session:
            seen = intake.preview(session, CLERK, filled.ring, file, now)
            batch = intake.commit(session, CLERK, filled.ring, file, now)
            again = intake.preview(session, CLERK, filled.ring, file, now)
        counts = (batch.added, batch.changed, batch.unchanged, batch.refused)
        assert counts == tuple(seen.count(outcome) for outcome in Outcome)
        # A refused row may be acceptable afterwards: the person it names has left the other household.
        taken = {row.row_no for row in seen.rows if row.outcome is not Outcome.REFUSED}
        repeated = {row.outcome for row in again.rows if row.row_no in taken}
        assert repeated <= {Outcome.UNCHANGED}
        done.append(batch)
    for batch in reversed(done):
        with filled.database.transaction() as session:
            intake.undo(session, CLERK, batch.id, NOW + timedelta(hours=1))
    assert state(filled) == beginning
