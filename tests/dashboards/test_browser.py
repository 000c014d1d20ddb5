"""The pages in a real Chromium: nothing blocked, too small or cut off, and usable without scripts."""

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.dashboards.test_pages import upkeep

pytestmark = pytest.mark.browser

CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const over = (top, below) => {
    const alpha = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map((i) => top[i] * alpha + below[i] * (1 - alpha));
  };
  const ground = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.unshift(parse(getComputedStyle(e).backgroundColor));
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const light = (rgb) => {
    const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgb.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.offsetParent) continue;
    if (["SCRIPT", "STYLE", "OPTION"].includes(element.tagName)) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push([element.textContent.trim().slice(0, 20), ratio.toFixed(2)]);
  }
  return bad;
}"""
SMALL_TARGETS = """(least) => [...document.querySelectorAll(
    ".button, .nav a, .who a, .who button, .tally a, input, select, textarea, summary")]
  .filter((e) => e.offsetParent && !["hidden", "checkbox", "radio"].includes(e.type))
  .map((e) => [e.textContent.trim().slice(0, 12), e.getBoundingClientRect().height])
  .filter(([, height]) => height < least - 0.5)"""
OVERFLOWS = "() => document.documentElement.scrollWidth > window.innerWidth + 1"


def session_of(county, chromium: Browser, address: str, role: str, **options) -> BrowserContext:
    context = chromium.new_context(locale="zh-CN", **options)
    context.add_cookies([{"name": "sunledger", "value": county.cookies[role], "url": address}])
    return context


def pages(county) -> list[str]:
    village = county.villages[0]
    return [
        "/",
        "/stations",
        f"/stations/{county.stations[0].id}",
        "/work",
        f"/runs/{county.run(village, '2026-10').id}",
        f"/runs/{county.run(county.villages[2], '2026-10').id}/notice",
        "/settlements?month=2026-09",
        "/settlements/import",
        "/settlements/files",
        "/reconciliation?month=2026-09",
        f"/reconciliation/stations/{county.stations[0].id}?month=2026-09",
        "/receivables",
        "/receipts?month=2026-11",
        "/remittances",
        "/costs?month=2026-10",
        "/spendings",
        "/meter-readings",
        "/settlement-papers/county?month=2026-10",
        "/statements?month=2026-09",
        f"/villages/{village}/statements/2026-09",
        f"/villages/{village}/entries?n=1.2.3",
        "/payouts",
        "/households",
        f"/households/{county.households[0].id}",
        *upkeep(county),
        "/events",
        "/connections",
        "/account",
    ]


def listened(page: Page) -> list[str]:
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: heard.append(str(error)))
    # A request that the next page cuts short is no failure of this one.
    page.on(
        "requestfailed",
        lambda request: heard.append(request.url) if request.failure != "net::ERR_ABORTED" else None,
    )
    return heard


@pytest.mark.parametrize("large", [False, True], ids=["standard", "large type"])
def test_nothing_is_blocked_cut_off_faint_or_too_small(county, chromium, address, large):
    with session_of(county, chromium, address, "county", viewport={"width": 1366, "height": 768}) as context:
        if large:
            context.add_cookies([{"name": "sunledger_large_type", "value": "1", "url": address}])
        page = context.new_page()
        heard = listened(page)
        for path in pages(county):
            page.goto(address + path)
            assert page.evaluate(CONTRAST) == [], path
            assert page.evaluate(SMALL_TARGETS, 60 if large else 44) == [], path
            for width in (1366, 360, 320):
                page.set_viewport_size({"width": width, "height": 740})
                assert not page.evaluate(OVERFLOWS), (path, width)
            page.set_viewport_size({"width": 1366, "height": 768})
        assert heard == []


def test_charts_are_drawn_and_say_the_same_in_a_table(county, chromium, address):
    with session_of(county, chromium, address, "county") as context:
        page = context.new_page()
        heard = listened(page)
        page.goto(f"{address}/stations/{county.stations[0].id}")
        page.wait_for_selector("figure.chart canvas")
        assert page.locator("figure.chart canvas").count() == 3
        drawn = page.evaluate(
            "() => [...document.querySelectorAll('figure.chart canvas')].every((c) => "
            "c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v !== 0))"
        )
        assert drawn
        page.locator("summary").first.click()
        assert page.locator("figure.chart table").first.locator("tbody tr").count() > 10
        assert heard == []


def test_everything_works_without_scripts(county, chromium, address):
    options = {"java_script_enabled": False, "viewport": {"width": 360, "height": 740}}
    with session_of(county, chromium, address, "village", **options) as context:
        page = context.new_page()
        run = county.run(county.villages[0], "2026-10")
        page.goto(f"{address}/")
        page.get_by_role("link", name="查看和办理").click()
        assert page.url.endswith(run.id)
        page.get_by_role("button", name="同意本版").click()
        assert page.get_by_text("已记录").is_visible()
        page.get_by_role("button", name="长辈版").click()
        assert page.locator("html.large").count() == 1
        page.goto(f"{address}/stations/{county.stations[0].id}")
        page.locator("summary").first.click()
        assert page.locator("figure.chart table").first.is_visible()


def test_a_double_click_submits_once_and_slash_finds_the_search(county, chromium, address):
    with session_of(county, chromium, address, "county") as context:
        page = context.new_page()
        page.goto(f"{address}/stations")
        page.keyboard.press("/")
        assert page.evaluate("() => document.activeElement.id") == "q"
        page.goto(f"{address}/work")
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
        page.locator("form[action$='/close'] button").dblclick(no_wait_after=True)
        page.wait_for_url("**/work?**")
        assert len(sent) == 1


def test_the_printed_statement_repeats_its_header_and_hides_the_menu(county, chromium, address, tmp_path):
    import pypdf

    with session_of(county, chromium, address, "county") as context:
        page = context.new_page()
        page.goto(f"{address}/villages/{county.villages[0]}/statements/2026-09")
        page.pdf(path=tmp_path / "statement.pdf", prefer_css_page_size=True)
    text = [sheet.extract_text() for sheet in pypdf.PdfReader(tmp_path / "statement.pdf").pages]
    assert "光伏收益账" in text[0]
    assert not any("本月工作" in sheet or "退出" in sheet for sheet in text)
    assert "合计" in text[-1]
