"""The pictures of the guide 运维工单, taken in a living demo county; `tests.guide_pictures` calls it.

A county officer sends an order for an alarm, the O&M company does the work on a phone, the county accepts it.
"""

from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.living import Demo, log_in

TARGET = Path(__file__).parents[1] / "docs" / "images" / "upkeep"
DESK, PHONE = (1280, 720), (390, 780)


def snap(page: Page, name: str) -> None:
    """Photograph the window."""
    page.screenshot(path=TARGET / f"{name}.jpg", type="jpeg", quality=70)


def _as(opened: Browser, demo: Demo, login: str, size: tuple[int, int]) -> Page:
    context = opened.new_context(viewport={"width": size[0], "height": size[1]}, locale="zh-CN")
    page = context.new_page()
    log_in(page, demo, login)
    return page


def _act(page: Page, words: str) -> None:
    with page.expect_navigation():
        page.click(f"button:has-text('{words}')")


def sent(officer: Page, demo: Demo) -> str:
    """Send an order for the first alarm that waits for one; returns its address."""
    officer.goto(f"{demo.url}/alarms")
    snap(officer, "1-alarms")
    with officer.expect_navigation():
        officer.click("a:has-text('派工单')")
    snap(officer, "2-dispatch")
    _act(officer, "派出工单")
    return officer.url.split("?")[0]


def worked(worker: Page, order: str) -> None:
    """Take the order, do the work and report it done."""
    worker.goto(order)
    snap(worker, "3-phone")
    _act(worker, "接单")
    form = worker.locator("form[action$='/finish']")
    form.locator("textarea[name=note]").fill("更换熔断器，三相电压正常，已恢复发电")
    form.locator("summary").click()
    form.locator("[name=parts]").fill("熔断器 2 RT-3608")
    form.scroll_into_view_if_needed()
    snap(worker, "4-finish")
    _act(worker, "报完工")


def accepted(officer: Page, demo: Demo, order: str) -> None:
    """Accept the work, and look at all orders."""
    officer.goto(order)
    snap(officer, "5-accept")
    _act(officer, "验收办结")
    officer.goto(f"{demo.url}/work-orders?show=all")
    snap(officer, "6-orders")


def take_pictures(opened: Browser, demo: Demo) -> None:
    """Play one order from the alarm to the closing, and photograph every step."""
    TARGET.mkdir(parents=True, exist_ok=True)
    officer, worker = _as(opened, demo, "county", DESK), _as(opened, demo, "maintenance", PHONE)
    order = sent(officer, demo)
    worked(worker, order)
    accepted(officer, demo, order)
    for page in (officer, worker):
        page.context.close()
