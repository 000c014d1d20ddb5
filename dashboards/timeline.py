"""States over time as a picture of bars: one row a device, time from left to right.

Owns the geometry, in whole units of a fixed width, so that the template writes plain SVG without styles. The
same intervals stand in the table below the picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitoring.states import LOOKS, StateLook, StationState
from monitoring.uptime.results import StateInterval
from store.periods import SHANGHAI, local_date, local_midnight

WIDTH = 1000
ROW_HEIGHT, BAR_HEIGHT = 30, 20
_TICKS_AT_MOST = 11
_STEPS_H = (1, 2, 3, 6, 12, 24, 48, 24 * 7, 24 * 14, 24 * 31, 24 * 62)


@dataclass(frozen=True, slots=True)
class Bar:
    """One state in one row: from `x`, `width` wide, with what the mouse shows."""

    x: float
    width: float
    state: StationState
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """One device: its name and its bars; `y` is the top of its row."""

    name: str
    y: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """One mark on the axis of time."""

    x: float
    label: str

    @property
    def percent(self) -> float:
        """The place in percent of the width."""
        return round(100 * self.x / WIDTH, 3)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The picture: its height, its rows, its axis, and the states that occur in it."""

    height: int
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    looks: tuple[tuple[StationState, StateLook], ...]


def timeline(
    names: Mapping[str, str],
    intervals: Mapping[str, Sequence[StateInterval]],
    span: tuple[datetime, datetime],
) -> Timeline:
    """Return the picture of some devices, by id, over a span [UTC]."""
    start, end = span
    scale = WIDTH / max(1.0, (end - start).total_seconds())

    def place(moment: datetime) -> float:
        return round((min(max(moment, start), end) - start).total_seconds() * scale, 2)

    rows = tuple(
        Row(
            name,
            number * ROW_HEIGHT,
            tuple(
                Bar(
                    place(one.start),
                    max(0.4, round(place(one.end) - place(one.start), 2)),
                    one.state,
                    _title(name, one),
                )
                for one in intervals.get(key, ())
            ),
        )
        for number, (key, name) in enumerate(names.items())
    )
    occurring = {bar.state for row in rows for bar in row.bars}
    return Timeline(
        height=len(rows) * ROW_HEIGHT,
        rows=rows,
        ticks=tuple(Tick(place(moment), label) for moment, label in _ticks(start, end)),
        looks=tuple((state, look) for state, look in LOOKS.items() if state in occurring),
    )


def _title(name: str, one: StateInterval) -> str:
    return f"{name} {LOOKS[one.state].word} {_moment(one.start)} 至 {_moment(one.end)}：{one.reason}"


def _moment(moment: datetime) -> str:
    local = moment.astimezone(SHANGHAI)
    return f"{local.month}月{local.day}日 {local:%H:%M}"


def _ticks(start: datetime, end: datetime) -> list[tuple[datetime, str]]:
    hours = (end - start) / timedelta(hours=1)
    step = next((one for one in _STEPS_H if hours / one <= _TICKS_AT_MOST), _STEPS_H[-1])
    moment, found = local_midnight(local_date(start)), []
    while moment < end:
        if moment >= start:
            local = moment.astimezone(SHANGHAI)
            daily = step >= 24 or local.hour == 0  # noqa: PLR2004, hours of a day
            found.append((moment, f"{local.month}月{local.day}日" if daily else f"{local:%H:%M}"))
        moment += timedelta(hours=step)
    return found
