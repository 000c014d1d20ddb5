"""Many alarms in one message: by township, gravest first, with what it cost.

Pure. Owns the words of a message; it holds names of stations and firms, and nothing of a person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitoring.alarms.kinds import (
    LEVEL_WORDS,
    SEVERITY_ORDER,
    SEVERITY_WORDS,
    AlarmAction,
)
from monitoring.alarms.reads import Alarm
from monitoring.alarms.telling import sentence
from registry.actors import CODE_LENGTH

LINES_AT_MOST = 30
_TOWNSHIP_DIGITS = 9
_NAMED_AREAS = 2
_CAUSE_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class News:
    """What is told of one alarm: the alarm as it stands and the last thing that happened to it."""

    alarm: Alarm
    action: AlarmAction


@dataclass(frozen=True, slots=True)
class Digest:
    """A message in words: its subject line, and its text with one line an alarm."""

    subject: str
    text: str


def _section(news: News) -> int:
    """Return where in a message something stands: escalated, new, over."""
    if not news.alarm.open:
        return 2
    return 0 if news.action is AlarmAction.ESCALATE else 1


_SECTIONS = ("升级", "新发生", "已恢复")


def _line(news: News, now: datetime, lost_fen: int | None) -> str:
    alarm = news.alarm
    words = f"[{SEVERITY_WORDS[alarm.severity]}] {sentence(alarm, now, lost_fen)}"
    if not alarm.open:
        return f"· {words}（已恢复）"
    cause = alarm.cause if len(alarm.cause) <= _CAUSE_CHARACTERS else f"{alarm.cause[:_CAUSE_CHARACTERS]}…"
    raised = f"，{LEVEL_WORDS[alarm.level]}" if alarm.level else ""
    helper = f" → 联系 {alarm.maintenance_company}" if alarm.maintenance_company else ""
    return f"· {words}{raised}（{cause}）{helper}"


def _area(alarm: Alarm, names: Mapping[str, str]) -> str:
    code = alarm.division_code[:_TOWNSHIP_DIGITS].ljust(CODE_LENGTH, "0")
    return names.get(code, "") or alarm.division_name or code


def digest(
    told: Sequence[News],
    lost_fen: Mapping[str, int | None],
    names: Mapping[str, str],
    now: datetime,
    site_name: str,
) -> Digest:
    """Return one message of at least one piece of news; `lost_fen` by alarm, `names` of divisions by code.

    At most so many lines are written out; the rest is counted by township, so that nothing is left unsaid.
    """
    ordered = sorted(
        told,
        key=lambda one: (
            _section(one),
            SEVERITY_ORDER[one.alarm.severity],
            one.alarm.division_code,
            one.alarm.opened_at,
            one.alarm.id,
        ),
    )
    lines: list[str] = []
    heading = ("", "")
    for one in ordered[:LINES_AT_MOST]:
        place = (_SECTIONS[_section(one)], _area(one.alarm, names))
        if place != heading:
            lines.append(f"【{place[1]}】{place[0]}")
            heading = place
        lines.append(_line(one, now, lost_fen.get(one.alarm.id)))
    rest = ordered[LINES_AT_MOST:]
    if rest:
        lines.append(f"另有 {len(rest)} 条：{_counted(rest, names)}。请登录系统查看。")
    return Digest(_subject(ordered, names, site_name), "\n".join(lines))


def _counted(rest: Sequence[News], names: Mapping[str, str]) -> str:
    counts: dict[str, int] = {}
    for one in rest:
        area = _area(one.alarm, names)
        counts[area] = counts.get(area, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return "、".join(f"{area} {count} 条" for area, count in ordered[:20])


def _subject(ordered: Sequence[News], names: Mapping[str, str], site_name: str) -> str:
    areas = list(dict.fromkeys(_area(one.alarm, names) for one in ordered))
    where = "、".join(areas[:_NAMED_AREAS]) + (f"等 {len(areas)} 处" if len(areas) > _NAMED_AREAS else "")
    counts = [sum(_section(one) == section for one in ordered) for section in range(len(_SECTIONS))]
    parts = [f"{word} {count} 条" for word, count in zip(_SECTIONS, counts, strict=True) if count]
    return f"【{site_name}】{where} 告警：{'，'.join(parts)}"
