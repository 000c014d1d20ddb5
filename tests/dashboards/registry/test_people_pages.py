"""Numbers are opened with a reason, accounts change by two people, households change on a document."""

import re

from registry import audit
from registry.actors import SYSTEM, Actor, Role
from registry.roll.lifecycle import household_events

AUDITOR = Actor("a", "审计", Role.AUDITOR)


def home_of(county, place: int):
    return [one for one in county.households if one.village_code == county.villages[0] and not one.left_on][
        place
    ]


def second(county, browse):
    """The other person of the county: another login with the same role."""
    from datetime import timedelta

    from registry.users import LoginPolicy, NewUser, create_user, open_session
    from tests.dashboards.conftest import NOON

    area = county.villages[0][:6] + "000000"
    with county.database.transaction() as session:
        maker = Actor("setup", "安装", Role.COUNTY, area)
        connection = session.connection()
        found = connection.exec_driver_sql("SELECT id FROM \"user\" WHERE login = 'page-leader'").scalar()
        if found is None:
            create_user(session, maker, NewUser("page-leader", "赵敏", Role.COUNTY, area), NOON, "x")
            connection.exec_driver_sql('UPDATE "user" SET must_change_password = 0')
            found = connection.exec_driver_sql("SELECT id FROM \"user\" WHERE login = 'page-leader'").scalar()
        actor = Actor(found, "赵敏", Role.COUNTY, area)
        token = open_session(session, actor, NOON, LoginPolicy(absolute=timedelta(days=400))).token
    browser = browse("public")
    browser.client.cookies.set("sunledger", token)
    return browser


def test_a_whole_number_is_shown_once_against_a_reason_and_audited(county, browse):
    browser, home = browse("county"), home_of(county, 0)
    path = f"/households/{home.id}/card"
    page = browser.get(path).text
    member = re.search(r'<select id="member".*?<option value="([^"]+)"', page, re.DOTALL)[1]
    refused = browser.post(f"/households/{home.id}/open-number", page=path, member=member, reason=" ")
    assert refused.status_code == 409
    assert "没有写理由" in refused.text
    opened = browser.post(f"/households/{home.id}/open-number", page=path, member=member, reason="核对证件")
    assert re.search(r"(?<!\d)\d{17}[\dX](?!\d)", opened.text)
    after = browser.get(path).text
    assert not re.search(r"(?<!\d)\d{17}[\dX](?!\d)", after)
    assert "查看了完整身份证号" in after
    assert "核对证件" in after
    with county.database.reading() as session:
        event = audit.events(session, AUDITOR, object_kind="household_member", object_id=member)[0]
    assert (event.action, event.reason) == ("unmask", "核对证件")
    for role in ("village", "township", "finance"):
        other = browse(role)
        answer = other.client.post(
            f"/households/{home.id}/open-number", data={"member": member, "reason": "x"}
        )
        assert answer.status_code == 403


def test_an_account_changes_by_two_people_and_is_shown_on_the_approval(county, browse):
    browser, home = browse("county"), home_of(county, 1)
    new = f"/account-changes/new?household={home.id}"
    wrong = browser.post(
        "/account-changes/new", page=new, household=home.id, holder="x", bank="y", account="12", reason="z"
    )
    assert wrong.status_code == 409
    done = browser.post(
        "/account-changes/new",
        page=new,
        household=home.id,
        holder=home.name,
        bank="邮储银行",
        account="6217 0000 0000 9999",
        reason="换卡",
    )
    assert done.status_code == 303, done.text
    page = browser.get("/account-changes").text
    assert "6217000000009999" not in page
    row = re.search(rf"<tr>(?:(?!</tr>).)*{home.id}/card.*?</tr>", page, re.DOTALL)[0]
    assert "自己的申请要由另一人复核" in row
    action = re.search(r'action="(/account-changes/[^"]+)"', row)[1]
    own = browser.post(action, page="/account-changes", decision="confirm")
    assert own.status_code == 409
    assert "不能复核自己的变更" in own.text
    run = county.run(county.villages[0], "2026-10")
    assert "待复核" in browser.get(f"/runs/{run.id}").text
    leader = second(county, browse)
    assert leader.post(action, page="/account-changes", decision="confirm").status_code == 303
    confirmed = leader.get("/account-changes").text
    assert "起生效" in confirmed
    approval = browser.get(f"/runs/{run.id}").text
    assert "变更了收款账户，审批前请过目" in approval
    assert "起生效" in approval


def test_what_happens_to_a_household_is_recorded_on_a_document(county, browse):
    browser, home = browse("county"), home_of(county, 2)
    path = f"/households/{home.id}/changes"
    refused = browser.post(path, kind="exit", on="2026-11-20", document=" ")
    assert refused.status_code == 409
    assert "没有写依据" in refused.text
    done = browser.post(path, kind="exit", on="2026-11-20", document="迁出证明", until="2026-12-31")
    assert done.status_code == 303, done.text
    card = browser.get(f"/households/{home.id}/card").text
    assert "迁出证明" in card
    assert "延续享受至" in card
    before = browser.get(f"/households/{home.id}/card?known=2026-11-01").text
    assert "迁出证明" not in before.split("谁在什么时候做了什么")[0]
    assert browser.post(path, kind="return", on="2026-11-21", document="村委会证明").status_code == 303
    with county.database.reading() as session:
        kinds = [one.kind for one in household_events(session, SYSTEM, home.id)]
    assert kinds == ["exit", "return"]


def test_a_review_goes_from_the_task_list_to_a_changed_enrolment(county, browse):
    browser, village = browse("county"), county.villages[1]
    page = browser.get("/reviews").text
    review = re.search(r'href="(/reviews/review_[^"]+)"', page)[1]
    tasks = browser.get(review).text
    assert f"{review}/{village}" in tasks
    place = f"{review}/{village}"
    text = browser.get(place).text
    early = browser.post(f"{review}/{county.villages[3]}", action="sign", document="会议记录")
    assert early.status_code == 409
    assert "没有核查结果" in early.text
    finding = re.search(r'name="finding" value="([^"]+)"', text)[1]
    assert browser.post(place, action="apply", finding=finding).status_code == 303
    assert "已执行" in browser.get(place).text
    assert browser.post(place, action="rest").status_code == 303
    assert browser.post(place, action="sign", document="村民代表会议记录").status_code == 303
    assert "已签结" in browser.get(place).text
    closed = browser.client.post(
        place,
        data={
            "csrf_token": browser.token_of("/account"),
            "action": "find",
            "household": home_of(county, 0).id,
            "outcome": "keep",
        },
    )
    assert closed.status_code in {303, 409}


def test_a_comparison_reports_and_each_proposal_is_decided_by_hand(county, browse):
    browser = browse("county")
    page = browser.get("/exchanges").text
    report = re.search(r'href="(/exchanges/exchange_[^"]+)"', page)[1]
    text = browser.get(report).text
    assert "只在对方名单" in text
    assert not re.search(r"(?<!\d)\d{17}[\dX](?!\d)", text)
    actions = re.findall(rf'action="({report}/match_[^"]+)"', text)
    assert actions
    refused = browser.post(actions[0], page=report, decision="accept", on="2026-11-20", document="")
    assert refused.status_code == 409
    done = browser.post(actions[0], page=report, decision="accept", on="2026-11-20", document="民政函 3 号")
    assert done.status_code == 303
    assert "民政函 3 号" in browser.get(report).text
    assert browser.get(f"{report}/xlsx").content.startswith(b"PK")
    bad = browser.post(
        "/exchanges",
        page="/exchanges",
        files={"file": ("名单.csv", "姓名,身份证号\n张三,123\n".encode(), "text/csv")},
        kind="dibao",
        department="民政局",
        as_of="2026-11-01",
    )
    assert bad.status_code == 409
    assert "B2" in bad.text


def test_a_station_file_keeps_what_was_and_says_what_is(county, browse):
    browser, station = browse("county"), county.stations[0]
    path = f"/stations/{station.id}/archive"
    wrong = browser.post(path, action="entry", field="subsidy_status", value="别的", on="2026-11-01")
    assert wrong.status_code == 409
    assert "只能填" in wrong.text
    done = browser.post(
        path, action="entry", field="maintenance_fee", value="5000", on="2026-11-01", document="补充协议"
    )
    assert done.status_code == 303
    again = browser.post(path, action="entry", field="maintenance_fee", value="6000", on="2026-11-20")
    assert again.status_code == 303
    text = browser.get(path).text
    assert "6000" in text
    assert "5000" in text
    assert "6000" not in browser.get(f"{path}?known=2026-11-01").text
    assert browse("village").client.post(path, data={"action": "entry"}).status_code == 403
