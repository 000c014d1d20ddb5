"""Proposals: which receivables a bank line may pay, by rules that say in words why. Pure.

Owns the rules only. Nothing is matched until somebody confirms; a proposal whose amounts differ says by how
much, and is made only within the tolerance that the county allows.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from distribution.money import yuan
from distribution.types import Component
from store.periods import Period

_MONTH = re.compile(r"(20\d{2})\s*[-/.年]?\s*(1[0-2]|0?[1-9])(?!\d)")
_NAMED = 3
_WORDS = {
    Component.ELECTRICITY: ("电费", "上网", "购电"),
    Component.SUBSIDY: ("补贴", "补助", "可再生"),
    Component.LOCAL_SUBSIDY: ("地方补", "县补", "市补", "省补"),
}


@dataclass(frozen=True, slots=True)
class OpenLine:
    """A bank line with a rest [fen] to be matched, and what its words say."""

    id: str
    received_on: date
    rest_fen: int
    words: str
    tolerance_fen: int


@dataclass(frozen=True, slots=True)
class OpenReceivable:
    """What is open [fen] of a station's month and component."""

    station_id: str
    station_name: str
    account_number: str
    component: Component
    month: str
    open_fen: int


@dataclass(frozen=True, slots=True)
class Edge:
    """The part [fen] of a line that is to pay a receivable."""

    line_id: str
    station_id: str
    component: Component
    month: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """Lines and receivables that seem to belong together, by which rule, and the difference [fen] left.

    The difference is positive when the bank paid more than is owed. `is_certain` says that account, month
    and amount all fit.
    """

    rule: str
    edges: tuple[Edge, ...]
    difference_fen: int
    is_certain: bool
    text: str

    @property
    def line_ids(self) -> tuple[str, ...]:
        """The lines, each once, in order."""
        return tuple(dict.fromkeys(edge.line_id for edge in self.edges))


def propose(lines: Sequence[OpenLine], owed: Sequence[OpenReceivable]) -> tuple[Proposal, ...]:
    """Return at most one proposal a line, the surest first; nothing is promised twice.

    Rules in their order: the account number and the sum of what its words name; one receivable of the very
    amount; the sum of a month's component; several lines of one account for one receivable.
    """
    taken: set[tuple[str, str, Component]] = set()
    used: set[str] = set()
    found: list[Proposal] = []
    for rule in (_by_account, _by_amount, _by_month):
        for line in lines:
            free = [one for one in owed if _key(one) not in taken]
            proposal = None if line.id in used else rule(line, free)
            if proposal is not None:
                used.add(line.id)
                taken |= {(edge.station_id, edge.month, edge.component) for edge in proposal.edges}
                found.append(proposal)
    rest = [line for line in lines if line.id not in used]
    found += _several(rest, [one for one in owed if _key(one) not in taken])
    return tuple(found)


def _key(one: OpenReceivable) -> tuple[str, str, Component]:
    return one.station_id, one.month, one.component


def months_in(words: str, received_on: date) -> tuple[str, ...]:
    """Return the months that words name, as `2026-10`; a bare “10月” is the last October before the day."""
    named = [f"{year}-{int(number):02d}" for year, number in _MONTH.findall(words)]
    for number in re.findall(r"(?<!\d)(1[0-2]|0?[1-9])\s*月(?!\s*\d+\s*日)", words):
        month = Period.parse(f"{received_on.year}-{int(number):02d}")
        if month.start > received_on:
            month = Period.parse(f"{received_on.year - 1}-{int(number):02d}")
        if not named:
            named.append(str(month))
    return tuple(dict.fromkeys(named))


def components_in(words: str) -> tuple[Component, ...]:
    """Return the kinds of money that words name."""
    if any(word in words for word in _WORDS[Component.LOCAL_SUBSIDY]):
        return (Component.LOCAL_SUBSIDY,)
    return tuple(kind for kind in (Component.ELECTRICITY, Component.SUBSIDY) if _named(kind, words))


def _named(kind: Component, words: str) -> bool:
    return any(word in words for word in _WORDS[kind])


def _holds_account(words: str, account: str) -> bool:
    return bool(account) and re.search(rf"(?<!\d){re.escape(account)}(?!\d)", words) is not None


def _meant(line: OpenLine, owed: Sequence[OpenReceivable]) -> list[OpenReceivable]:
    """Return those that the line's words may mean: no month or kind of money named means any."""
    months, kinds = months_in(line.words, line.received_on), components_in(line.words)
    return [
        one for one in owed if (not months or one.month in months) and (not kinds or one.component in kinds)
    ]


def _by_account(line: OpenLine, owed: Sequence[OpenReceivable]) -> Proposal | None:
    mine = [one for one in owed if _holds_account(line.words, one.account_number)]
    if not mine:
        return None
    months, kinds = months_in(line.words, line.received_on), components_in(line.words)
    named = [
        one for one in mine if (not months or one.month in months) and (not kinds or one.component in kinds)
    ]
    fitting = _fitting(line, named)
    if fitting is None:
        return None
    certain = bool(months) and sum(one.open_fen for one in fitting) == line.rest_fen
    return _proposal("户号", [line], fitting, certain=certain)


def _fitting(line: OpenLine, named: Sequence[OpenReceivable]) -> list[OpenReceivable] | None:
    """Return all of them if their sum fits, else the one that fits by itself."""
    if named and abs(sum(one.open_fen for one in named) - line.rest_fen) <= line.tolerance_fen:
        return [*named]
    alone = [one for one in named if one.open_fen == line.rest_fen]
    alone = alone or [one for one in named if abs(one.open_fen - line.rest_fen) <= line.tolerance_fen]
    return alone if len(alone) == 1 else None


def _by_amount(line: OpenLine, owed: Sequence[OpenReceivable]) -> Proposal | None:
    same = [one for one in _meant(line, owed) if one.open_fen == line.rest_fen]
    return _proposal("金额", [line], same, certain=False) if len(same) == 1 else None


def _by_month(line: OpenLine, owed: Sequence[OpenReceivable]) -> Proposal | None:
    kinds = components_in(line.words) or (Component.ELECTRICITY, Component.SUBSIDY)
    groups = [{kind} for kind in kinds] + ([{*kinds}] if len(kinds) > 1 else [])
    named = months_in(line.words, line.received_on)
    for month in named or sorted({one.month for one in owed}, reverse=True):
        for chosen in groups:
            whole = [one for one in owed if one.month == month and one.component in chosen]
            difference = line.rest_fen - sum(one.open_fen for one in whole)
            if len(whole) > 1 and abs(difference) <= line.tolerance_fen:
                certain = difference == 0 and month in named
                return _proposal("整月合计", [line], whole, certain=certain)
    return None


def _several(lines: Sequence[OpenLine], owed: Sequence[OpenReceivable]) -> Iterator[Proposal]:
    used: set[str] = set()
    for one in owed:
        mine = [
            line
            for line in lines
            if line.id not in used
            and _holds_account(line.words, one.account_number)
            and one in _meant(line, [one])
        ]
        short = one.open_fen - sum(line.rest_fen for line in mine)
        if len(mine) > 1 and 0 <= short <= mine[0].tolerance_fen:
            used |= {line.id for line in mine}
            yield _proposal("多笔合一", mine, [one], certain=False)


def _proposal(
    rule: str, lines: Sequence[OpenLine], owed: Sequence[OpenReceivable], *, certain: bool
) -> Proposal:
    difference = sum(line.rest_fen for line in lines) - sum(one.open_fen for one in owed)
    edges = tuple(spread(lines, owed))
    several = f"{len(lines)} 笔流水对" if len(lines) > 1 else ""
    names = list(dict.fromkeys(one.station_name for one in owed))
    named = "、".join(names[:_NAMED])
    more = f"等 {len(names)} 站" if len(names) > _NAMED else ""
    months = "、".join(dict.fromkeys(Period.parse(one.month).label for one in owed))
    left = "金额相符" if not difference else f"差 {yuan(difference)} 元，在允许尾差内"
    return Proposal(rule, edges, difference, certain, f"{several}{named}{more} {months}，{left}")


def spread(lines: Iterable[OpenLine], owed: Iterable[OpenReceivable]) -> Iterator[Edge]:
    """Yield edges that fill receivables in order from lines in order, as far as both sides hold."""
    rests = [(line.id, line.rest_fen) for line in lines]
    for one in owed:
        left = one.open_fen
        while left > 0 and rests:
            line_id, rest = rests[0]
            part = min(left, rest)
            if part:
                yield Edge(line_id, one.station_id, one.component, one.month, part)
            left -= part
            rests[0] = (line_id, rest - part)
            if rest == part:
                rests.pop(0)
