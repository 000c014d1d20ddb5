"""What happens in the demo county: every planted fact, as data, in this one place.

Owns the list of things that real counties contain and that the product must find by itself. A fact names
its subject by a slot (which station, village or household plays the part is drawn from the seed), so that
the same story runs in a county of four villages and in one of forty. It changes nothing by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from store.periods import Period, local_midnight

_YEAR_DAYS = 365
_MARGIN_DAYS = 8


class FactKind(StrEnum):
    """What kind of thing happens."""

    STATION_DOWN = "station_down"
    INVERTER_DOWN = "inverter_down"
    COMMUNICATION_GAP = "communication_gap"
    INVERTER_REPLACED = "inverter_replaced"
    COUNTER_RESET = "counter_reset"
    WEAK_INVERTER = "weak_inverter"
    GRID_OUTAGE = "grid_outage"
    TOWNSHIP_OUTAGE = "township_outage"
    CURTAILED = "curtailed"
    STATEMENT_DISAGREES = "statement_disagrees"
    SUBSIDY_ARREARS = "subsidy_arrears"
    PAYMENT_FAILED = "payment_failed"
    HOUSEHOLD_LEFT = "household_left"
    OBJECTION = "objection"


@dataclass(frozen=True, slots=True)
class Fact:
    """One planted fact in [start, end).

    `slot` says which station (or village or township) plays the part; `share` is the part of power or
    energy concerned, `member` the inverter of the station or the household of the village.
    """

    kind: FactKind
    slot: int
    start: datetime
    end: datetime
    text: str
    share: float = 0.0
    member: int = 0


@dataclass(frozen=True, slots=True)
class Story:
    """The facts of a county whose demo was first made on `anchor`, with a history since `epoch`."""

    anchor: date
    epoch: date
    facts: tuple[Fact, ...]

    def of(self, kind: FactKind) -> tuple[Fact, ...]:
        """Return the facts of one kind, in order."""
        return tuple(fact for fact in self.facts if fact.kind is kind)


@dataclass(frozen=True, slots=True)
class _Calendar:
    """Turns “so many days before the demo was made” into instants, squeezed into a short history."""

    anchor: date
    epoch: date

    def at(self, days: int, hour: int = 0, minute: int = 0) -> datetime:
        """Return a local time `days` after the anchor (negative: before)."""
        available = max((self.anchor - self.epoch).days - _MARGIN_DAYS, 1)
        if days < -available:
            days = -max(_MARGIN_DAYS, available * -days // _YEAR_DAYS)
        day = self.anchor + timedelta(days=days)
        return local_midnight(day) + timedelta(hours=hour, minutes=minute)

    def month(self, months: int) -> Period:
        """Return the month so many months before the anchor's, but never before the first month."""
        period = Period.month_of(self.anchor)
        for _ in range(months):
            if period.previous().start >= self.epoch:
                period = period.previous()
        return period


def tell(anchor: date, epoch: date) -> Story:
    """Return the story of a county; the same dates always give the same story."""
    when = _Calendar(anchor, epoch)
    return Story(anchor, epoch, (*_machines(when), *_grid(when), *_money(when)))


def _machines(when: _Calendar) -> Iterator[Fact]:
    at = when.at
    yield Fact(FactKind.STATION_DOWN, 0, at(-5, 9, 40), at(3, 16), "全站停机：绝缘阻抗低，等待检修")
    yield Fact(FactKind.STATION_DOWN, 3, at(-152, 14, 5), at(-148, 11), "全站停机：交流开关跳闸")
    yield Fact(FactKind.COMMUNICATION_GAP, 1, at(-70, 2), at(-67, 11), "4G 卡欠费，三天没有数据")
    yield Fact(FactKind.COMMUNICATION_GAP, 6, at(-1, 21, 10), at(2, 10), "采集终端离线")
    replaced = at(-126, 10, 20)
    yield Fact(FactKind.INVERTER_REPLACED, 2, replaced, at(-120), "逆变器烧毁更换，新机累计发电量从零开始")
    yield Fact(FactKind.COUNTER_RESET, 3, at(-45, 9), at(-45, 9, 5), "更换主板，累计发电量清零")
    yield Fact(FactKind.WEAK_INVERTER, 5, at(-200), at(60), "组串接头老化，长期少发", 0.11)
    yield Fact(FactKind.INVERTER_DOWN, 7, at(-2, 13, 20), at(4, 9), "一台逆变器停机：风扇故障", member=1)


def _grid(when: _Calendar) -> Iterator[Fact]:
    at = when.at
    yield Fact(FactKind.TOWNSHIP_OUTAGE, 0, at(-20, 13, 10), at(-20, 16, 40), "10 千伏线路跳闸，全乡停电")
    yield Fact(FactKind.GRID_OUTAGE, 9, at(0, 7, 30), at(0, 18, 30), "台区停电检修")
    for day in range(4):
        yield Fact(FactKind.CURTAILED, 8, at(day, 9), at(day, 15, 30), "调度限电至三成", 0.3)
    for day in (-240, -239, -233):
        yield Fact(FactKind.CURTAILED, 8, at(day, 11), at(day, 14, 30), "午间消纳受限", 0.5)


def _money(when: _Calendar) -> Iterator[Fact]:
    disputed = when.month(3)
    yield Fact(
        FactKind.STATEMENT_DISAGREES, 4, disputed.start_utc, disputed.end_utc,
        "电费结算单比逆变器少 6%：抄表日与倍率待核", 0.06,
    )  # fmt: skip
    yield Fact(
        FactKind.SUBSIDY_ARREARS, 0, when.month(6).start_utc, when.at(200),
        "国家补贴拖欠，只计应收",
    )  # fmt: skip
    failed = when.month(3)
    yield Fact(FactKind.PAYMENT_FAILED, 0, failed.start_utc, failed.end_utc, "账户已销户，银行退回", member=2)
    yield Fact(FactKind.HOUSEHOLD_LEFT, 1, when.at(-100), when.at(200), "全家迁出，停止享受", member=3)
    objected = when.month(2)
    yield Fact(
        FactKind.OBJECTION, 2, objected.start_utc, objected.end_utc,
        "村民对岗位出勤有异议，核实后维持",
    )  # fmt: skip
