"""The whole product as a newcomer meets it: a real demo process, a real browser, every page looked at."""

import re
import subprocess
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests import living
from tests.living import Demo, log_in, sunledger

pytestmark = pytest.mark.browser
DOWNLOAD = re.compile(r"([./](xlsx|csv|pdf)|/file)$")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with living.living_demo(tmp_path_factory.mktemp("county") / "data", "--small") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with living.browser() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1366, "height": 768}, locale="zh-CN")
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


def test_there_is_a_login_for_each_role_and_no_default_password(demo: Demo) -> None:
    assert set(demo.passwords) >= {"county", "township", "village", "finance", "maintenance", "auditor"}
    assert len(set(demo.passwords.values())) == len(demo.passwords)


def test_the_county_officer_sees_counts_that_add_up(demo: Demo, page: Page) -> None:
    log_in(page, demo, "county")
    text = page.inner_text("main")
    total = int(re.search(r"全部\s*(\d+)", text)[1])
    words = "正常|告警|限电|故障|电网停电|计划检修|夜间待机|通信中断|未知"
    counts = [int(number) for _, number in re.findall(rf"({words})\s+(\d+)", text)][:9]
    assert total > 0
    assert sum(counts) == total
    assert "演示数据" in page.inner_text("body")
    assert "数据更新于" in text


@pytest.mark.parametrize("login", ["county", "township", "village", "finance", "maintenance", "auditor"])
def test_every_link_that_a_role_is_shown_leads_somewhere(demo: Demo, page: Page, login: str) -> None:
    log_in(page, demo, login)
    seen: set[str] = set()
    waiting = ["/"]
    while waiting and len(seen) < 40:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        answer = page.goto(f"{demo.url}{path}")
        assert answer is not None
        assert answer.status == 200, path
        assert page.title()
        assert "Traceback" not in page.content()
        for link in page.query_selector_all("main a[href^='/'], nav a[href^='/']"):
            href = (link.get_attribute("href") or "").split("#")[0]
            if not DOWNLOAD.search(href) and href not in seen and len(waiting) < 200:
                waiting.append(href)
    assert len(seen) >= 5


def test_the_station_page_shows_the_curve_of_today(demo: Demo, page: Page) -> None:
    log_in(page, demo, "county")
    page.goto(f"{demo.url}/stations")
    page.click("main table a >> nth=0")
    assert "今日功率曲线" in page.inner_text("main")
    page.wait_for_selector("svg, canvas")


def test_the_pages_hold_without_scripts_and_on_a_phone(demo: Demo, browser: Browser) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, java_script_enabled=False, locale="zh-CN"
    )
    page = context.new_page()
    log_in(page, demo, "village")
    for path in ("/", "/stations", "/statements"):
        page.goto(f"{demo.url}{path}")
        assert len(page.inner_text("main")) > 50
    context.close()


def test_commands_go_through_the_running_service(demo: Demo) -> None:
    energy = subprocess.run(
        sunledger("energy", "2026", "--data", str(demo.data), "--json"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"energy_wh"' in energy.stdout
    verified = subprocess.run(
        sunledger("verify", "--data", str(demo.data)), capture_output=True, text=True, check=False
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_live_samples_keep_coming_and_nothing_is_lost(demo: Demo, page: Page) -> None:
    log_in(page, demo, "county")
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        answer = page.request.get(f"{demo.url}/api/v1/collector/balance").json()
        if answer["stored"] >= 5:
            break
        time.sleep(2)
    assert answer["stored"] >= 5
    assert answer["difference"] == 0
