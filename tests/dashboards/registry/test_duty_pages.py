"""Posts, attendance, points, a birth and an exchanged device are entered on pages, by whom may."""

import re

from registry.actors import Actor, Role
from registry.assets.replacements import replacements
from registry.roll.duties import duty_sheet, measure_sheet
from registry.roll.lifecycle import household_events
from registry.stations import devices
from tests.registry.conftest import check_digit

BODY = "52049120261010123"
NUMBER = BODY + check_digit(BODY)


def clerk(county):
    return Actor("c", "县", Role.COUNTY, county.villages[0][:6] + "000000")


def fields(page, name):
    return re.findall(rf'name="{name}"[^>]*value="([^"]*)"', page)


def test_a_village_s_month_of_attendance_is_saved_at_once(county, browse):
    browser, village = browse("county"), county.villages[0]
    path = f"/duties/{village}?month=2026-09"
    home = next(one for one in county.households if one.village_code == village and not one.left_on)
    made = browser.post(
        path, page=path, action="post", household=home.id, kind="护林", rate="650.50", on="2026-01-01",
        document="协议",
    )  # fmt: skip
    assert made.status_code == 303, made.text
    page = browser.get(path).text
    posts, coefficients = fields(page, "posts"), fields(page, "coefficients")
    assert "650.50" in page
    wrong = browser.post(
        path, page=path, document="考勤表", posts=posts, units=["2"] * len(posts), coefficients=coefficients
    )
    assert wrong.status_code == 409
    assert "一个月最多记 1" in wrong.text
    done = browser.post(
        path, page=path, document="考勤表", posts=posts, units=["0.5"] * len(posts), coefficients=coefficients
    )
    assert done.status_code == 303
    with county.database.reading() as session:
        rows = duty_sheet(session, clerk(county), village, "2026-09")
    assert {str(one.units) for one in rows} == {"0.5"}
    assert {one.document for one in rows} == {"考勤表"}


def test_points_of_a_month_are_saved_and_a_word_for_a_number_is_refused(county, browse):
    browser, village = browse("county"), county.villages[0]
    path = f"/duties/{village}/measures?month=2026-08&measure=stars"
    homes = fields(browser.get(path).text, "homes")
    wrong = browser.post(
        path, page=path, document="评定", homes=homes, values=["五星"] + [""] * (len(homes) - 1)
    )
    assert wrong.status_code == 409
    assert "“五星”不是数" in wrong.text
    done = browser.post(path, page=path, document="评定", homes=homes, values=["5"] + [""] * (len(homes) - 1))
    assert done.status_code == 303
    with county.database.reading() as session:
        rows = measure_sheet(session, clerk(county), (village, "2026-08"), "stars")
    assert [str(one.value) for one in rows if one.value is not None] == ["5"]


def test_a_birth_is_entered_on_the_page_of_changes_and_never_shows_the_number(county, browse):
    browser = browse("county")
    home = [one for one in county.households if one.village_code == county.villages[1] and not one.left_on][2]
    path = f"/households/{home.id}/changes"
    form = {"kind": "birth", "on": "2026-10-12", "document": "出生证明", "name": "小禾", "labour": "unable"}
    wrong = browser.post(path, page=path, id_number="123", **form)
    assert wrong.status_code == 409
    assert "应为 18 位" in wrong.text
    assert browser.post(path, page=path, id_number=NUMBER, **form).status_code == 303
    card = browser.get(f"/households/{home.id}/card").text
    assert "小禾" in card
    assert NUMBER not in card
    with county.database.reading() as session:
        assert household_events(session, clerk(county), home.id)[-1].kind == "birth"


def test_an_exchanged_inverter_is_entered_with_both_readings(county, browse):
    browser = browse("county")
    with county.database.reading() as session:
        old = next(one for one in devices(session, clerk(county)) if one.removed_on is None)
    path = f"/stations/{old.station_id}/archive"
    form = {
        "action": "device",
        "device": old.id,
        "number": "SN-新-1",
        "on": "2026-10-01",
        "document": "换机单",
    }
    wrong = browser.post(path, page=path, closing="很多", opening="0", **form)
    assert wrong.status_code == 409
    assert "不是非负的示数" in wrong.text
    assert browser.post(path, page=path, closing="12345.6", opening="0", **form).status_code == 303
    page = browser.get(path).text
    assert "SN-新-1" in page
    assert "12345.6" in page
    with county.database.reading() as session:
        kept = replacements(session, clerk(county), old.station_id)[0]
    assert (kept.kind, kept.old_id, kept.closing_reading) == ("device", old.id, "12345.6")


def test_who_may_only_read_sees_no_forms_and_an_unknown_village_is_not_found(county, browse):
    village = county.villages[0]
    reader = browse("township")
    for path in (f"/duties/{village}", f"/duties/{village}/measures"):
        page = reader.get(path)
        assert page.status_code == 200
        assert 'name="units"' not in page.text
        assert 'name="values"' not in page.text
        assert reader.client.post(path, data={}).status_code == 403
    assert browse("county").get("/duties/999999999999").status_code == 404
