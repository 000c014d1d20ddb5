"""Checks of one statement line, and of a line against the station and its last reading. Pure.

Owns what is wrong with a bill in itself. What differs between bill, meter and inverter is
`reconciliation`'s.
"""

from dataclasses import dataclass
from decimal import Decimal

from distribution.money import RoundingPolicy, round_fen, yuan
from distribution.settlement.statements import StatementRow
from store.periods import Period
from store.problem import Problem

WH_PER_KWH = 1_000
READING_TOLERANCE_WH = 1_000
UNIT_SLIP_FACTORS = (10, 100, 1_000, 10_000)


@dataclass(frozen=True, slots=True)
class StationFacts:
    """What a check needs of a station: name, rated power [W], and its last reading per meter."""

    name: str
    rated_power_w: int
    multipliers: dict[str, int]
    last_readings: dict[str, Decimal]


def check_fees(row: StatementRow, rounding: RoundingPolicy = RoundingPolicy.HALF_UP) -> list[Problem]:
    """Energy x price = fee, for electricity and subsidy, rounded once on this tariff line."""
    line = row.line
    problems = []
    for field, name, price, fee in (
        ("electricity", "上网电费", line.electricity_price, line.electricity_fen),
        ("subsidy", "补贴金额", line.subsidy_price, line.subsidy_fen),
    ):
        exact_fen = line.exported_energy_wh * price / WH_PER_KWH * 100
        expected = round_fen(exact_fen, rounding)
        if expected != fee:
            kwh = Decimal(line.exported_energy_wh) / WH_PER_KWH
            problems.append(
                Problem(
                    row.places[field],
                    f"{name} {yuan(fee)} 元与 {kwh.normalize():f} 千瓦时 × {price} 元 = "
                    f"{yuan(expected)} 元不符，差 {yuan(fee - expected)} 元{_slip(fee, expected)}",
                    "请核对电量、电价和金额；有退补请填在调整金额",
                )
            )
    return problems


def _slip(found: int, expected: int) -> str:
    for factor in UNIT_SLIP_FACTORS:
        if expected and (found * factor == expected or found == expected * factor):
            return f"，正好相差 {factor} 倍，可能是单位写错"
    return ""


def check_readings(row: StatementRow, facts: StationFacts) -> list[Problem]:
    """Readings x multiplier = energy (to 1 kWh); the multiplier is the meter's; the reading does not fall."""
    line = row.line
    if not line.previous_reading and not line.current_reading:
        return []
    problems = []
    if line.current_reading < line.previous_reading:
        return [
            Problem(
                row.places["current_reading"],
                f"本次示数 {line.current_reading} 小于上次示数 {line.previous_reading}",
                "换表请分两行填写：旧表到拆下为止，新表从装上开始",
            )
        ]
    metered_wh = (line.current_reading - line.previous_reading) * line.meter_multiplier * WH_PER_KWH
    if abs(metered_wh - line.exported_energy_wh) > READING_TOLERANCE_WH:
        found = Decimal(line.exported_energy_wh) / WH_PER_KWH
        problems.append(
            Problem(
                row.places["exported_energy"],
                f"（{line.current_reading} − {line.previous_reading}）× 倍率 {line.meter_multiplier} = "
                f"{(metered_wh / WH_PER_KWH).normalize():f} 千瓦时，结算单为 {found.normalize():f} 千瓦时",
                "请核对示数、倍率和上网电量",
            )
        )
    expected = facts.multipliers.get(line.meter_number)
    if expected is not None and expected != line.meter_multiplier:
        problems.append(
            Problem(
                row.places["meter_multiplier"],
                f"倍率 {line.meter_multiplier} 与台账的 {expected} 不同",
                "换过互感器请先更新台账，否则请供电公司核对",
            )
        )
    return problems


def check_continuity(row: StatementRow, facts: StationFacts) -> list[Problem]:
    """The previous reading is the last month's current reading."""
    last = facts.last_readings.get(row.line.meter_number)
    if last is None or not row.line.current_reading or last == row.line.previous_reading:
        return []
    return [
        Problem(
            row.places["previous_reading"],
            f"上次示数 {row.line.previous_reading} 与上一期结算单的本次示数 {last} 不衔接",
            "请核对是否换表、漏月或抄错",
        )
    ]


def check_hours(rows: list[StatementRow], facts: StationFacts) -> list[Problem]:
    """The energy of a month cannot exceed rated power [W] x the hours of its days."""
    energy_wh = sum(row.line.exported_energy_wh for row in rows)
    hours = Period.parse(rows[0].month).day_count * 24
    rated_kw = (Decimal(facts.rated_power_w) / 1000).normalize()
    if energy_wh <= facts.rated_power_w * hours:
        return []
    return [
        Problem(
            rows[0].places["exported_energy"],
            f"{facts.name} {rated_kw:f} 千瓦，{hours} 小时满发也只有 "
            f"{facts.rated_power_w * hours // WH_PER_KWH} 千瓦时，结算单为 {energy_wh // WH_PER_KWH} 千瓦时",
            "请核对电量单位（千瓦时、万千瓦时）和台账装机容量（千瓦、瓦）",
        )
    ]
