"""What a chart shows, as plain data.

Owns the form in which pages hand figures to `assets/src/charts.js` and to the table below each chart.
Energies are turned into kWh and powers into kW here, at the edge where layout begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.curves import DayCurves, EnergyBar
from store.periods import SHANGHAI

_STEPS_AN_HOUR = 4
_COMPLETE = 0.98
_FEN_PER_YUAN = 100
_BARS_SHOWN = 60


def power_chart(curves: DayCurves) -> dict[str, Any]:
    """Return today's power in kW against yesterday's and the county's median, trimmed to daylight."""
    rows = (curves.today, curves.yesterday, curves.county_median)
    lit = [
        number
        for number in range(len(curves.times))
        if any(row[number] for row in rows if row[number] is not None)
    ]
    first = min(lit, default=24) // _STEPS_AN_HOUR * _STEPS_AN_HOUR
    last = -(-(max(lit, default=72) + 1) // _STEPS_AN_HOUR) * _STEPS_AN_HOUR
    looks = (("今日", "main"), ("昨日", "compare"), ("全县中位", "reference"))
    return {
        "kind": "lines",
        "label_name": "时间",
        "unit": "千瓦",
        "digits": 1,
        "labels": [f"{moment.astimezone(SHANGHAI):%H:%M}" for moment in curves.times[first:last]],
        "label_every": 2 * _STEPS_AN_HOUR,
        "series": [
            {"name": name, "look": look, "values": [_thousandth(value) for value in row[first:last]]}
            for (name, look), row in zip(looks, rows, strict=True)
        ],
    }


def energy_chart(
    bars: Sequence[EnergyBar], name: str, labels: Sequence[str], label_every: int
) -> dict[str, Any]:
    """Return energies in kWh as bars; incomplete ones are marked."""
    return {
        "kind": "bars",
        "label_name": "日期" if name == "每日发电" else "月份",
        "unit": "千瓦时",
        "digits": 1,
        "labels": list(labels),
        "label_every": label_every,
        "series": [
            {
                "name": name,
                "look": "main",
                "values": [_thousandth(bar.energy_wh) for bar in bars],
                "partial": [bar.completeness < _COMPLETE for bar in bars],
            }
        ],
    }


@dataclass(frozen=True, slots=True)
class Step:
    """One bar of a waterfall: an amount that stands by itself, or a change [fen] from the bar before."""

    label: str
    amount_fen: int | None
    is_change: bool = False


def waterfall_chart(name: str, steps: Sequence[Step]) -> dict[str, Any]:
    """Return amounts in yuan as a waterfall: changes hang between the amounts that they lead to."""
    level, base = 0, []
    for step in steps:
        amount = step.amount_fen or 0
        base.append(min(level, level + amount) if step.is_change else 0)
        level = level + amount if step.is_change else amount
    return {
        "kind": "waterfall",
        "label_name": "环节",
        "unit": "元",
        "digits": 2,
        "labels": [step.label for step in steps],
        "label_every": 1,
        "base": [value / _FEN_PER_YUAN for value in base],
        "series": [
            {
                "name": name,
                "look": "main",
                "values": [
                    None if step.amount_fen is None else step.amount_fen / _FEN_PER_YUAN for step in steps
                ],
                "partial": [step.is_change for step in steps],
            }
        ],
    }


def _thousandth(value: float | None) -> float | None:
    return None if value is None else round(value / 1000, 2)


def difference_chart(changes: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """Return who gains and who loses, in yuan, as bars from the largest loss to the largest gain."""
    ordered = sorted(changes, key=lambda one: one[1])
    if len(ordered) > _BARS_SHOWN:
        ordered = [*ordered[: _BARS_SHOWN // 2], *ordered[-_BARS_SHOWN // 2 :]]
    return {
        "kind": "bars",
        "label_name": "户主",
        "unit": "元",
        "digits": 2,
        "labels": [name for name, _fen in ordered],
        "label_every": max(1, len(ordered) // 12),
        "series": [
            {
                "name": "差额",
                "look": "main",
                "values": [fen / _FEN_PER_YUAN for _name, fen in ordered],
                "partial": [False] * len(ordered),
            }
        ],
    }
