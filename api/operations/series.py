"""What was measured, for operators: `sunledger series` and `sunledger coverage`."""

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from api.commands.moment import parse_moment
from api.outcome import Outcome
from dashboards.web import Services
from registry.actors import SYSTEM
from registry.stations import DeviceKind, devices, station
from store.periods import SHANGHAI, Period, local_date
from store.problem import Problem, ProblemsError
from store.quality import flag_labels
from store.samples import QUANTITIES, QuantityKind
from store.series import RetiringSeries

ROWS_MOST = 100_000
STEPS = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
ORDINARY = ("active_power_w", "generated_energy_wh", "exported_energy_wh", "state")


def interval_of(services: Services, during: Sequence[str]) -> tuple[datetime, datetime]:
    """Read from and to in local time; without them the last day up to now. Raises ProblemsError."""
    now = services.clock()
    start, end = during
    until = parse_moment(end, now, "--to") if end else now
    since = parse_moment(start, now, "--from") if start else until - timedelta(days=1)
    if since >= until:
        raise ProblemsError([Problem("--from", "起始不早于终止", "把 --from 写成早于 --to 的时刻")])
    return since, until


def _step(text: str) -> timedelta | None:
    if text in {"", "raw"}:
        return None
    if text not in STEPS:
        raise ProblemsError([Problem("--interval", f"“{text}” 不是间隔", f"写成 raw 或 {'、'.join(STEPS)}")])
    return STEPS[text]


def _quantities(names: Sequence[str]) -> list[str]:
    unknown = [name for name in names if name not in QUANTITIES]
    if unknown:
        known = "、".join(QUANTITIES)
        raise ProblemsError([Problem("--quantity", f"没有名为 {'、'.join(unknown)} 的量", f"可用：{known}")])
    return list(dict.fromkeys(names or ORDINARY))


def series(
    services: Services,
    *,
    device: str,
    quantities: Sequence[str] = (),
    during: Sequence[str] = ("", ""),
    interval: str = "",
) -> Outcome:
    """Return a device's samples, or means and last readings at an interval, in local time."""
    names, step, span = _quantities(quantities), _step(interval), interval_of(services, during)
    if step is None:
        table = services.series.read([device], *span, names)
    else:
        methods = {n: "mean" if QUANTITIES[n].kind is QuantityKind.GAUGE else "last" for n in names}
        table = services.series.downsample([device], span, step, methods)
    if table.num_rows > ROWS_MOST:
        how = "缩短 --from 到 --to，或用 --interval 5m、15m、1h、1d"
        raise ProblemsError([Problem("--from", f"共 {table.num_rows} 行，太多", how)])
    if not table.num_rows and not services.series.latest([device]):
        raise ProblemsError([_no_device(services, device)])
    rows = tuple(_row(row, names) for row in table.to_pylist())
    labels = {name: f"{QUANTITIES[name].label} {QUANTITIES[name].unit}".strip() for name in names}
    remarks = {"remarks": "说明"} if any(row["remarks"] for row in rows) else {}
    summary = f"设备 {device}：{span[0].astimezone(SHANGHAI):%Y-%m-%d %H:%M} 至 "
    summary += f"{span[1].astimezone(SHANGHAI):%Y-%m-%d %H:%M}，{len(rows)} 行{_retired(services, span)}"
    return Outcome(summary, {"time": "时刻（北京时间）", **labels, **remarks}, rows)


def _row(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    labels = "；".join(flag_labels(row.get("flags") or 0))
    time = row["time"].astimezone(SHANGHAI).isoformat(sep=" ", timespec="seconds")[:19]
    return {"time": time, **{name: row[name] for name in names}, "remarks": labels}


def _retired(services: Services, span: tuple[datetime, datetime]) -> str:
    """Say so where a part of the interval is answered from means."""
    store = services.series
    edge = store.retired_before() if isinstance(store, RetiringSeries) else None
    if edge is None or span[0] >= edge:
        return ""
    return f"；{edge.astimezone(SHANGHAI):%Y-%m-%d %H:%M} 之前的原始数据已过保存期，为 15 分钟均值"


def _no_device(services: Services, device: str) -> Problem:
    with services.database.reading() as session:
        known = any(one.id == device for one in devices(session, SYSTEM))
    if known:
        return Problem(device, "这台设备还没有任何数据", "检查采集，或用 sunledger import telemetry 导入历史")
    return Problem(
        device, "没有这台设备，时序库里也没有它的数据", "核对编号；sunledger coverage 列出全部设备"
    )


def coverage(
    services: Services,
    *,
    station_id: str = "",
    device: str = "",
    during: Sequence[str] = ("", ""),
    interval: str = "5m",
) -> Outcome:
    """Return for each device and day how many of the expected intervals have a sample."""
    step, span = _step(interval), interval_of(services, during)
    if step is None:
        raise ProblemsError(
            [Problem("--interval", f"“{interval}” 不是应有的间隔", f"写成 {'、'.join(STEPS)}")]
        )
    with services.database.reading() as session:
        if station_id and station(session, SYSTEM, station_id) is None:
            raise ProblemsError([Problem("--station", f"没有电站 {station_id}", "核对编号")])
        known = [
            one.id for one in devices(session, SYSTEM, station_id or None) if one.kind != DeviceKind.SENSOR
        ]
    ids = [device] if device else sorted({*known, *(() if station_id else services.series.latest())})
    if device and device not in known and not services.series.latest([device]):
        raise ProblemsError([_no_device(services, device)])
    rows: list[dict[str, Any]] = []
    for day, edges in _days(span):
        table = services.series.coverage(ids, edges, step)
        rows += [{"device_id": row["device_id"], "day": day, **_share(row)} for row in table.to_pylist()]
    rows.sort(key=lambda row: (row["device_id"], row["day"]))
    received, expected = sum(row["received"] for row in rows), sum(row["expected"] for row in rows)
    share = f"{100 * received / expected:.1f} %" if expected else "—"
    columns = {
        "device_id": "设备",
        "day": "日期",
        "received": "收到",
        "expected": "应收",
        "percent": "到数率 %",
    }
    summary = f"每 {interval} 一个间隔：收到 {received}，应收 {expected}，{share}{_retired(services, span)}"
    return Outcome(summary, columns, tuple(rows))


def _share(row: dict[str, Any]) -> dict[str, Any]:
    expected = row["expected"]
    percent = round(100 * row["received"] / expected, 2) if expected else None
    return {"received": row["received"], "expected": expected, "percent": percent}


def _days(span: tuple[datetime, datetime]) -> list[tuple[str, tuple[datetime, datetime]]]:
    """Return the days that the interval touches, each with its part of the interval."""
    first = local_date(span[0])
    found: list[tuple[str, tuple[datetime, datetime]]] = []
    for number in itertools.count():
        day = Period.day(first + timedelta(days=number))
        if day.start_utc >= span[1]:
            return found
        found.append((str(day), (max(span[0], day.start_utc), min(span[1], day.end_utc))))
    raise AssertionError
