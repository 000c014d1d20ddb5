"""Every page, over a small seeded county: Chinese, scoped, without inline code, and adding up."""

import re
from html import unescape
from html.parser import HTMLParser

from distribution.plans.published import recompute
from monitoring.alarms.reads import AlarmFilter, alarms
from monitoring.work_orders.reads import work_orders
from registry.actors import SYSTEM

NAMES_OF_THINGS = re.compile(
    r"\b\w+(?:/[\w+#\-]+)+|\bModbus\b|"
    r"https?://\S+|\b[a-z]+(?:\.[a-z]+)+/[\w\-]+|\b[A-Z0-9]{2,}[A-Z0-9.\-/]*(?:KTL\w*|MT|CX\w*|KS-MT)?\b|\b(?:PDF|Excel|xlsx|xls|csv|JPG|PNG|MB)\b"
)


class Reader(HTMLParser):
    """Collects what a person reads, and what a strict policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.refused: list[str] = []
        self.links: list[str] = []
        self._silent = ""

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "script" and "src" not in given and given.get("type") != "application/json":
            self.refused.append("script")
        if tag == "style" or "style" in given or any(name.startswith("on") for name in given):
            self.refused.append(f"{tag} {given}")
        if tag == "a" and given.get("href", "").startswith("/"):
            self.links.append(given["href"])
        if tag in {"script", "style", "svg"}:
            self._silent = tag
        self.words += [
            given[name] for name in ("title", "aria-label", "placeholder", "alt") if given.get(name)
        ]

    def handle_endtag(self, tag):
        if tag == self._silent:
            self._silent = ""

    def handle_data(self, data):
        if not self._silent:
            self.words.append(data)


def pages(county) -> list[str]:
    village, month = county.villages[0], "2026-09"
    run = county.run(village, month)
    return [
        "/",
        "/stations",
        "/stations?state=normal&q=村",
        *[f"/stations/{one.id}" for one in county.stations],
        "/account/notifications",
        "/work",
        f"/work?month={month}",
        f"/runs/{run.id}",
        *[f"/runs/{one.id}" for one in county.runs if one.period == "2026-10"],
        f"/runs/{run.id}/notice",
        "/settlements",
        f"/settlements?month={month}",
        "/settlements?month=2025-01",
        "/settlements/import",
        "/energy-adjustments",
        "/settlements/files",
        "/reconciliation?month=2026-09",
        f"/reconciliation/stations/{county.stations[0].id}?month=2026-09",
        "/receivables",
        "/receipts",
        "/receipts/import",
        "/remittances",
        "/costs?month=2026-10",
        "/spendings",
        "/meter-readings",
        "/settlement-papers",
        *(f"/settlement-papers/{kind}?month={month}" for kind in ("county", "bank", "transit", "national")),
        f"/settlement-papers/account?month={month}&station={county.stations[0].id}",
        "/statements",
        "/statements?month=2025-01",
        f"/villages/{village}/statements/{month}",
        f"/villages/{village}/statements/2025-01",
        f"/villages/{village}/entries?n=1.2.3",
        f"/runs/{run.id}/lines/1/trace",
        "/jobs",
        "/money-papers",
        *[f"/money-papers/{kind}?month={month}" for kind in ("township", "flow", "ratios", "wages")],
        f"/money-papers/ledger?month={month}&village={village}",
        f"/settlements/settlement:{county.stations[0].id}:{month}:1/trace",
        "/households",
        *[f"/households/{one.id}" for one in county.households[:3]],
        f"/households/{county.households[0].id}?year=2023",
        "/payouts",
        f"/payouts?month={month}",
        *upkeep(county),
        "/events",
        "/connections",
        "/events?kind=communication",
        "/account",
        "/account/password",
        "/nothing-here",
    ]


def upkeep(county) -> list[str]:
    """Pages about running: alarms, orders, plans, availability, indicators, the report."""
    with county.database.reading() as session:
        told = alarms(session, SYSTEM, AlarmFilter(grouped=True))
        orders = work_orders(session, SYSTEM)
    return [
        "/alarms",
        "/alarms?show=all&kind=outage",
        *[f"/alarms/{one.id}" for one in told[:6]],
        "/work-orders",
        "/work-orders?state=all",
        *[f"/work-orders/{one.id}" for one in orders[:6]],
        "/work-orders/new",
        f"/work-orders/new?station={county.stations[0].id}",
        "/planned-work",
        f"/planned-work?station={county.stations[0].id}",
        "/availability",
        "/availability?from=2026-11-23&to=2026-11-23&level=device&rule=elevation:5",
        "/indicators",
        "/uptime-report",
        f"/stations/{county.stations[0].id}/uptime",
    ]


def read(answer) -> Reader:
    reader = Reader()
    reader.feed(answer.text)
    return reader


def test_every_page_is_chinese_without_inline_code_and_its_links_lead_somewhere(county, browse):
    browser = browse("county")
    links: set[str] = set()
    for path in pages(county):
        answer = browser.get(path)
        assert answer.status_code == (404 if path == "/nothing-here" else 200), path
        reader = read(answer)
        assert reader.refused == [], path
        text = " ".join(NAMES_OF_THINGS.sub(" ", word) for word in reader.words)
        english = re.findall(r"[A-Za-z]{3,}", re.sub(r"run:\S+|[0-9a-f]{8,}", " ", text))
        assert english == [], (path, english[:5])
        assert "None" not in text, path
        links |= set(reader.links)
    for link in sorted(links):
        assert browser.get(link).status_code == 200, link


def test_the_counts_by_state_add_up_to_the_total(county, browse):
    text = browse("county").get("/").text
    total, *counts = map(int, re.findall(r'tally-count">(\d+)<', text))
    assert total == sum(counts) == len(county.stations)


def test_the_sum_on_a_statement_can_be_checked_by_hand(county, browse):
    for village in county.villages:
        text = browse("county").get(f"/villages/{village}/statements/2026-09").text
        sums = re.findall(
            r'(?:operator">([+−=])</span>)?\s*<div class="term[^>]*>.*?term-amount">.*?([\d,]+\.\d\d)<',
            text,
            re.DOTALL,
        )
        assert len(sums) > 2
        fen = [(sign or "+", int(amount.replace(",", "").replace(".", ""))) for sign, amount in sums]
        left = sum(-amount if sign == "−" else amount for sign, amount in fen[:-1])
        assert fen[-1] == ("=", left)
        assert "相差 0.00 元，已平" in text
        assert text.count("壹") + text.count("贰") + text.count("元") > 0


def test_every_figure_of_a_booked_statement_links_to_its_entries(county, browse):
    browser = browse("county")
    text = unescape(browser.get(f"/villages/{county.villages[0]}/statements/2026-09").text)
    shown = r'<a href="(/villages/\d+/entries\?[^"]+)"><span class="[a-z]*">([\d,]+\.\d\d)</span></a>'
    links = set(re.findall(shown, text))
    names = {re.search(r"figure=([a-z]+)", link)[1] for link, _ in links}
    assert {"received", "total", "purse", "line"} <= names
    for link, amount in links:
        page = browser.get(link).text
        debit, credit = re.findall(r"<tfoot>.*?([\d,.]+)</td>.*?([\d,.]+)</td>", page, re.DOTALL)[0]
        assert debit == credit
        asked = re.search(r"您点的数：<mark>([\d,.]+) 元(?: = ([^<]+))?</mark>", page)
        assert asked[1] == amount, link
        marked = re.findall(r"<mark>([\d,.]+)</mark>", page)
        assert sum(map(fen_of, marked)) == fen_of(amount)
        assert asked[2] is None or asked[2] == " + ".join(marked)


def test_every_line_and_sum_of_a_statement_leads_to_its_source(county, browse):
    for month in ("2026-09", "2026-10"):
        text = browse("county").get(f"/villages/{county.villages[1]}/statements/{month}").text
        amounts = re.findall(r'lead-number">(.*?)</td>', text)
        assert amounts
        sums = re.findall(r'class="amount">(.*?)</span> ?元|<tfoot>(.*?)</tfoot>', text, re.DOTALL)
        assert all("<a href=" in one for one in amounts)
        assert all("<a href=" in "".join(one) for one in sums)
        outstanding = re.findall(r"待到账\S+ (.*?) 元", text)
        assert all(one.startswith('<a href="/settlements?month=2') for one in outstanding)


def test_the_name_of_a_figure_is_checked(county, browse):
    browser = browse("county")
    path = f"/villages/{county.villages[0]}/entries?n=1"
    assert browser.get(f"{path}&figure=<b>").status_code in {400, 404, 422}
    page = browser.get(f"{path}&figure=line-99999")
    assert page.status_code == 200
    assert "您点的数" not in page.text


def test_a_village_sees_its_own_and_nothing_of_its_neighbour(county, browse):
    browser = browse("village")
    own, other = county.villages[0], county.villages[1]
    assert browser.get(f"/villages/{own}/statements/2026-09").status_code == 200
    theirs = next(one for one in county.households if one.village_code == other)
    hidden = [
        f"/villages/{other}/statements/2026-09",
        f"/villages/{other}/statements/2026-09/pdf",
        f"/villages/{other}/entries?n=1",
        f"/runs/{county.run(other, '2026-09').id}",
        f"/runs/{county.run(other, '2026-09').id}/notice",
        f"/runs/{county.run(other, '2026-09').id}/notice/pdf",
        f"/households/{theirs.id}",
        "/stations/absent",
    ]
    for path in hidden:
        assert browser.get(path).status_code == 404, path
    assert theirs.name not in browser.get("/households").text


def test_maintenance_sees_stations_and_no_money(county, browse):
    browser = browse("maintenance")
    assert browser.get("/").status_code == 200
    station = browser.get(f"/stations/{county.stations[0].id}")
    assert "本站电费" not in station.text
    for path in ("/work", "/settlements", "/statements", "/households"):
        assert browser.get(path).status_code == 403, path


def test_the_public_reads_a_posted_notice_by_its_code_only_and_masked(county, browse):
    run = county.run(county.villages[0], "2026-09")
    draft = browse("county").get(f"/runs/{run.id}/notice").text
    code = re.search(r'校验码：<span class="mono">([0-9a-f]+)<', draft)
    assert code
    public = browse("public")
    page = public.get(f"/notices/{run.id}/{code[1]}")
    assert page.status_code == 200
    for person in county.households:
        assert person.name not in page.text
    assert public.get(f"/notices/{run.id}/{'0' * 12}").status_code == 404
    lists = re.findall(rf'href="(/notices/{run.id}/{code[1]}/lists/\w+)"', page.text)
    assert lists
    for address in lists:
        assert recompute(public.get(address).content.decode("utf-8-sig")) == []
        assert public.get(address.replace(code[1], "0" * 12)).status_code == 404
    assert public.get(f"/notices/{run.id}/{code[1]}/lists/nothing").status_code == 404
    assert public.get(f"/notices/run:x/{code[1]}").status_code == 404


def test_downloads_carry_chinese_names(county, browse):
    browser = browse("county")
    village = county.villages[0]
    run = county.run(village, "2026-09")
    for path, start in (
        (f"/villages/{village}/statements/2026-09/xlsx", b"PK"),
        (f"/villages/{village}/statements/2026-09/pdf", b"%PDF"),
        (f"/runs/{run.id}/notice/pdf", b"%PDF"),
        ("/settlements/2026-09/xlsx", b"PK"),
    ):
        answer = browser.get(path)
        assert answer.status_code == 200, path
        assert answer.content.startswith(start)
        assert re.search(r"filename\*=UTF-8''\S*%E", answer.headers["content-disposition"])


def test_the_overview_is_light(browse):
    browser = browse("county")
    page = browser.get("/")
    assets = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text))
    sizes = [len(browser.get(path).content) for path in assets]
    assert len(page.content) + sum(sizes) < 200_000
    assert len(assets) + 1 <= 10
    assert not any("charts" in path for path in assets)


def test_a_hostile_name_is_shown_as_text(county, browse):
    with county.database.transaction() as session:
        session.connection().exec_driver_sql(
            "UPDATE station SET name = '<script>alert(1)</script>' WHERE id = ?", (county.stations[-1].id,)
        )
    for path in ("/stations", f"/stations/{county.stations[-1].id}", "/settlements?month=2026-09"):
        text = browse("county").get(path).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text


def fen_of(text: str) -> int:
    return int(text.replace(",", "").replace(".", ""))


def test_a_household_sheet_adds_up_and_lists_what_is_under_way_apart(county, browse):
    seen = False
    for one in county.households:
        text = browse("county").get(f"/households/{one.id}").text
        head, _, under_way = text.partition("办理中（还没有入账，不在合计里）")
        if "合计（大写）" not in head:
            continue
        total = fen_of(re.search(r'class="grand">.*?([\d,]+\.\d\d)<', head, re.DOTALL)[1])
        paid, owed = re.search(r"其中已发放 ([\d,.]+) 元，已记账待发放 ([\d,.]+) 元", head).groups()
        amounts = re.findall(r'lead-number">.*?([\d,]+\.\d\d)<', head, re.DOTALL)
        assert total == fen_of(paid) + fen_of(owed) == sum(map(fen_of, amounts))
        if under_way:
            seen = True
            waiting = re.findall(r'lead-number">.*?([\d,]+\.\d\d)<', under_way, re.DOTALL)
            count, pending = re.search(r"办理中 (\d+) 笔，共 ([\d,.]+) 元", under_way).groups()
            assert (int(count), fen_of(pending)) == (len(waiting), sum(map(fen_of, waiting)))
    assert seen
