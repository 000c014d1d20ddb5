"""Login: lock-out without enumeration, sessions that end, passwords that do."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import passwords, users
from registry.actors import Actor, NotPermittedError, Role
from registry.users import Credentials, LoginPolicy, NewUser, Refusal, UserRow
from store.problem import ProblemsError

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
ADMIN = Actor("setup", "安装", Role.COUNTY)
COUNTY = "520491000000"
MINUTE = timedelta(minutes=1)
GOOD = "Quiet-Harbor-72-lamp"


def make(database, login: str = "wang", role: Role = Role.VILLAGE, area: str = COUNTY) -> tuple[str, str]:
    with database.transaction() as session:
        password = users.create_user(session, ADMIN, NewUser(login, "王会计", role, area), NOW)
        row = session.query(UserRow).filter_by(login=login).one()
        return row.id, password


def attempt(database, login, password, at=NOW, **more):
    credentials = Credentials(login, password, more.get("source", "10.0.0.1"))
    with database.transaction() as session:
        return users.authenticate(session, credentials, at, more.get("policy", users.DEFAULT_POLICY))


def test_a_one_time_password_logs_in_and_must_be_changed(database) -> None:
    user_id, password = make(database)
    actor = attempt(database, "wang", password)
    assert actor == Actor(user_id, "王会计", Role.VILLAGE, COUNTY)
    with database.transaction() as session:
        opened = users.open_session(session, actor, NOW)
        found = users.actor_of_session(session, opened.token, NOW)
    assert found.actor == actor
    assert found.must_change_password


def test_five_failures_close_the_login_for_that_source_for_a_quarter_of_an_hour(database) -> None:
    _, password = make(database)
    delays = [attempt(database, "wang", "wrong").delay_seconds for _ in range(5)]
    assert delays == [1, 2, 4, 8, 8]
    locked = attempt(database, "wang", password)
    assert isinstance(locked, Refusal)
    assert locked.retry_after_seconds == 901
    assert isinstance(attempt(database, "wang", password, NOW + 14 * MINUTE), Refusal)
    assert isinstance(attempt(database, "wang", password, source="10.0.0.2"), Actor)
    assert isinstance(attempt(database, "wang", password, NOW + 15 * MINUTE), Actor)


def test_an_unknown_a_disabled_and_a_known_login_are_refused_alike(database) -> None:
    user_id, _ = make(database)
    make(database, "admin", Role.COUNTY)
    disabled, _ = make(database, "li")
    with database.transaction() as session:
        users.disable_user(session, ADMIN, disabled, NOW)
    few = LoginPolicy(failures_before_lock=2)
    answers = [
        [attempt(database, login, "wrong", policy=few) for _ in range(3)]
        for login in ("wang", "li", "nobody", "x' OR 1=1")
    ]
    assert all(answer == answers[0] for answer in answers)
    assert user_id


def test_an_unknown_login_takes_as_long_as_a_known_one(database) -> None:
    make(database)
    attempt(database, "nobody", "wrong", source="warm")
    spent = {}
    for login in ("wang", "nobody"):
        spans = []
        for number in range(5):
            began = time.monotonic()
            attempt(database, login, "wrong", source=f"s{number}")
            spans.append(time.monotonic() - began)
        spent[login] = min(spans)
    assert 0.3 < spent["wang"] / spent["nobody"] < 3


def test_an_administrator_releases_a_locked_login(database) -> None:
    user_id, password = make(database)
    for _ in range(5):
        attempt(database, "wang", "wrong")
    with database.transaction() as session:
        users.release_login(session, ADMIN, user_id, NOW)
    assert isinstance(attempt(database, "wang", password), Actor)


def test_a_played_person_without_a_password_can_never_log_in(database) -> None:
    user_id, _ = make(database)
    with database.transaction() as session:
        row = session.get(UserRow, user_id)
        row.password_hash, row.disabled = "!", True
    assert isinstance(attempt(database, "wang", "!"), Refusal)


def test_a_session_ends_when_idle_and_after_eight_hours_whatever_happens(database) -> None:
    _, password = make(database)
    actor = attempt(database, "wang", password)
    with database.transaction() as session:
        token = users.open_session(session, actor, NOW).token
        assert users.actor_of_session(session, token, NOW + 14 * MINUTE).stale
        assert users.actor_of_session(session, token, NOW + 15 * MINUTE) is None
        moment = NOW
        while moment < NOW + timedelta(hours=8) - 10 * MINUTE:
            moment += 10 * MINUTE
            users.touch_session(session, token, moment)
        assert users.actor_of_session(session, token, moment) is not None
        assert users.actor_of_session(session, token, NOW + timedelta(hours=8)) is None
        users.touch_session(session, token, NOW + timedelta(hours=8))
        assert users.actor_of_session(session, token, NOW + timedelta(hours=8)) is None


def test_tokens_are_fresh_unguessable_and_not_kept(database) -> None:
    _, password = make(database)
    actor = attempt(database, "wang", password)
    with database.transaction() as session:
        opened = [users.open_session(session, actor, NOW) for _ in range(3)]
        kept = session.query(users.UserSessionRow).all()
    assert len({one.token for one in opened} | {one.csrf_token for one in opened}) == 6
    assert all(len(one.token) >= 43 for one in opened)
    assert not {one.token for one in opened} & {row.token_hash for row in kept}
    assert opened[0].token not in repr(opened[0])


def test_a_closed_session_a_disabled_user_and_a_made_up_token_are_nobody(database) -> None:
    user_id, password = make(database)
    make(database, "admin", Role.COUNTY)
    actor = attempt(database, "wang", password)
    with database.transaction() as session:
        first, second = (users.open_session(session, actor, NOW).token for _ in range(2))
        users.close_session(session, first)
        users.close_session(session, "made-up")
        assert users.actor_of_session(session, first, NOW) is None
        assert users.actor_of_session(session, second, NOW) is not None
        users.disable_user(session, ADMIN, user_id, NOW)
        assert users.actor_of_session(session, second, NOW) is None
        assert users.actor_of_session(session, "made-up", NOW) is None


def test_a_form_token_fits_its_own_session_only(database) -> None:
    _, password = make(database)
    actor = attempt(database, "wang", password)
    with database.transaction() as session:
        one, other = (users.open_session(session, actor, NOW) for _ in range(2))
        found = users.actor_of_session(session, one.token, NOW)
    assert users.csrf_matches(found, one.csrf_token)
    assert not users.csrf_matches(found, other.csrf_token)
    assert not users.csrf_matches(found, "表单")


def test_the_last_administrator_cannot_be_disabled(database) -> None:
    first, _ = make(database, "admin", Role.COUNTY)
    with database.transaction() as session, pytest.raises(ProblemsError, match="最后一个管理员"):
        users.disable_user(session, ADMIN, first, NOW)
    make(database, "admin2", Role.COUNTY, "520492000000")
    with database.transaction() as session, pytest.raises(ProblemsError):
        users.disable_user(session, ADMIN, first, NOW)
    make(database, "admin3", Role.COUNTY, "")
    with database.transaction() as session:
        users.disable_user(session, ADMIN, first, NOW)


@pytest.mark.parametrize("login", ["", "A", "王", "a b", "x" * 65, "-a", "wang"])
def test_a_login_that_is_taken_or_malformed_is_refused(database, login) -> None:
    make(database)
    with database.transaction() as session, pytest.raises(ProblemsError):
        users.create_user(session, ADMIN, NewUser(login, "某人", Role.VILLAGE, COUNTY), NOW)


def test_only_who_manages_users_makes_them(database) -> None:
    with database.transaction() as session, pytest.raises(NotPermittedError):
        cadre = Actor("v", "村干部", Role.VILLAGE, COUNTY)
        users.create_user(session, cadre, NewUser("other", "某人", Role.VILLAGE, COUNTY), NOW)


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("Short1!", "只有"),
        ("alllowercaseletters", "字符种类"),
        ("Wang-Harbor-72-x", "登录名"),
        ("Password-1234", "常见"),
        ("Harbor-aaaa-72-Q", "相同"),
        ("Harbor-12345-zQ", "连续"),
        ("Aa1-" * 40, "太长"),
    ],
)
def test_a_password_that_does_not_do_is_refused_with_the_reason(password, word) -> None:
    assert any(word in problem.what for problem in passwords.password_problems(password, "wang"))


def test_a_password_that_does_is_taken() -> None:
    assert passwords.password_problems(GOOD, "wang") == []


@given(st.text(max_size=140), st.text(max_size=10))
def test_any_text_can_be_judged(password, login) -> None:
    for problem in passwords.password_problems(password, login):
        assert problem.how_to_fix


def test_a_changed_password_replaces_the_old_one_and_ends_every_session(database) -> None:
    _, password = make(database)
    actor = attempt(database, "wang", password)
    with database.transaction() as session:
        token = users.open_session(session, actor, NOW).token
        passwords.change_password(session, actor, (password, GOOD), NOW + MINUTE)
        assert users.actor_of_session(session, token, NOW + MINUTE) is None
        opened = users.open_session(session, actor, NOW + MINUTE)
        assert not users.actor_of_session(session, opened.token, NOW + MINUTE).must_change_password
    assert isinstance(attempt(database, "wang", password), Refusal)
    assert isinstance(attempt(database, "wang", GOOD), Actor)


def test_the_last_passwords_are_refused_and_the_present_one_must_be_right(database) -> None:
    _, password = make(database)
    actor = attempt(database, "wang", password)
    row = [password, *(f"{GOOD}-{number}" for number in "bdf")]
    three = LoginPolicy(passwords_remembered=3)
    with database.transaction() as session:
        for hour, (present, new) in enumerate(itertools.pairwise(row), start=1):
            passwords.change_password(session, actor, (present, new), NOW + hour * 60 * MINUTE, three)
        later = NOW + timedelta(hours=9)
        with pytest.raises(ProblemsError, match="用过"):
            passwords.change_password(session, actor, (row[-1], row[1]), later, three)
        with pytest.raises(ProblemsError, match="原口令"):
            passwords.change_password(session, actor, ("wrong", GOOD), later, three)


def test_a_password_of_ninety_days_must_be_changed(database) -> None:
    _, password = make(database)
    actor = attempt(database, "wang", password)
    late = NOW + timedelta(days=91)
    with database.transaction() as session:
        passwords.change_password(session, actor, (password, GOOD), NOW)
        opened = users.open_session(session, actor, late)
        assert users.actor_of_session(session, opened.token, late).must_change_password


def test_a_reset_gives_a_new_one_time_password(database) -> None:
    user_id, old = make(database)
    with database.transaction() as session:
        new = passwords.reset_password(session, ADMIN, user_id, NOW)
    assert isinstance(attempt(database, "wang", old), Refusal)
    assert isinstance(attempt(database, "wang", new), Actor)


def test_guesses_side_by_side_are_counted_one_by_one(both) -> None:
    make(both)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: attempt(both, "wang", "wrong"), range(12)))
    assert sum(answer.retry_after_seconds == 0 for answer in answers) == 5
