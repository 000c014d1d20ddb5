"""The collector's books, for operators: connections, balance, quarantine, replay.

Owns what these operations say. Those that need the queue are given it by whoever holds it: the running
service, or the command itself where none runs.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from api.operations.people import OPERATOR
from api.outcome import Exit, Outcome
from collector.connections import LinkState, links
from collector.quarantine import replay as replay_quarantine
from collector.reports import (
    CollectorReport,
    ConnectionReport,
    collector_reports,
    connection_reports,
    refused_callers,
)
from collector.spool import Spool
from dashboards.web import Services
from registry.actors import SYSTEM
from store.periods import SHANGHAI, local_date
from store.problem import Problem

RAW_SHOWN_BYTES = 2048
_BALANCE = {
    "published": "收到",
    "stored": "已入库",
    "duplicates": "重复",
    "quarantined": "隔离",
    "dropped": "丢弃",
    "waiting": "等待入库",
    "difference": "差额",
}


def balance(services: Services, spool: Spool) -> Outcome:  # noqa: ARG001, every operation is given the services
    """Say where everything that was received has gone; the difference is 0 or something was lost."""
    found, counted = spool.balance(), spool.audit()
    row = {name: getattr(found, name) for name in _BALANCE}
    problems = []
    if found.difference:
        problems.append(
            Problem("采集队列", f"有 {found.difference} 条下落不明", "保留数据目录，联系技术支持")
        )
    if counted.waiting != found.waiting:
        what = f"账上等待 {found.waiting} 条，文件里有 {counted.waiting} 条"
        problems.append(Problem("采集队列", what, "保留数据目录，联系技术支持"))
    words = "收到 = 已入库 + 重复 + 隔离 + 丢弃 + 等待，差额"
    exit_code = Exit.FOUND if problems else Exit.DONE
    return Outcome(f"{words} {found.difference}", _BALANCE, (row,), tuple(problems), exit_code)


def quarantine(services: Services, spool: Spool, *, limit: int = 50) -> Outcome:  # noqa: ARG001
    """List the newest messages in quarantine, with the reason and the beginning of their bytes."""
    rows = tuple(
        {
            "id": one.id,
            "at": f"{one.at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}",
            "source": one.source,
            "reason": one.reason,
            "size": one.size,
            "replayed": one.replayed_at is not None,
            "text": one.raw[:80].decode("utf-8", errors="replace"),
            "raw_hex": one.raw[:RAW_SHOWN_BYTES].hex(),
        }
        for one in spool.quarantined(limit)
    )
    columns = {
        "id": "编号",
        "at": "收到",
        "source": "来源",
        "reason": "原因",
        "size": "字节",
        "replayed": "已重放",
        "text": "内容开头",
    }
    waiting = sum(not row["replayed"] for row in rows)
    summary = f"最近 {len(rows)} 条隔离报文，未处理 {waiting} 条"
    return Outcome(summary, columns, rows, (), Exit.FOUND if waiting else Exit.DONE)


def replay(services: Services, spool: Spool) -> Outcome:
    """Read the quarantined messages again under the present mappings and registry."""
    now = services.clock()
    with services.database.reading() as session:
        known = links(session, SYSTEM, on=local_date(now))
    done = replay_quarantine(spool, known, now)
    left = done.tried - done.mended
    summary = f"重放 {done.tried} 条，读懂 {done.mended} 条，得到 {done.samples} 个样本"
    problems = (
        (Problem("隔离区", f"仍有 {left} 条读不懂", "用 sunledger mapping check 改好映射后再重放"),)
        if left
        else ()
    )
    return Outcome(summary, {}, (), problems, Exit.FOUND if left else Exit.DONE)


def _connection(one: ConnectionReport) -> dict[str, object]:
    status = one.status
    answered = status.last_good_at
    return {
        "state": one.label,
        "station": one.station.name,
        "device": one.device.name,
        "device_id": one.device.id,
        "address": status.link.address,
        "last_good_at": f"{answered.astimezone(SHANGHAI):%m-%d %H:%M:%S}" if answered else None,
        "latency_ms": None if status.latency_ms is None else round(status.latency_ms),
        "polls": status.polls,
        "missed": status.missed,
        "requests_today": status.requests,
        "bytes_today": status.bytes_exchanged,
        "last_error": "" if status.state is LinkState.GOOD else status.last_error,
        "collector": one.collector or None,
    }


def _not_reporting(said: Sequence[CollectorReport], now: datetime) -> list[Problem]:
    """Return the collectors that do not run as far as anybody knows, or that there is none."""
    if not said:
        return [Problem("采集程序", "没有在运行，或两分钟没有报告", "启动 sunledger serve")]
    return [
        Problem(
            f"采集程序 {one.name}",
            f"没有在运行，{one.at.astimezone(SHANGHAI):%m-%d %H:%M:%S} 以后没有报告",
            "启动它；不再用的一周后自动不再列出",
        )
        for one in said
        if one.is_silent(now)
    ]


def connections(services: Services) -> Outcome:
    """List how every connection is doing, worst first, and who was refused."""
    now = services.clock()
    with services.database.reading() as session:
        reports = connection_reports(session, OPERATOR, now)
        said = collector_reports(session)
        refused = refused_callers(session, OPERATOR)
    rows = tuple(_connection(one) for one in reports)
    columns = {
        "state": "状态",
        "station": "电站",
        "device": "设备",
        "address": "地址",
        "last_good_at": "最近应答",
        "latency_ms": "耗时(毫秒)",
        "polls": "问过",
        "missed": "落空",
        "requests_today": "今日次数",
        "bytes_today": "今日字节",
        "last_error": "最近错误",
        "collector": "采集程序",
    }
    problems = [
        Problem(f"DTU {one.peer}", f"{one.reason} {one.packet}（{one.count} 次）", "是自己的就登记到设备台账")
        for one in refused
    ]
    problems += _not_reporting(said, now)
    good = {one.device.id for one in reports if one.is_good}
    known = {one.device.id for one in reports}
    bad = not all(one.is_good for one in reports) or bool(problems)
    summary = f"{len(known)} 台设备，正常 {len(good)} 台"
    return Outcome(summary, columns, rows, tuple(problems), Exit.FOUND if bad else Exit.DONE)


SPOOL_OPERATIONS: dict[str, Callable[..., Outcome]] = {
    "collector-balance": balance,
    "collector-quarantine": quarantine,
    "collector-replay": replay,
}
"""Operations that are given the queue besides the services."""
