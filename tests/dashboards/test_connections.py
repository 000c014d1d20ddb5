"""The connections page: worst first, own area only, refused callers for those who run the service."""

import re
from dataclasses import replace
from datetime import timedelta

from collector.connections import ConnectionStatus, LinkState, RefusedCaller, links
from collector.reports import CollectorReport, report_collector, report_connections, report_refused
from registry.actors import SYSTEM
from store.periods import local_date


def tell(county, states, name="collector"):
    now = county.clock[0]
    with county.database.transaction() as session:
        known = links(session, SYSTEM, on=local_date(now))
        statuses = [
            replace(
                ConnectionStatus(link),
                state=state,
                last_error="3 秒内没有应答",
                skipped=4,
                bytes_exchanged=4096,
            )
            for link, state in zip(known, states, strict=False)
        ]
        report_connections(session, name, statuses, ())
        report_refused(
            session, name, [RefusedCaller("117.136.9.9", "hex:01FF", "注册包不在名单上", now, now, 5)]
        )
        report_collector(session, CollectorReport(now, now, 5020, 3000, 0, name))


def test_the_worst_stands_first_with_its_reason_and_refused_callers_below(county, browse):
    tell(county, [LinkState.GOOD, LinkState.FAILING, LinkState.OVERSUBSCRIBED, LinkState.CAPPED])
    page = browse("county").get("/connections").text
    words = re.findall(
        r'<td><span class="state [^>]*><span class="state-shape"[^>]*>[^<]*</span>([^<]+)', page
    )
    assert words[:3] == ["通信失败", "轮询超载", "今日已到上限"]
    assert "3 秒内没有应答" in page
    assert "已跳过 4 轮" in page
    assert "DTU 拨入端口 5020" in page
    assert "hex:01FF" in page
    only = browse("county").get("/connections?state=failing").text
    assert only.count('<th scope="row"><a href="/stations/') == 1


def test_a_village_sees_its_own_and_no_refused_callers(county, browse):
    tell(county, [LinkState.GOOD])
    page = browse("village").get("/connections").text
    assert "hex:01FF" not in page
    stations = set(re.findall(r'href="/stations/([^"?]+)"', page))
    mine = {one.id for one in county.stations if one.division_code == county.villages[0]}
    assert stations
    assert stations <= mine


def test_a_collector_that_fell_silent_is_said(county, browse):
    tell(county, [LinkState.GOOD])
    with county.database.transaction() as session:
        long_ago = county.clock[0].replace(year=2025)
        report_collector(session, CollectorReport(long_ago, long_ago))
    assert "没有报告" in browse("county").get("/connections").text
    assert "state=silent" in browse("county").get("/connections").text


def test_two_collectors_are_told_apart_and_the_dead_one_s_devices_are_marked(county, browse):
    tell(county, [LinkState.GOOD, LinkState.FAILING], "east")
    tell(county, [LinkState.GOOD], "west")
    page = browse("county").get("/connections").text
    assert "采集程序 east 自" in page
    assert "由 west 采集" in page
    assert "采集程序没有报告" not in page
    with county.database.transaction() as session:
        earlier = county.clock[0] - timedelta(hours=1)
        report_collector(session, CollectorReport(earlier, earlier, name="east"))
    page = browse("county").get("/connections?state=silent").text
    assert "采集程序 east 停了，在那之前是“通信失败”" in page
    assert page.count('<th scope="row"><a href="/stations/') == 1
