"""Who gets in: every route has a rule, every form a token, and logins are guarded."""

import re
from datetime import timedelta

import pytest
from fastapi.routing import APIRoute

from dashboards import routers
from dashboards.web import access_rules, checks_forms, local_path

READ_ONLY = {"GET", "HEAD"}


def routes() -> list[APIRoute]:
    return [route for router in routers() for route in router.routes if isinstance(route, APIRoute)]


@pytest.mark.parametrize("route", routes(), ids=lambda route: f"{min(route.methods)} {route.path}")
def test_every_route_has_exactly_one_access_rule(route):
    assert len(access_rules(route)) == 1


@pytest.mark.parametrize("route", routes(), ids=lambda route: f"{min(route.methods)} {route.path}")
def test_every_route_that_changes_something_checks_the_token_of_its_form(route):
    assert route.methods <= READ_ONLY or checks_forms(route)


def test_a_route_without_a_rule_is_found():
    from fastapi import APIRouter

    router = APIRouter()
    router.add_api_route("/open", lambda: "")
    assert access_rules(router.routes[0]) == []


def test_the_public_is_sent_to_the_login_and_back_again(visitor):
    answer = visitor.get("/account")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?")
    assert "登录名" in visitor.get("/login").text


def test_a_login_opens_a_session_with_a_guarded_cookie(site, visitor):
    answer = visitor.post("/login", login="county", password="Lan-tian-7-bai-yun")
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 303
    assert all(word in cookie for word in ("HttpOnly", "SameSite=lax", "Path=/"))
    assert "周明" in visitor.get("/account").text


def test_a_wrong_password_is_refused_in_the_same_words_as_an_unknown_login(visitor, monkeypatch):
    monkeypatch.setattr("dashboards.pages.login.hold_back", _no_wait)
    wrong = visitor.post("/login", login="county", password="x")
    unknown = visitor.post("/login", login="nobody", password="x")
    assert wrong.status_code == unknown.status_code == 401
    assert _message(wrong) == _message(unknown) == "登录名或口令不对"


async def _no_wait(_seconds: int) -> None:
    return


def _message(answer) -> str:
    found = re.search(r'role="alert">([^<]+)<', answer.text)
    return found[1].replace("密码", "口令") if found else ""


def test_five_failures_close_the_login_for_a_while(site, visitor, monkeypatch):
    monkeypatch.setattr("dashboards.pages.login.hold_back", _no_wait)
    for _ in range(5):
        visitor.post("/login", login="county", password="x")
    locked = visitor.post("/login", login="county", password="Lan-tian-7-bai-yun")
    assert locked.status_code == 429
    assert int(locked.headers["retry-after"]) > 800
    site.clock[0] += timedelta(minutes=16)
    visitor.log_in("county")


def test_a_session_ends_at_logout_and_the_old_cookie_is_worth_nothing(as_user):
    browser = as_user("county")
    stolen = dict(browser.client.cookies)
    assert browser.post("/logout", page="/account").status_code == 303
    browser.client.cookies.update(stolen)
    assert browser.get("/account").status_code == 303


def test_a_session_ends_when_idle(site, as_user):
    browser = as_user("county")
    site.clock[0] += timedelta(minutes=16)
    assert browser.get("/account").status_code == 303


@pytest.mark.parametrize("token", ["", "wrong", None])
def test_a_form_without_its_token_is_refused_and_changes_nothing(as_user, token):
    browser = as_user("county")
    data = {"current": "Lan-tian-7-bai-yun", "fresh": "Gao-shan-9-liu-shui", "again": "Gao-shan-9-liu-shui"}
    if token is not None:
        data["csrf_token"] = token
    assert browser.client.post("/account/password", data=data).status_code == 403
    as_user("county")


def test_a_form_from_another_site_is_refused(as_user):
    browser = as_user("county")
    data = {"csrf_token": browser.token_of("/account")}
    answer = browser.client.post("/logout", data=data, headers={"origin": "http://evil.example"})
    assert answer.status_code == 403


def test_a_password_is_changed_and_other_sessions_end(as_user):
    browser, other = as_user("county"), as_user("county")
    fresh = "Gao-shan-9-liu-shui"
    weak = browser.post("/account/password", current="Lan-tian-7-bai-yun", fresh="short", again="short")
    assert "口令没有修改" in weak.text
    differing = browser.post("/account/password", current="Lan-tian-7-bai-yun", fresh=fresh, again="other")
    assert "两遍不一样" in differing.text
    done = browser.post("/account/password", current="Lan-tian-7-bai-yun", fresh=fresh, again=fresh)
    assert done.status_code == 303
    assert "口令已修改" in browser.get(done.headers["location"]).text
    assert other.get("/account").status_code == 303


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_no_redirect_leads_elsewhere(path, as_user, visitor):
    assert local_path(path) == "/"
    answer = visitor.post("/login", login="county", password="Lan-tian-7-bai-yun", back=path)
    assert answer.headers["location"] == "/"


def test_large_type_is_remembered_by_the_browser(visitor):
    answer = visitor.post("/display", page="/login", large="1", back="/login")
    assert answer.headers["location"] == "/login"
    assert '<html lang="zh-CN" class="large">' in visitor.get("/login").text
    assert "标准版" in visitor.get("/login").text


def test_built_files_are_cached_for_a_year_and_sources_are_not(visitor):
    page = visitor.get("/login").text
    style = re.search(r'href="(/static/style[^"]*\.css)"', page)
    assert style
    answer = visitor.get(style[1])
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert visitor.get("/static/../web.py").status_code == 404
    assert visitor.get("/static/unknown.js").status_code == 404


def test_pages_are_never_stored_and_carry_a_strict_policy(visitor):
    answer = visitor.get("/login")
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
