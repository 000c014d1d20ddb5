"""The pages of plans: written, tested, approved by somebody else, published, tried, retired."""

import re
from io import BytesIO

import pytest
from openpyxl import load_workbook

from distribution.plans.templates import template_path
from registry.actors import Role
from registry.users import NewUser, create_user

TEXT = template_path("default_county").read_text(encoding="utf-8")
NEXT = (
    TEXT.replace('id = "default-county"\nversion = 1', 'id = "next-county"\nversion = 1')
    .replace("valid_from = 2021-01-01", "valid_from = 2099-01-01")
    .split("[[case]]", maxsplit=1)[0]
    .replace('collective = "20%", households = "20%"', 'collective = "10%", households = "30%"')
)
PAGE = "/plans/next-county/1"


def post(visitor, path: str, page: str, **fields: str):
    return visitor.post(path, page=page, **fields)


@pytest.fixture
def second(site, as_user):
    """Another county officer."""
    from tests.dashboards.conftest import ADMINISTRATOR, COUNTY, NOW, PASSWORD

    with site.database.transaction() as session:
        create_user(session, ADMINISTRATOR, NewUser("leader", "李主任", Role.COUNTY, COUNTY), NOW, PASSWORD)
        session.connection().exec_driver_sql('UPDATE "user" SET must_change_password = 0')
    return as_user("leader")


def test_a_plan_goes_from_text_to_force_by_two_people(as_user, second):
    writer = as_user("county")
    checked = post(writer, "/plans/new", "/plans/new", act="check", text=NEXT)
    assert "方案成立" in checked.text
    assert (
        post(writer, "/plans/new", "/plans/new", act="save", text=NEXT).headers["location"].startswith(PAGE)
    )
    assert "草稿" in writer.get(PAGE).text
    assert post(writer, f"{PAGE}/tested", PAGE).status_code == 303
    assert "请另一位县级人员批准" in writer.get(PAGE).text
    refused = post(writer, f"{PAGE}/approved", PAGE, reason="县政府常务会")
    assert "由谁保存，就不能由谁批准" in refused.text
    assert post(second, f"{PAGE}/approved", PAGE, reason="县政府第 3 次常务会").status_code == 303
    assert post(second, f"{PAGE}/published", PAGE).status_code == 303
    shown = second.get(PAGE).text
    assert "已发布" in shown
    assert "县政府第 3 次常务会" in shown
    assert "李主任" in shown
    assert "全部，自 2099-01-01 起" in second.get("/plans").text
    assert post(second, f"{PAGE}/retired", PAGE, on="2099-07-01").status_code == 303
    assert "到 2099-07-01 前" in second.get(PAGE).text


def test_a_text_with_faults_is_kept_in_the_form_and_nowhere_else(as_user):
    writer = as_user("county")
    wrong = NEXT.replace('posts = "60%"', 'posts = "70%"')
    answer = post(writer, "/plans/new", "/plans/new", act="save", text=wrong)
    assert answer.status_code == 200
    assert "110%" in answer.text
    assert "posts = &#34;70%&#34;" in answer.text
    assert writer.get(PAGE).status_code == 404
    nonsense = post(writer, "/plans/new", "/plans/new", act="check", text="a = [")
    assert "不是有效的 TOML" in nonsense.text


def test_a_file_goes_before_the_text_and_must_be_text(as_user):
    writer = as_user("county")
    token = writer.token_of("/plans/new")
    fields = {"csrf_token": token, "act": "check", "text": "a = ["}
    good = writer.client.post("/plans/new", data=fields, files={"file": ("p.toml", NEXT.encode())})
    assert "方案成立" in good.text
    bad = writer.client.post("/plans/new", data=fields, files={"file": ("p.xls", b"\xd0\xcf\x11\xe0\xff")})
    assert "不是 UTF-8" in bad.text
    large = writer.client.post("/plans/new", data=fields, files={"file": ("p.toml", b"#" * (1 << 20) + b"x")})
    assert "超过 1 MB" in large.text


def test_two_publications_of_one_time_are_refused_with_the_other_ones_name(as_user, second):
    writer = as_user("county")
    for number in ("1", "2"):
        text = NEXT.replace("version = 1", f"version = {number}", 1)
        post(writer, "/plans/new", "/plans/new", act="save", text=text)
        page = f"/plans/next-county/{number}"
        post(writer, f"{page}/tested", page)
        post(second, f"{page}/approved", page, reason="常务会")
        answer = post(second, f"{page}/published", page)
    assert "已有方案 next-county 第 1 版" in answer.text
    assert "已批准" in second.get("/plans/next-county/2").text


def test_a_template_fills_the_form_and_can_be_taken_away(as_user):
    writer = as_user("county")
    assert "光伏帮扶电站收益分配方案（县级默认）" in writer.get("/plans/new").text
    assert "default-county" in writer.get("/plans/new?template=default_county").text
    assert writer.get("/plans/new?template=../../x").status_code == 404
    assert writer.get("/plans/templates/aohan").content == template_path("aohan").read_bytes()
    assert writer.get("/plans/templates/nothing").status_code == 404


@pytest.mark.parametrize("login", ["township", "village", "finance", "auditor", "maintenance"])
def test_others_read_at_most(as_user, login):
    visitor = as_user(login)
    assert visitor.get("/plans").status_code == (403 if login == "maintenance" else 200)
    assert visitor.get("/plans/new").status_code == 403
    token = visitor.token_of("/account")
    answer = visitor.client.post(f"{PAGE}/published", data={"csrf_token": token})
    assert answer.status_code == 403


def test_a_trial_shows_who_gains_and_who_loses_and_its_workbook_says_the_same(county, browse):
    officer = browse("county")
    assert post(officer, "/plans/new", "/plans/new", act="save", text=NEXT).status_code == 303
    page = officer.get(f"{PAGE}/trial?first=2026-09&last=2026-10").text
    gaining = int(re.search(r"<dt>增加</dt><dd>(\d+) 户", page)[1])
    assert gaining > 0
    assert "household_" not in re.sub(r'href="[^"]*"', "", page)
    assert 'type="application/json"' in page
    answer = officer.get(f"{PAGE}/trial/xlsx?first=2026-09&last=2026-10")
    book = load_workbook(BytesIO(answer.content))
    rows = [row for row in book["各户变化"].iter_rows(values_only=True) if isinstance(row[2], int | float)]
    total, people = rows[-1], rows[:-1]
    assert "household_" not in str(people)
    assert sum(1 for row in people if row[4] > 0) == gaining
    assert round(sum(row[4] for row in people), 2) == round(total[4], 2)
    assert f"{total[2]:,.2f} 元 → {total[3]:,.2f} 元" in page
    cadre = browse("village")
    assert cadre.get(f"{PAGE}/trial").status_code == 200


def test_a_trial_of_months_without_runs_says_so(county, browse):
    officer = browse("county")
    assert "没有可以试算的村" in officer.get("/plans/default-county/1/trial?first=2025-01&last=2025-02").text
    assert officer.get("/plans/default-county/1/trial?first=x").status_code == 422
