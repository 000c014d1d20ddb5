"""Energy from counters, for operators: `sunledger energy`, and foreign history into the series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from api.operations.people import OPERATOR
from api.outcome import Exit, Outcome
from collector.telemetry import TelemetryReport, import_telemetry, read_mapping
from dashboards.web import Services
from monitoring.adjustments import proposed_adjustments
from monitoring.uptime.plants import is_sensor
from registry.actors import SYSTEM
from registry.assets.counters import energy_question
from registry.stations import Device, DeviceKind, add_device, devices, station
from store.energy import METHOD_LABELS, DeviceEnergy, Method, answer, summed
from store.events import Event, EventKind, Severity, record
from store.periods import Period, PeriodKind, local_date
from store.problem import Problem, ProblemsError

COLUMNS = {
    "device_id": "设备",
    "period": "期间",
    "energy_kwh": "电量 kWh",
    "completeness": "完整率",
    "estimated_kwh": "其中估计 kWh",
    "method_label": "方法",
}
PROBLEMS_SHOWN = 20


def period_of(text: str) -> Period:
    """Read a period of the years 2000 to 2099; raises ProblemsError with what may be written."""
    wrong = Problem("期间", f"“{text}” 不是期间", "写成 2026、2026-Q4、2026-10 或 2026-10-05")
    if not text.startswith("20"):
        raise ProblemsError([wrong])
    try:
        return Period.parse(text)
    except ValueError as error:
        raise ProblemsError([wrong]) from error


def _row(energy: DeviceEnergy) -> dict[str, Any]:
    known = energy.energy_wh is not None
    return {
        "device_id": energy.device_id,
        "period": energy.period,
        "energy_wh": energy.energy_wh,
        "energy_kwh": energy.energy_wh / 1000 if energy.energy_wh is not None else None,
        "completeness": round(energy.completeness, 4),
        "estimated_wh": energy.estimated_wh if known else None,
        "estimated_kwh": energy.estimated_wh / 1000 if known else None,
        "method": str(energy.method),
        "method_label": METHOD_LABELS[Method(energy.method)],
        "flags": energy.flags,
    }


def energy(
    services: Services, *, period: str, station_id: str = "", device: str = "", daily: bool = False
) -> Outcome:
    """Return the energy [Wh] of devices over a period, by day where `daily`."""
    whole = period_of(period)
    found = _energies(services, _parts(whole, daily=daily), (station_id, device))
    rows = [_row(one) for group in found.values() for one in group.energies]
    unregistered = device and not any(group.devices for group in found.values())
    if unregistered and all(row["energy_wh"] is None for row in rows):
        raise ProblemsError([Problem("--device", f"没有设备 {device}，时序库里也没有它的数据", "核对编号")])
    return Outcome(f"{whole.label}：{len(rows)} 行，{_total(found[INVERTERS], whole)}", COLUMNS, tuple(rows))


def station_energy(services: Services, *, period: str, station_id: str = "", daily: bool = False) -> Outcome:
    """Return the energy [Wh] of the inverters of each station over a period, by day where `daily`."""
    whole = period_of(period)
    periods = _parts(whole, daily=daily)
    inverters = _energies(services, periods, (station_id, ""))[INVERTERS]
    rows = tuple(_row(one) for one in inverters.by_station(periods))
    columns = COLUMNS | {"device_id": "电站"}
    return Outcome(f"{whole.label}：{len(rows)} 行，{_total(inverters, whole)}", columns, rows)


def _parts(whole: Period, *, daily: bool) -> list[Period]:
    return list(whole.days()) if daily and whole.kind is not PeriodKind.DAY else [whole]


def _total(group: "_Group", whole: Period) -> str:
    total = summed("", str(whole), group.weighted(None))
    known = "未知" if total.energy_wh is None else f"{total.energy_wh / 1000:,.1f} kWh"
    return f"逆变器合计 {known}，完整率 {100 * total.completeness:.1f} %"


INVERTERS, METERS = "generated_energy_wh", "exported_energy_wh"


@dataclass(frozen=True, slots=True)
class _Group:
    """Devices of one kind, by their identifiers, and their energies."""

    devices: Mapping[str, Device]
    energies: Sequence[DeviceEnergy]

    def weighted(self, place: tuple[str, str] | None) -> list[tuple[DeviceEnergy, int]]:
        """Return the energies with rated powers, of all or of one (station, period)."""
        return [
            (one, owner.rated_power_w if owner else 0)
            for one in self.energies
            for owner in [self.devices.get(one.device_id)]
            if place is None or (owner is not None and (owner.station_id, one.period) == place)
        ]

    def by_station(self, periods: Sequence[Period]) -> list[DeviceEnergy]:
        """Return the sums of each station and period, under the station's identifier."""
        places = sorted({one.station_id for one in self.devices.values()})
        names = [str(period) for period in periods]
        return [summed(place, name, self.weighted((place, name))) for place in places for name in names]


def _energies(services: Services, periods: Sequence[Period], only: tuple[str, str]) -> dict[str, _Group]:
    """Return inverters and meters with their energies; `only` one station or one device, if named."""
    station_id, device = only
    with services.database.reading() as session:
        if station_id and station(session, SYSTEM, station_id) is None:
            raise ProblemsError([_no_station(station_id)])
        known = devices(session, SYSTEM, station_id or None)
        chosen = [one for one in known if not device or one.id == device]
        found = {}
        for quantity, kind in ((INVERTERS, DeviceKind.INVERTER), (METERS, DeviceKind.METER)):
            listed = [one for one in chosen if one.kind == kind]
            question = energy_question(session, SYSTEM, (listed, periods), quantity, services.clock())
            if device and not chosen and quantity == INVERTERS:
                # A device of foreign history that the registry does not know.
                question = replace(question, device_ids=[device])
            found[quantity] = _Group({one.id: one for one in listed}, answer(services.series, question))
    return found


def adjustments(services: Services, *, month: str) -> Outcome:
    """Return the devices whose frozen month would come out differently today."""
    period = period_of(month)
    if period.kind is not PeriodKind.MONTH:
        raise ProblemsError([Problem("月份", f"“{month}” 不是月份", "写成 2026-10")])
    with services.database.reading() as session:
        found = proposed_adjustments(session, services.series, OPERATOR, period)
    rows = tuple(
        {
            "device_id": one.device_id,
            "station_id": one.station_id,
            "frozen_wh": one.frozen_wh,
            "current_wh": one.current_wh,
            "difference_wh": one.difference_wh,
            "frozen_kwh": None if one.frozen_wh is None else one.frozen_wh / 1000,
            "current_kwh": None if one.current_wh is None else one.current_wh / 1000,
            "difference_kwh": one.difference_wh / 1000,
            "completeness": round(one.completeness, 4),
            "method_label": METHOD_LABELS[one.method],
        }
        for one in found
    )
    columns = {
        "device_id": "设备",
        "frozen_kwh": "结账时 kWh",
        "current_kwh": "现在算 kWh",
        "difference_kwh": "相差 kWh",
        "completeness": "完整率",
        "method_label": "方法",
    }
    summary = f"{period.label}：{len(rows)} 台设备可提出调整，已冻结的数不变"
    return Outcome(summary, columns, rows, (), Exit.FOUND if rows else Exit.DONE)


def _no_station(station_id: str) -> Problem:
    return Problem("--station", f"没有电站 {station_id}", "先导入电站台账，或核对编号")


def telemetry(services: Services, *, file: str, mapping: str, station_id: str = "") -> Outcome:
    """Load a file of foreign history into the series; the same file again stores nothing twice.

    With `station_id`, devices of the file that the registry does not know are recorded as its inverters.
    """
    path = Path(file)
    report = import_telemetry(services.series, path, read_mapping(Path(mapping)), lambda _report: None)
    with services.database.transaction() as session:
        adopted = _adopt(services, session, report, station_id) if station_id else 0
        record(session, _event(services, path, report))
    summary = (
        f"{path.name}：写入 {report.stored} 行，已有 {report.duplicates} 行，"
        f"计数冲突 {len(report.conflicts)} 处，有问题 {report.problem_count} 行"
    )
    if station_id:
        summary += f"；新登记设备 {adopted} 台"
    columns = {"device_id": "设备", "time": "时刻", "quantity": "量", "stored": "已存", "offered": "文件中"}
    rows = tuple(
        {
            "device_id": item.device_id,
            "time": item.time.isoformat(),
            "quantity": item.quantity,
            "stored": item.stored,
            "offered": item.offered,
        }
        for item in report.conflicts[:PROBLEMS_SHOWN]
    )
    found = bool(report.problem_count or report.conflicts)
    exit_code = Exit.FOUND if found else Exit.DONE
    return Outcome(summary, columns, rows, report.problems[:PROBLEMS_SHOWN], exit_code)


def _adopt(services: Services, session: Session, report: TelemetryReport, station_id: str) -> int:
    """Record the file's unknown devices at a station, installed when their record begins.

    Whoever measures irradiance and neither power nor energy is a sensor, the others are inverters.
    """
    if station(session, OPERATOR, station_id) is None:
        raise ProblemsError([_no_station(station_id)])
    known = {one.id for one in devices(session, OPERATOR)}
    strangers = sorted(set(report.devices) - known)
    newest = services.series.latest(strangers)
    for position, device_id in enumerate(strangers, start=len(devices(session, OPERATOR, station_id)) + 1):
        sensor = is_sensor(newest[device_id])
        record_of = Device(
            id=device_id,
            station_id=station_id,
            kind=DeviceKind.SENSOR if sensor else DeviceKind.INVERTER,
            name=f"{position}号气象仪" if sensor else f"{position}号逆变器",
            profile="",
            transport="",
            serial=device_id,
            position=position,
            installed_on=local_date(report.devices[device_id]),
        )
        add_device(session, OPERATOR, record_of, services.clock())
    return len(strangers)


def _event(services: Services, path: Path, report: TelemetryReport) -> Event:
    trouble = report.problem_count or report.conflicts
    return Event(
        at=services.clock(),
        kind=EventKind.IMPORT,
        severity=Severity.WARNING if trouble else Severity.INFO,
        subject_kind="file",
        subject_id=path.name,
        message=f"导入历史数据 {path.name}：写入 {report.stored} 行，有问题 {report.problem_count} 行",
        detail={"duplicates": report.duplicates, "conflicts": len(report.conflicts)},
    )
