"""The commissioning sheet (设备接入单): one page per device, to be checked and signed at the site.

Owns what stands on the sheet; how it looks as PDF is in `commissioning.typ`. What a device said is the
probe's.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from collector.modbus import Line
from collector.probe import Candidate, UnitReport
from collector.profile import Identity
from documents.pdf import plain_values, render_pdf
from store.periods import SHANGHAI
from store.samples import QUANTITIES, QuantityKind

TEMPLATE = Path(__file__).with_name("commissioning.typ")
TOTALS = ("generated_energy_wh", "exported_energy_wh", "imported_energy_wh")
MOST_ROWS = 24
CHECKS = (
    "序列号、型号、额定功率与铭牌一致",
    "累计电量与设备显示屏上的读数一致（抄表读数：__________ kWh，时间：______）",
    "中午时逆变器功率与电表的方向、大小相符（相差不超过 10 %）",
    "断开设备通信线一分钟，页面“连接”上看得到通信失败；接回后恢复正常",
)
_SHOWN_UNITS = {
    "1": ("", 1),
    "Wh": ("kWh", 1000),
    "W": ("kW", 1000),
    "var": ("kvar", 1000),
    "VA": ("kVA", 1000),
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page: rows of label and text."""

    place: str
    nameplate: tuple[tuple[str, str], ...]
    readings: tuple[tuple[str, str], ...]
    remark: str = ""


def place_of(line: Line, unit_id: int) -> str:
    """Return the place of a unit as a person writes it."""
    where = line.host if line.serial else f"{line.host}:{line.port}"
    return f"{where}　站号 {unit_id}"


def value_text(name: str, value: float) -> str:
    """Return a quantity as it is read aloud: energies in kWh, powers in kW."""
    unit, divisor = _SHOWN_UNITS.get(QUANTITIES[name].unit, (QUANTITIES[name].unit, 1))
    number = value / divisor
    text = f"{number:,.2f}" if abs(number) < 1000 else f"{number:,.1f}"  # noqa: PLR2004, four digits
    return f"{text} {unit}".strip()


def measured(values: Iterable[str]) -> list[str]:
    """Return the quantities that are measured, without codes and words of bits, in storage order."""
    named = set(values)
    codes = {QuantityKind.CODE, QuantityKind.WORDS}
    return [name for name, quantity in QUANTITIES.items() if name in named and quantity.kind not in codes]


def _nameplate(best: Candidate) -> Iterator[tuple[str, str]]:
    identity: Identity = best.decoded.identity
    rated = "—" if identity.rated_power_w is None else f"{identity.rated_power_w / 1000:g} kW"
    yield "厂家", best.vendor
    yield "型号", identity.model or "—"
    yield "序列号", identity.serial or "—"
    yield "固件", identity.firmware or "—"
    yield "额定功率", rated
    yield "设备档案", f"{best.profile}（{best.certainty}）"


def _readings(best: Candidate) -> Iterator[tuple[str, str]]:
    values = best.decoded.values
    total = next((name for name in TOTALS if name in values), "")
    label = QUANTITIES[total].label if total else ""
    yield "首次累计电量", f"{value_text(total, values[total])}（{label}）" if total else "—"
    yield "状态", best.decoded.state_text or "—"
    for name in measured(values):
        if name != total:
            yield QUANTITIES[name].label, value_text(name, values[name])


def sheet_of(report: UnitReport, line: Line) -> Sheet:
    """Return the sheet of a unit; a device of no known family gives one that says so."""
    place, best = place_of(line, report.unit_id), report.best
    if best is None:
        return Sheet(place, (), (), "没有认出设备：请按说明书新建档案（见 docs/profile-format.md）")
    readings = tuple(_readings(best))[:MOST_ROWS]
    alarms = "、".join(alarm.chinese for alarm in best.decoded.alarms)
    return Sheet(place, tuple(_nameplate(best)), readings, f"设备报告的告警：{alarms}" if alarms else "")


def _moment(now: datetime) -> str:
    return f"{now.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


def sheets_text(sheets: Sequence[Sheet], now: datetime) -> str:
    """Return the sheets as plain text; `now` [UTC] is when the devices were read."""
    pages = []
    for sheet in sheets:
        lines = ["设备接入单", f"读取时间：{_moment(now)}", f"线路：{sheet.place}"]
        lines += [f"{label}：{text}" for label, text in (*sheet.nameplate, *sheet.readings)]
        lines += [sheet.remark] if sheet.remark else []
        lines += [
            "",
            "现场核对：",
            *(f"□ {check}" for check in CHECKS),
            "核对人：________　日期：________",
            "",
        ]
        pages.append("\n".join(lines))
    return "\n\f\n".join(pages)


def _page_data(sheets: Sequence[Sheet], now: datetime) -> dict[str, object]:
    return {"moment": _moment(now), "checks": CHECKS, "sheets": sheets}


def sheet_data(sheets: Sequence[Sheet], now: datetime) -> str:
    """Return what the template is given, as JSON text."""
    return json.dumps(plain_values(_page_data(sheets, now)), ensure_ascii=False)


def sheets_pdf(sheets: Sequence[Sheet], now: datetime) -> bytes:
    """Return the sheets as PDF, one page each; raises FileRefusedError when no font is there."""
    return render_pdf(TEMPLATE, _page_data(sheets, now), now.replace(microsecond=0))
