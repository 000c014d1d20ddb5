"""Checks of a statement's lines: in themselves, against the station, its readings and the values in force.

Owns what is wrong with a bill in itself, and of every check whether it keeps the bill out or only warns.
Pure. What differs between bill, meter and inverter is `matching`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from distribution.money import RoundingPolicy, yuan
from distribution.settlement.statements import StatementRow
from distribution.settlement.tariffs.prices import PER_LINE, TariffWindow, amounts_fen, split_energy
from store.periods import Period
from store.problem import Problem

WH_PER_KWH = 1_000
READING_TOLERANCE_WH = 1_000
UNIT_SLIP_FACTORS = (10, 100, 1_000, 10_000)
TAX_TOLERANCE_FEN = 5
SPLIT_TOLERANCE_WH = 1_000
_LOW_HOURS = 1
_LIKELY_HOURS = (20, 400)


class Check(StrEnum):
    """What a line is checked for."""

    FEE = "fee"
    READINGS = "readings"
    MULTIPLIER = "multiplier"
    CONTINUITY = "continuity"
    PRICE = "price"
    WINDOW = "window"
    TAX = "tax"
    DUPLICATE = "duplicate"
    ACCOUNT = "account"
    HOURS = "hours"
    REGION_HOURS = "region_hours"
    UNIT = "unit"
    CAP = "cap"
    LISTED = "listed"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True)
class CheckRule:
    """A check in Chinese, and whether it keeps the station's month out."""

    label: str
    blocks: bool
    says: str


CHECKS: Mapping[Check, CheckRule] = {
    Check.ACCOUNT: CheckRule("户号", True, "户号在台账内，且在本辖区"),
    Check.DUPLICATE: CheckRule("重复", True, "同一户号、月份、电表、时段和起码只有一行"),
    Check.FEE: CheckRule("金额", True, "电量 × 电价 = 金额，按本县口径舍入"),
    Check.READINGS: CheckRule(
        "示数", True, "（本次示数 − 上次示数）× 倍率 = 电量，相差不过 1 千瓦时；示数不倒走"
    ),
    Check.MULTIPLIER: CheckRule("倍率", True, "倍率与台账的电表一致"),
    Check.HOURS: CheckRule("满发小时", True, "电量不超过装机容量 × 当月小时数"),
    Check.RECEIVED: CheckRule("已到账", True, "修订后的应收不小于已经到账的金额"),
    Check.UNIT: CheckRule("单位", False, "电量与装机相差约千倍、万倍：千瓦与瓦、万千瓦时与千瓦时"),
    Check.CONTINUITY: CheckRule("衔接", False, "上次示数等于上一期的本次示数"),
    Check.PRICE: CheckRule("电价", False, "电价、补贴单价是当期执行价"),
    Check.WINDOW: CheckRule("换档", False, "期内电价换档的，各档电量按本县口径划分"),
    Check.TAX: CheckRule("代扣税", False, "代扣税与执行的税率和免征额相符"),
    Check.REGION_HOURS: CheckRule("地区小时", False, "当月利用小时不超过本地区上限"),
    Check.CAP: CheckRule("利用小时封顶", False, "超过合理利用小时的电量没有补贴"),
    Check.LISTED: CheckRule("补贴目录", False, "不在补贴目录的电站没有国家补贴"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, the problem at its cell, and the row's number and account."""

    check: Check
    problem: Problem
    row_number: int = 0
    account_number: str = ""

    @property
    def blocks(self) -> bool:
        """Whether it keeps the station's month out."""
        return CHECKS[self.check].blocks


@dataclass(frozen=True, slots=True)
class StationFacts:
    """What the checks need of a station and month; `None` and empty are what nobody knows.

    Rated power [W]; multipliers and last readings per meter; the tariff windows of the month; most hours
    of the region; lifetime cap [Wh]; VAT inside the month's sales [fen]. A month whose price changes is split
    `by_day`, or by what was read off a meter on the day, as `change_readings` has it by meter and day.
    """

    name: str
    rated_power_w: int
    multipliers: Mapping[str, int]
    last_readings: Mapping[str, Decimal]
    windows: tuple[TariffWindow, ...] = ()
    region_hours: Decimal | None = None
    cap_wh: int | None = None
    tax_fen: int | None = None
    is_listed: bool | None = None
    by_day: bool = False
    change_readings: Mapping[tuple[str, date], Decimal] = field(default_factory=dict)
    rounding: tuple[RoundingPolicy, int] = field(default=(RoundingPolicy.HALF_UP, PER_LINE))


def check_rows(rows: Sequence[StatementRow], facts: StationFacts) -> list[Finding]:
    """Return everything that the checks find in a station's month."""
    found = [*_duplicates(rows), *check_fees(rows, facts)]
    for row in rows:
        found += check_readings(row, facts, rows)
    return [*found, *check_warnings(rows, facts)]


def check_warnings(rows: Sequence[StatementRow], facts: StationFacts) -> list[Finding]:
    """Return what the checks find that a bill which went in may still have: they warn, or judge its hours."""
    found = check_hours(rows, facts)
    for row in rows:
        found += check_continuity(row, facts, rows)
        found += check_prices(row, facts)
    return [*found, *check_windows(rows, facts), *check_tax(rows, facts), *check_subsidy(rows, facts)]


def _finding(check: Check, row: StatementRow, field_name: str, said: tuple[str, str]) -> Finding:
    problem = Problem(row.places[field_name], *said)
    return Finding(check, problem, row.row_number, row.line.account_number)


def _kwh(energy_wh: int | Decimal) -> str:
    return f"{(Decimal(energy_wh) / WH_PER_KWH).normalize():f}"


def _duplicates(rows: Sequence[StatementRow]) -> list[Finding]:
    seen: dict[tuple[str, str, Decimal], int] = {}
    found = []
    for row in rows:
        key = (row.line.meter_number, row.line.tariff_window, row.line.previous_reading)
        if key in seen:
            said = (f"与第 {seen[key]} 行重复（同一户号、月份、电表和时段）", "请删去重复的一行")
            found.append(_finding(Check.DUPLICATE, row, "account_number", said))
        seen.setdefault(key, row.row_number)
    return found


def check_fees(rows: Sequence[StatementRow], facts: StationFacts) -> list[Finding]:
    """Energy x price = fee, for electricity and subsidy, rounded as the county says."""
    found = []
    for name, label in (("electricity", "上网电费"), ("subsidy", "补贴金额")):
        parts = [(row.line.exported_energy_wh, getattr(row.line, f"{name}_price")) for row in rows]
        for row, expected in zip(rows, amounts_fen(parts, *facts.rounding), strict=True):
            fee: int = getattr(row.line, f"{name}_fen")
            if expected != fee:
                said = (
                    (
                        f"{label} {yuan(fee)} 元与 {_kwh(row.line.exported_energy_wh)} 千瓦时 × "
                        f"{getattr(row.line, f'{name}_price')} 元 = {yuan(expected)} 元不符，"
                        f"差 {yuan(fee - expected)} 元{_slip(fee, expected)}"
                    ),
                    "请核对电量、电价和金额；有退补请填在调整金额",
                )
                found.append(_finding(Check.FEE, row, name, said))
    return found


def _slip(found: int, expected: int) -> str:
    for factor in UNIT_SLIP_FACTORS:
        if expected and (abs(found * factor - expected) < factor or found == expected * factor):
            meant = {100: "（元与分）", 10_000: "（元与万元）"}.get(factor, "")
            return f"，正好相差 {factor} 倍，可能是单位写错{meant}"
    return ""


def check_readings(row: StatementRow, facts: StationFacts, rows: Sequence[StatementRow]) -> list[Finding]:
    """Readings x multiplier = energy (to 1 kWh); the multiplier is the meter's; the reading does not fall.

    Rows that share one pair of readings, as windows split by days do, share its energy.
    """
    line = row.line
    billed_wh = sum(one.line.exported_energy_wh for one in rows if _pair(one) == _pair(row))
    if not line.previous_reading and not line.current_reading:
        return []
    if line.current_reading < line.previous_reading:
        said = (
            f"本次示数 {line.current_reading} 小于上次示数 {line.previous_reading}",
            "换表请分两行填写：旧表到拆下为止，新表从装上开始",
        )
        return [_finding(Check.READINGS, row, "current_reading", said)]
    found = []
    metered_wh = (line.current_reading - line.previous_reading) * line.meter_multiplier * WH_PER_KWH
    if abs(metered_wh - billed_wh) > READING_TOLERANCE_WH:
        said = (
            (
                f"（{line.current_reading} − {line.previous_reading}）× 倍率 {line.meter_multiplier} = "
                f"{_kwh(metered_wh)} 千瓦时，结算单为 {_kwh(billed_wh)} 千瓦时"
            ),
            "请核对示数、倍率和上网电量",
        )
        found.append(_finding(Check.READINGS, row, "exported_energy", said))
    expected = facts.multipliers.get(line.meter_number)
    if expected is not None and expected != line.meter_multiplier:
        said = (
            f"倍率 {line.meter_multiplier} 与台账的 {expected} 不同",
            "换过互感器请先更新台账，否则请供电公司核对",
        )
        found.append(_finding(Check.MULTIPLIER, row, "meter_multiplier", said))
    return found


def _pair(row: StatementRow) -> tuple[str, Decimal, Decimal]:
    return row.line.meter_number, row.line.previous_reading, row.line.current_reading


def check_continuity(row: StatementRow, facts: StationFacts, rows: Sequence[StatementRow]) -> list[Finding]:
    """The previous reading is the last month's current reading, or another row's of the same meter."""
    line = row.line
    last = facts.last_readings.get(line.meter_number)
    if last is None or not line.current_reading or last == line.previous_reading:
        return []
    mine = (one.line for one in rows if one is not row and one.line.meter_number == line.meter_number)
    if any(one.current_reading == line.previous_reading for one in mine):
        return []
    said = (
        f"上次示数 {row.line.previous_reading} 与上一期结算单的本次示数 {last} 不衔接",
        "请核对是否换表、漏月或抄错",
    )
    return [_finding(Check.CONTINUITY, row, "previous_reading", said)]


def check_prices(row: StatementRow, facts: StationFacts) -> list[Finding]:
    """The prices are those of a window of the month."""
    found = []
    for name, label in (("electricity_price", "上网电价"), ("subsidy_price", "补贴单价")):
        known = [getattr(window, name) for window in facts.windows]
        price: Decimal = getattr(row.line, name)
        billed = name == "electricity_price" or row.line.subsidy_fen
        if not known or None in known or not billed or price in known:
            continue
        shown = "、".join(dict.fromkeys(f"{one.normalize():f}" for one in known))
        source = facts.windows[0].sources[-1] if name == "subsidy_price" else facts.windows[0].sources[0]
        said = (
            f"{label} {price.normalize():f} 元与当期执行价 {shown} 元不同（{source}）",
            "请核对电价；本县另有批复的，请在参数里另录并写明依据",
        )
        found.append(_finding(Check.PRICE, row, name, said))
    return found


def check_windows(rows: Sequence[StatementRow], facts: StationFacts) -> list[Finding]:
    """Where a price changes inside the month, each window has its energy."""
    prices = [window.electricity_price for window in facts.windows]
    if len(prices) < 2 or None in prices:  # noqa: PLR2004, one window needs no split
        return []
    billed = {row.line.electricity_price for row in rows}
    change = facts.windows[1].start
    if not billed >= set(prices):
        said = (
            (
                f"{change.month} 月 {change.day} 日起电价由 {prices[0]} 元改为 {prices[1]} 元，"
                f"结算单只有 {'、'.join(str(one) for one in sorted(billed))} 元"
            ),
            "请供电公司按换档日分段结算",
        )
        return [_finding(Check.WINDOW, rows[0], "electricity_price", said)]
    return _split(rows, facts)


def _split(rows: Sequence[StatementRow], facts: StationFacts) -> list[Finding]:
    """Each window has the energy that the county's rule gives it; by reading, where the day was read."""
    readings = None if facts.by_day else _readings_wh(rows, facts)
    if readings is None and not facts.by_day:
        return []
    total = sum(row.line.exported_energy_wh for row in rows)
    how = "按天数" if facts.by_day else "按换档日示数"
    found = []
    for window, expected in zip(facts.windows, split_energy(total, facts.windows, readings), strict=True):
        mine = [row for row in rows if row.line.electricity_price == window.electricity_price]
        energy = sum(row.line.exported_energy_wh for row in mine)
        if abs(energy - expected) > SPLIT_TOLERANCE_WH:
            said = (
                f"{window.electricity_price} 元一档{how}应为 {_kwh(expected)} 千瓦时，"
                f"结算单为 {_kwh(energy)} 千瓦时"
            )
            fix = f"本县{how}划分换档电量，请供电公司核对"
            found.append(_finding(Check.WINDOW, mine[0], "exported_energy", (said, fix)))
    return found


def _readings_wh(rows: Sequence[StatementRow], facts: StationFacts) -> tuple[int, ...] | None:
    """Return the meter's totals [Wh] at the start, each change and the end; None where one is unknown."""
    meters = {(row.line.meter_number, row.line.meter_multiplier) for row in rows}
    if len(meters) != 1:
        return None
    ((meter, multiplier),) = meters
    changes = [facts.change_readings.get((meter, window.start)) for window in facts.windows[1:]]
    lowest = min(row.line.previous_reading for row in rows)
    faces = [lowest, *changes, max(row.line.current_reading for row in rows)]
    known = [face for face in faces if face is not None]
    if len(known) != len(faces):
        return None
    return tuple(int(face * multiplier * WH_PER_KWH) for face in known)


def check_tax(rows: Sequence[StatementRow], facts: StationFacts) -> list[Finding]:
    """The tax withheld is the VAT inside the month's sales; no rate in force says nothing."""
    withheld = sum(row.line.tax_fen for row in rows)
    if facts.tax_fen is None or not withheld:
        return []
    if abs(withheld - facts.tax_fen) <= TAX_TOLERANCE_FEN:
        return []
    said = (
        f"代扣税 {yuan(withheld)} 元，按执行税率应为 {yuan(facts.tax_fen)} 元",
        "请核对税率、免征额和开票金额",
    )
    return [_finding(Check.TAX, rows[0], "tax", said)]


def check_hours(rows: Sequence[StatementRow], facts: StationFacts) -> list[Finding]:
    """The energy of a month is below rated power [W] x its hours, below the region's most; no unit slips."""
    energy_wh = sum(row.line.exported_energy_wh for row in rows)
    hours = Period.parse(rows[0].month).day_count * 24
    rated_kw = f"{(Decimal(facts.rated_power_w) / WH_PER_KWH).normalize():f}"
    full = Decimal(energy_wh) / facts.rated_power_w
    if full > hours:
        said = (
            (
                f"{facts.name} {rated_kw} 千瓦，{hours} 小时满发也只有 "
                f"{facts.rated_power_w * hours // WH_PER_KWH} 千瓦时，结算单为 "
                f"{energy_wh // WH_PER_KWH} 千瓦时{_unit_hint(full)}"
            ),
            "请核对电量单位（千瓦时、万千瓦时）和台账装机容量（千瓦、瓦）",
        )
        return [_finding(Check.HOURS, rows[0], "exported_energy", said)]
    if 0 < full < _LOW_HOURS and _unit_hint(full):
        said = (
            f"{facts.name} {rated_kw} 千瓦全月只有 {energy_wh} 瓦时{_unit_hint(full)}",
            "请核对电量单位和台账装机容量",
        )
        return [_finding(Check.UNIT, rows[0], "exported_energy", said)]
    if facts.region_hours is not None and full > facts.region_hours:
        said = (
            f"{facts.name} 当月利用小时 {full:.0f}，高于本地区上限 {facts.region_hours:.0f}",
            "请核对电量、倍率和台账装机容量",
        )
        return [_finding(Check.REGION_HOURS, rows[0], "exported_energy", said)]
    return []


def _unit_hint(full_hours: Decimal) -> str:
    low, high = _LIKELY_HOURS
    for factor, meant in ((1_000, "千瓦与瓦，或千瓦时与兆瓦时"), (10_000, "千瓦时与万千瓦时")):
        if low <= full_hours * factor <= high or low <= full_hours / factor <= high:
            return f"，正好差 {factor} 倍的样子，可能写错了单位（{meant}）"
    return ""


def check_subsidy(rows: Sequence[StatementRow], facts: StationFacts) -> list[Finding]:
    """Subsidy is billed only for a listed station, and only up to the cap of lifetime hours."""
    billed = sum(row.line.subsidy_fen for row in rows)
    if not billed:
        return []
    if facts.is_listed is False:
        said = (f"{facts.name} 不在补贴目录，结算单列有补贴 {yuan(billed)} 元", "请核对目录批次")
        return [_finding(Check.LISTED, rows[0], "subsidy", said)]
    if facts.cap_wh is None:
        return []
    energy = sum(row.line.exported_energy_wh for row in rows if row.line.subsidy_fen)
    before = _metered_before(rows)
    allowed = max(facts.cap_wh - before, 0)
    if energy <= allowed:
        return []
    said = (
        (
            f"累计上网已达 {_kwh(before)} 千瓦时，合理利用小时内还可补贴 {_kwh(allowed)} 千瓦时，"
            f"结算单补贴了 {_kwh(energy)} 千瓦时"
        ),
        "超过合理利用小时的电量不再补贴，请供电公司核对",
    )
    return [_finding(Check.CAP, rows[0], "subsidy", said)]


def _metered_before(rows: Sequence[StatementRow]) -> int:
    """Return what the meters had counted before this bill [Wh]: a meter's face tells its whole life."""
    faces: dict[str, Decimal] = {}
    for row in rows:
        face = row.line.previous_reading * row.line.meter_multiplier
        faces[row.line.meter_number] = min(faces.get(row.line.meter_number, face), face)
    return int(sum(faces.values(), Decimal(0)) * WH_PER_KWH)
