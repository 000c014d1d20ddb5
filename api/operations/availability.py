"""Availability of devices, stations, townships and counties over any period, and the outages in it.

Owns the plain figures that `sunledger availability` prints; docs/availability.md names every one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy.orm import Session

from api.outcome import Outcome
from dashboards.web import Services
from monitoring.sky.light import Place
from monitoring.sky.rules import LightRule
from monitoring.uptime.causes import CAUSE_LABELS, Availability, Cause, Hours, Share
from monitoring.uptime.evaluation import Evaluation, Question, areas, evaluate, evaluate_foreign, together
from monitoring.uptime.plants import FOREIGN_GROUP
from monitoring.uptime.results import AreaUptime, DeviceUptime, Energy, Level, Outage
from registry.actors import SYSTEM
from registry.stations import station
from store.periods import SHANGHAI, Period
from store.problem import Problem, ProblemsError

LOWEST_MINUTES, HIGHEST_MINUTES = 0, 7 * 24 * 60
COLUMNS = {
    "name": "对象",
    "equipment_percent": "设备可用率 %",
    "equipment_low_percent": "下限 %",
    "equipment_high_percent": "上限 %",
    "all_causes_percent": "全部原因 %",
    "data_percent": "数据完整 %",
    "use_h": "应运行 台时",
    "forced_h": "设备停机",
    "grid_h": "电网",
    "ordered_h": "调度",
    "planned_h": "检修",
    "unknown_h": "未知",
    "outage_count": "停机次数",
    "lost_kwh": "少发 kWh",
}
OUTAGE_COLUMNS = {
    "device_id": "设备",
    "cause_label": "原因",
    "start_local": "开始",
    "end_local": "结束",
    "light_h": "有日照 h",
    "lost_kwh": "少发 kWh",
    "reason": "依据",
}


@dataclass(frozen=True, slots=True)
class _Shown:
    """What rows need beside their figures: the station of each device, and the zone of local times."""

    groups: Mapping[str, str]
    zone: ZoneInfo


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name) if name else SHANGHAI
    except (ZoneInfoNotFoundError, ValueError) as error:
        wrong = Problem("--zone", f"不认识时区 {name}", "写成 Asia/Shanghai、Asia/Kolkata 等")
        raise ProblemsError([wrong]) from error


def _limit(where: str, text: str, zone: ZoneInfo) -> datetime:
    """Read a limit: an instant, or the first instant of a day, month or year of a zone."""
    try:
        try:
            day = Period.parse(text).start
        except ValueError:
            moment = datetime.fromisoformat(text)
        else:
            moment = datetime(day.year, day.month, day.day, tzinfo=zone)
        return moment if moment.tzinfo else moment.replace(tzinfo=zone)
    except ValueError as error:
        how = "写成 2026-06、2026-06-15 或 2026-06-15T12:30（不写时区的按 --zone，默认北京时间）"
        raise ProblemsError([Problem(where, f"“{text}” 不是时刻", how)]) from error


def _place(text: str) -> Place | None:
    if not text:
        return None
    wrong = Problem("--place", f"“{text}” 不是经纬度", "写成 纬度,经度，例如 27.0,106.0")
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ProblemsError([wrong]) from error
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):  # noqa: PLR2004, degrees
        raise ProblemsError([wrong])
    return Place(latitude, longitude)


def _level(text: str) -> Level:
    try:
        return Level(text)
    except ValueError as error:
        how = "写成 device、station、township 或 county"
        raise ProblemsError([Problem("--level", f"没有“{text}”这一级", how)]) from error


def _question(  # noqa: PLR0913, one argument an option
    since: str, until: str, rule: str, zone: str, *, place: str, minutes: float, station_id: str
) -> Question:
    where = _zone(zone)
    start, end = _limit("--from", since, where), _limit("--to", until, where)
    problems = []
    if end <= start:
        problems.append(
            Problem("--to", "不晚于 --from", "--to 是第一个不算在内的时刻，例如整个 6 月写 7 月 1 日")
        )
    if not LOWEST_MINUTES <= minutes <= HIGHEST_MINUTES:
        problems.append(Problem("--at-least", f"{minutes:g} 分钟不在 0 到 7 天之间", "例如 30"))
    if problems:
        raise ProblemsError(problems)
    return Question(start, end, LightRule.parse(rule), minutes / 60, station_id, place=_place(place))


def _evaluation(services: Services, session: Session, question: Question) -> Evaluation:
    """Evaluate the registered stations, and beside them what is known from imported history alone."""
    series, asked = services.series, question.station_id
    if asked == FOREIGN_GROUP:
        return evaluate_foreign(session, series, question)
    if asked and station(session, SYSTEM, asked) is None:
        raise ProblemsError([Problem("--station", f"没有电站 {asked}", "先导入电站台账，或核对编号")])
    registered = evaluate(session, series, SYSTEM, question, services.clock())
    if asked:
        return registered
    return together(registered, evaluate_foreign(session, series, question))


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 4)


def _shares(result: Availability, energy: Energy) -> dict[str, Any]:
    def three(name: str, share: Share) -> dict[str, Any]:
        return {
            f"{name}_percent": _percent(share.value),
            f"{name}_low_percent": _percent(share.low),
            f"{name}_high_percent": _percent(share.high),
        }

    return {
        **three("equipment", result.equipment),
        **three("all_causes", result.all_causes),
        "data_percent": _percent(result.data),
        "energy_percent": _percent(energy.availability),
        "energy_all_causes_percent": _percent(energy.availability_all_causes),
    }


def _hours(hours: Hours) -> dict[str, Any]:
    named = {f"{cause.name.lower()}_h": getattr(hours, cause.name.lower()) for cause in Cause}
    more = {
        "use_h": hours.use,
        "resolved_h": hours.resolved,
        "resolved_running_h": hours.resolved - hours.resolved_forced,
        "resolved_forced_h": hours.resolved_forced,
        "doubtful_running_h": hours.doubtful_running,
        "doubtful_forced_h": hours.doubtful_forced,
    }
    return {name: round(value, 6) for name, value in (named | more).items()}


def _energies(energy: Energy) -> dict[str, Any]:
    lost = {cause.name.lower(): round(wh) for cause, wh in energy.lost_wh.items()}
    whole = round(sum(energy.lost_wh.values())) if energy.modelled else None
    return {
        "generated_wh": None if energy.generated_wh is None else round(energy.generated_wh),
        "lost_wh": whole,
        "lost_kwh": None if whole is None else whole / 1000,
        "lost_wh_by_cause": lost if energy.modelled else None,
    }


def _outage(outage: Outage, shown: _Shown) -> dict[str, Any]:
    lost = None if outage.lost_wh is None else round(outage.lost_wh)
    return {
        "device_id": outage.device_id,
        "station_id": shown.groups.get(outage.device_id, ""),
        "cause": outage.cause.name.lower(),
        "cause_label": CAUSE_LABELS[outage.cause],
        "start": outage.start.isoformat(),
        "end": outage.end.isoformat(),
        "start_local": f"{outage.start.astimezone(shown.zone):%Y-%m-%d %H:%M}",
        "end_local": f"{outage.end.astimezone(shown.zone):%Y-%m-%d %H:%M}",
        "light_h": round(outage.light_h, 6),
        "duration_h": round((outage.end - outage.start).total_seconds() / 3600, 6),
        "lost_wh": lost,
        "lost_kwh": None if lost is None else lost / 1000,
        "ongoing": outage.ongoing,
        "reason": outage.reason,
    }


def _device_row(device: DeviceUptime, shown: _Shown) -> dict[str, Any]:
    return {
        "level": str(Level.DEVICE),
        "key": device.device_id,
        "name": device.device_id,
        "station_id": device.group,
        "devices": 1,
        "rated_power_w": device.rated_power_w,
        "rule_used": device.rule,
        **_shares(device.availability, device.energy),
        **_hours(device.hours),
        **_energies(device.energy),
        "outage_count": len(device.outages),
        "outages": [_outage(outage, shown) for outage in device.outages],
    }


def _area_row(area: AreaUptime, shown: _Shown) -> dict[str, Any]:
    return {
        "level": str(area.level),
        "key": area.key,
        "name": area.name,
        "station_id": area.key if area.level is Level.STATION else "",
        "devices": area.devices,
        "rated_power_w": area.rated_power_w,
        "rule_used": "；".join(area.rules),
        **_shares(area.availability, area.energy),
        **_hours(area.hours),
        **_energies(area.energy),
        "outage_count": len(area.outages),
        "outages": [_outage(outage, shown) for outage in area.outages],
    }


def _summary(evaluation: Evaluation, rows: int, zone: ZoneInfo) -> str:
    def local(moment: datetime) -> str:
        return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"

    rules = sorted({device.rule for device in evaluation.devices})
    said = "；".join(rules[:3]) if rules else evaluation.rule.label
    more = f" 等 {len(rules)} 种" if len(rules) > 3 else ""  # noqa: PLR2004, three rules still read well
    limits = f"{local(evaluation.start)} 至 {local(evaluation.end)}（不含）"
    return f"{limits}：{len(evaluation.devices)} 台设备，{rows} 行。计时规则：{said}{more}"


def availability(  # noqa: PLR0913, one argument an option
    services: Services,
    *,
    since: str,
    until: str,
    level: str = "station",
    rule: str = "auto",
    station_id: str = "",
    outages: bool = False,
    minutes: float = 30.0,
    zone: str = "",
    place: str = "",
) -> Outcome:
    """Return the availability over [since, until), or its outages with so many minutes of light."""
    wanted = _level(level)
    question = _question(since, until, rule, zone, place=place, minutes=minutes, station_id=station_id)
    with services.database.reading() as session:
        evaluation = _evaluation(services, session, question)
        if not evaluation.devices:
            raise ProblemsError([_nothing(question)])
        listed: Iterable[AreaUptime] = () if wanted is Level.DEVICE else areas(session, evaluation, wanted)
    shown = _Shown({device.device_id: device.group for device in evaluation.devices}, _zone(zone))
    if outages:
        rows = [_outage(outage, shown) for outage in evaluation.outages()]
        return Outcome(_summary(evaluation, len(rows), shown.zone), OUTAGE_COLUMNS, tuple(rows))
    rows = [_area_row(area, shown) for area in listed]
    if wanted is Level.DEVICE:
        rows = [_device_row(device, shown) for device in evaluation.devices]
    return Outcome(_summary(evaluation, len(rows), shown.zone), COLUMNS, tuple(rows))


def _nothing(question: Question) -> Problem:
    what = "没有可以评价的逆变器"
    how = "先导入台账，或用 sunledger import telemetry 装入历史数据；核对 --from、--to 和 --station"
    return Problem(f"{question.start:%Y-%m-%d}～{question.end:%Y-%m-%d}", what, how)
