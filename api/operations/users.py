"""Logins for operators: who may use the service, and fresh one-time passwords."""

from api.operations.people import OPERATOR
from api.outcome import Outcome
from dashboards.web import Services
from registry.actors import Role
from registry.passwords import reset_password
from registry.users import NewUser, User, create_user, disable_user, release_login, users
from store.problem import Problem, ProblemsError

COLUMNS = {"login": "登录名", "name": "姓名", "role": "角色", "area": "辖区", "state": "状态"}
CREDENTIAL = {"login": "登录名", "password": "一次性口令"}
ROLES = tuple(role for role in Role if role not in {Role.PUBLIC, Role.SYSTEM})


def _row(user: User) -> dict[str, str]:
    state = "停用" if user.disabled else "待改口令" if user.must_change_password else "正常"
    return {
        "login": user.login,
        "name": user.name,
        "role": Role(user.role).word,
        "area": user.area or "全部",
        "state": state,
    }


def _found(listed: tuple[User, ...], login: str) -> User:
    for user in listed:
        if user.login == login:
            return user
    raise ProblemsError([Problem("登录名", f"没有 {login}", "用 sunledger user list 查看")])


def list_users(services: Services) -> Outcome:
    """Return every login."""
    with services.database.reading() as session:
        rows = tuple(_row(user) for user in users(session, OPERATOR))
    return Outcome(f"{len(rows)} 个登录", COLUMNS, rows)


def add_user(  # noqa: PLR0913, the options of the command
    services: Services, *, login: str, name: str, role: str, area: str = "", company: str = ""
) -> Outcome:
    """Make a login with a one-time password, which is shown once and must be changed at the first use."""
    if role not in ROLES:
        raise ProblemsError([Problem("角色", f"没有 {role}", f"可以是：{'、'.join(ROLES)}")])
    new = NewUser(login, name, Role(role), area, company)
    with services.database.transaction() as session:
        password = create_user(session, OPERATOR, new, services.clock())
    return Outcome("已建立；口令只显示这一次", CREDENTIAL, ({"login": login, "password": password},))


def reset_user(services: Services, *, login: str) -> Outcome:
    """Give a login a fresh one-time password and end its lock-out; its open sessions end."""
    now = services.clock()
    with services.database.transaction() as session:
        user = _found(users(session, OPERATOR), login)
        password = reset_password(session, OPERATOR, user.id, now)
        release_login(session, OPERATOR, user.id, now)
    return Outcome("已重置；口令只显示这一次", CREDENTIAL, ({"login": login, "password": password},))


def close_user(services: Services, *, login: str, again: bool = False) -> Outcome:
    """Close a login at once, or open it `again`."""
    with services.database.transaction() as session:
        user = _found(users(session, OPERATOR), login)
        disable_user(session, OPERATOR, user.id, services.clock(), disabled=not again)
    return Outcome(f"{login} 已{'恢复' if again else '停用'}", {})
