"""The outbox on PostgreSQL: two senders never get the same message."""

from dataclasses import replace

from monitoring.notifications.outbox import claim, sent
from monitoring.notifications.policy import LEASE
from registry.users import NewUser, create_user, users
from tests.monitoring.conftest import CLERK, NOON, County, _register
from tests.monitoring.notifications.conftest import LOGINS, Office, device


def test_two_senders_at_once_share_the_messages(postgres) -> None:
    with postgres.transaction() as session:
        _register(session)
        role, area = LOGINS["xian"]
        create_user(session, CLERK, NewUser("xian", "县里的人", role, area), NOON)
        (login,) = users(session, CLERK)
    office = Office(County(postgres, None), {"xian": replace(CLERK, user_id=login.id)})
    for number in range(4):
        office.subscribe("xian", target=f"nr{number}@example.cn")
    office.open(device("s1i1"))
    assert office.compose() == 4
    with postgres.transaction() as one, postgres.transaction() as other:
        first = claim(one, NOON, limit=3)
        second = claim(other, NOON, limit=3)
        assert (len(first), len(second)) == (3, 1)
        assert not {message.id for message in first} & {message.id for message in second}
        sent(one, first[0], NOON)
    office.now += LEASE
    assert len(office.claim()) == 3
