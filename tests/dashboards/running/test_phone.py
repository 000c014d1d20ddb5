"""A work order on a phone of 360 px: photo from the phone, one click, and without scripts as well."""

from datetime import timedelta

import pytest

from monitoring.work_orders.orders import NewOrder, open_order
from registry.actors import Actor, Role
from tests.dashboards.conftest import NOON
from tests.dashboards.test_browser import listened, session_of
from tests.documents.test_pictures import png

pytestmark = pytest.mark.browser
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}


def new_order(county) -> str:
    with county.database.transaction() as session:
        officer = Actor("officer", "县里", Role.COUNTY, county.villages[0][:6] + "000000")
        new = NewOrder(county.stations[0].id, "到场检查", NOON + timedelta(days=3))
        return open_order(session, officer, new, NOON)


@pytest.mark.parametrize("scripts", [True, False])
def test_the_work_is_reported_done_with_a_photo_from_the_phone(county, chromium, address, tmp_path, scripts):
    order_id = new_order(county)
    picture = tmp_path / "现场.png"
    picture.write_bytes(png())
    with session_of(
        county, chromium, address, "maintenance", java_script_enabled=scripts, **PHONE
    ) as context:
        page = context.new_page()
        heard = listened(page)
        page.goto(f"{address}/work-orders/{order_id}")
        page.locator("#note-finish").fill("更换保险，并网正常")
        page.locator("summary", has_text="更换了配件").click()
        page.locator("#parts-finish").fill("保险丝 2")
        page.locator("#photos-finish").set_input_files(picture)
        page.get_by_role("button", name="报完工").click()
        assert page.get_by_text("报完工已记录").is_visible()
        assert page.get_by_text("保险丝 × 2").is_visible()
        shown = page.locator(".photos img").last
        assert shown.evaluate("(image) => image.complete && image.naturalWidth > 0") or not scripts
        assert (
            page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth + 1")
            or not scripts
        )
        assert heard == []


def test_a_large_photo_is_made_smaller_before_it_is_sent(county, chromium, address):
    order_id = new_order(county)
    with session_of(county, chromium, address, "maintenance", **PHONE) as context:
        page = context.new_page()
        page.goto(f"{address}/work-orders/{order_id}")
        size = page.evaluate(
            """async () => {
              const canvas = document.createElement("canvas");
              canvas.width = 4000; canvas.height = 3000;
              const context = canvas.getContext("2d");
              for (let n = 0; n < 20000; n += 1) {
                context.fillStyle = `hsl(${(n * 37) % 360} 80% ${20 + (n % 60)}%)`;
                context.fillRect((n * 97) % 4000, (n * 61) % 3000, 60, 60);
              }
              const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.98));
              const kept = new DataTransfer();
              kept.items.add(new File([blob], "large.jpg", { type: "image/jpeg" }));
              const field = document.querySelector("#photos-finish");
              field.files = kept.files;
              field.dispatchEvent(new Event("change", { bubbles: true }));
              const button = field.form.querySelector("button[type=submit]");
              while (button.disabled) await new Promise((done) => setTimeout(done, 50));
              return [blob.size, field.files[0].size];
            }"""
        )
    assert size[1] < size[0] / 3
    assert size[1] < 2_000_000
