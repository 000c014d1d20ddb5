"""One alarm per cause: devices that fail together are a station, stations that fail together a division.

Pure. Owns the roll-up of standstill, grid and communication. A wider cause covers the narrower ones that it
explains; when it is over, what is still wrong has to last anew before it stands by itself.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from monitoring.alarms.conditions.findings import Finding, Standing, Subject, finding
from monitoring.alarms.conditions.momentary import COMMUNICATION, GRID, WIDE_KINDS
from monitoring.alarms.kinds import KIND_WORDS, SubjectKind
from monitoring.alarms.rules import RuleBook
from registry.actors import CODE_LENGTH
from registry.stations import Station

COUNTY_DIGITS, TOWNSHIP_DIGITS = 6, 9
_SHARED_BY_DIVISIONS = frozenset({GRID, COMMUNICATION})
_SEVERAL = 2


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the roll-up must know besides: rules, names of divisions, and the causes with an open alarm.

    `alone` are those open causes that stand by themselves: they began at another time for another reason
    and do not count when stations fail together.
    """

    book: RuleBook
    names: Mapping[str, str] = field(default_factory=dict)
    open_keys: Collection[str] = frozenset()
    alone: Collection[str] = frozenset()

    def covers(self, found: Finding) -> bool:
        """Tell whether a wider finding explains narrower ones now."""
        if found.severity is None:
            return False
        return found.standing is Standing.ON or (
            found.standing is Standing.HOLD and found.key in self.open_keys
        )


@dataclass(frozen=True, slots=True)
class StationFindings:
    """One station and what was found of one family at each of its inverters (at least one)."""

    place: Station
    parts: tuple[Finding, ...]


def _station(family: str, one: StationFindings, around: Surroundings) -> Finding:
    seen = {part.standing for part in one.parts}
    standing = Standing.HOLD
    if seen == {Standing.ON}:
        standing = Standing.ON
    elif Standing.OFF in seen:
        standing = Standing.OFF
    power = sum(part.subject.power_w for part in one.parts)
    subject = replace(Subject.of_station(one.place), power_w=power)
    kinds = {part.kind for part in one.parts}
    causes = list(dict.fromkeys(part.cause for part in one.parts if part.cause))
    return finding(
        kinds.pop() if len(kinds) == 1 else WIDE_KINDS[family],
        subject,
        standing,
        around.book.of(one.place.division_code),
        key=subject.key(family),
        cause="；".join(causes[:2]),
        evidence={"逆变器 (台)": str(len(one.parts)), **one.parts[0].evidence},
        since=max((part.since for part in one.parts if part.since is not None), default=None),
    )


def rolled_up(family: str, stations: Sequence[StationFindings], around: Surroundings) -> Iterator[Finding]:
    """Yield the findings of a family: of inverters, of stations with several of them, and of divisions."""
    tops: list[tuple[Station, Finding]] = []
    for one in stations:
        if len(one.parts) < _SEVERAL:
            tops.append((one.place, one.parts[0]))
            continue
        whole = _station(family, one, around)
        tops.append((one.place, whole))
        covered = around.covers(whole)
        yield from (replace(part, covered_by=whole.key) if covered else part for part in one.parts)
    if family in _SHARED_BY_DIVISIONS:
        yield from _with_divisions(family, tops, around)
    else:
        yield from (top for _place, top in tops)


def _with_divisions(
    family: str, tops: Sequence[tuple[Station, Finding]], around: Surroundings
) -> Iterator[Finding]:
    """Yield the divisions, counties first, and every station's own finding covered by the widest of them."""
    covering: list[tuple[str, str]] = []
    for digits in (COUNTY_DIGITS, TOWNSHIP_DIGITS):
        for prefix, members in sorted(_grouped(tops, digits).items()):
            wide = _division(family, prefix, members, around)
            by = _covering(covering, prefix)
            yield replace(wide, covered_by=by) if by else wide
            if around.covers(wide):
                covering.append((prefix, wide.key))
    for place, top in tops:
        by = "" if top.key in around.alone else _covering(covering, place.division_code)
        yield replace(top, covered_by=by) if by else top


def _covering(covering: Iterable[tuple[str, str]], code: str) -> str:
    return next((key for prefix, key in covering if code.startswith(prefix)), "")


def _grouped(tops: Iterable[tuple[Station, Finding]], digits: int) -> dict[str, list[Finding]]:
    grouped: dict[str, list[Finding]] = {}
    for place, top in tops:
        grouped.setdefault(place.division_code[:digits], []).append(top)
    return grouped


def _division(family: str, prefix: str, members: Sequence[Finding], around: Surroundings) -> Finding:
    code = prefix.ljust(CODE_LENGTH, "0")
    rules = around.book.of(code)
    counted = [member for member in members if member.key not in around.alone]
    wrong = [member for member in counted if member.standing is Standing.ON]
    power = sum(member.subject.power_w for member in wrong)
    subject = Subject(SubjectKind.DIVISION, code, code, power_w=power)
    key = subject.key(family)
    enough = max(rules.number("group_stations"), rules.number("group_share") * len(counted))
    lingers = key in around.open_keys and 2 * len(wrong) >= enough
    untold = bool(counted) and all(member.standing is Standing.HOLD for member in counted)
    standing = Standing.HOLD if lingers or untold else Standing.OFF
    standing = Standing.ON if len(wrong) >= enough else standing
    word = KIND_WORDS[WIDE_KINDS[family]]
    return finding(
        WIDE_KINDS[family],
        subject,
        standing,
        rules,
        key=key,
        cause=f"{around.names.get(code, code)} {len(members)} 座电站中 {len(wrong)} 座同时{word}",
        evidence={"电站 (座)": str(len(members)), f"同时{word} (座)": str(len(wrong))},
        since=max((member.since for member in wrong if member.since is not None), default=None),
    )
