"""From findings to alarms: what lasts is opened, what is over is closed, each cause once.

Owns the debounce, the opening, grouping, escalating and closing of alarms in the database. Everything that
one pass finds is one transaction of the caller; a pass that is done again changes nothing more.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from monitoring.alarms.conditions.findings import Finding, Standing
from monitoring.alarms.kinds import HIGHEST_LEVEL, LEVEL_WORDS, AlarmAction, AlarmKind, AlarmSeverity
from monitoring.alarms.rules import RuleBook
from monitoring.alarms.tables import AlarmEventRow, AlarmRow, AlarmWatchRow
from store.canonical import canonical_json
from store.db import new_id

FLAP_WINDOW = timedelta(hours=24)
FLAP_DOUBLINGS = 4
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """Something that happened to an alarm: what has to be told to somebody."""

    alarm_id: str
    seq: int
    at: datetime
    action: AlarmAction
    kind: AlarmKind
    severity: AlarmSeverity
    division_code: str
    station_id: str
    level: int


Beginnings = Callable[[Sequence[Finding]], Mapping[str, datetime]]
"""Finds since when findings that are about to become alarms really hold, by cause key."""


def as_found(_findings: Sequence[Finding]) -> Mapping[str, datetime]:
    """Know of no earlier beginning than the findings tell."""
    return {}


@dataclass(slots=True)
class _Watched:
    """A watch as it is held in memory, and whether it has to be written."""

    active_since: datetime | None = None
    covered_at: datetime | None = None
    clear_since: datetime | None = None

    @property
    def empty(self) -> bool:
        return self.active_since is None and self.clear_since is None


@dataclass(slots=True)
class Pass:
    """One pass over findings at `now` [UTC]: read once, decide in memory, write once.

    `kinds` are the kinds that this pass has judged: an open alarm of such a kind that nobody found any more
    (its device was taken away) is over.
    """

    session: Session
    book: RuleBook
    now: datetime
    kinds: Collection[AlarmKind]
    beginnings: Beginnings = as_found
    open: dict[str, AlarmRow] = field(default_factory=dict)
    watched: dict[str, _Watched] = field(default_factory=dict)
    changes: list[AlarmChange] = field(default_factory=list)
    _before: dict[str, tuple[datetime | None, ...]] = field(default_factory=dict)
    _events: list[dict[str, object]] = field(default_factory=list)
    _moves: dict[str, dict[str, object]] = field(default_factory=dict)
    _fresh: list[dict[str, object]] = field(default_factory=list)

    def read(self) -> "Pass":
        """Read the open alarms and the watches; on a server no one else may change them meanwhile."""
        rows = self.session.scalars(
            select(AlarmRow)
            .where(AlarmRow.closed_at.is_(None))
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        self.open = {row.cause_key: row for row in rows}
        for watch in self.session.scalars(select(AlarmWatchRow).execution_options(populate_existing=True)):
            held = (watch.active_since, watch.covered_at, watch.clear_since)
            self.watched[watch.cause_key] = _Watched(*held)
            self._before[watch.cause_key] = held
        return self

    def wanted(self) -> set[str]:
        """Return the causes whose standing must be told even where nothing is wrong."""
        return self.open.keys() | self.watched.keys()

    def alone(self) -> set[str]:
        """Return the causes whose open alarm stands by itself."""
        return {key for key, row in self.open.items() if row.parent_id is None}

    def apply(self, findings: Iterable[Finding]) -> tuple[AlarmChange, ...]:
        """Bring the alarms up to the findings and return what changed; writes everything."""
        found = {one.key: one for one in findings}
        self._open_new(found)
        self._follow_open(found)
        self._group(found)
        self._escalate()
        self._write()
        return tuple(self.changes)

    def _open_new(self, found: Mapping[str, Finding]) -> None:
        ripe = []
        for key, one in found.items():
            if key in self.open:
                continue
            if one.standing is not Standing.ON or one.severity is None:
                self.watched.pop(key, None)
                continue
            watch = self.watched.setdefault(key, _Watched())
            watch.active_since = watch.active_since or self.now
            watch.clear_since = None
            if one.covered_by:
                watch.covered_at = self.now
                continue
            waits_since = max(watch.active_since, watch.covered_at or watch.active_since)
            if self.now - waits_since >= one.opens_after:
                ripe.append(one)
        earlier = self.beginnings(ripe) if ripe else {}
        for one in ripe:
            begins = (earlier.get(one.key), one.since, self.watched[one.key].active_since)
            since = min((moment for moment in begins if moment is not None), default=self.now)
            self._open(one, AlarmSeverity(one.severity or AlarmSeverity.MINOR), since)
            del self.watched[one.key]

    def _open(self, one: Finding, severity: AlarmSeverity, since: datetime) -> None:
        subject = one.subject
        rules = self.book.of(subject.division_code)
        row: dict[str, object] = {
            "id": new_id("alarm"),
            "cause_key": one.key,
            "kind": str(one.kind),
            "severity": str(severity),
            "subject_kind": str(subject.kind),
            "subject_id": subject.id,
            "station_id": subject.station_id or None,
            "device_id": subject.device_id or None,
            "division_code": subject.division_code,
            "opened_at": min(since, self.now),
            "detected_at": self.now,
            "closed_at": None,
            "cause": one.cause or "原因不明",
            "evidence": canonical_json(dict(one.evidence)),
            "affected_power_w": subject.power_w,
            "lost_energy_wh": one.lost_wh,
            "acknowledged_at": None,
            "acknowledged_by": None,
            "acknowledged_name": "",
            "acknowledged_note": "",
            "level": 0,
            "deadline": self.now + timedelta(hours=rules.response_hours(severity)),
            "parent_id": None,
            "event_seq": 1,
        }
        self._fresh.append(row)
        opened = self.open[one.key] = AlarmRow(**row)
        self._tell(opened, AlarmAction.OPEN, one.cause)

    def _tell(self, row: AlarmRow, action: AlarmAction, note: str) -> int:
        """Add an entry to an alarm's history and return its number."""
        seq = 1 if action is AlarmAction.OPEN else self._seq(row) + 1
        self._events.append(
            {
                "alarm_id": row.id,
                "seq": seq,
                "at": self.now,
                "action": str(action),
                "by_id": "",
                "by_name": "",
                "note": note,
            }
        )
        if action is not AlarmAction.OPEN:
            self._move(row, event_seq=seq)
        self.changes.append(
            AlarmChange(
                row.id,
                seq,
                self.now,
                action,
                AlarmKind(row.kind),
                AlarmSeverity(row.severity),
                row.division_code,
                row.station_id or "",
                int(str(self._moves.get(row.id, {}).get("level", row.level))),
            )
        )
        return seq

    def _seq(self, row: AlarmRow) -> int:
        return int(str(self._moves.get(row.id, {}).get("event_seq", row.event_seq)))

    def _move(self, row: AlarmRow, **values: object) -> None:
        self._moves.setdefault(row.id, {}).update(values)

    def _follow_open(self, found: Mapping[str, Finding]) -> None:
        over: list[tuple[AlarmRow, datetime, timedelta]] = []
        for key, row in self.open.items():
            one = found.get(key)
            gone = one is None and row.kind in self.kinds
            if one is None and not gone:
                continue
            standing = Standing.OFF if one is None or one.severity is None else one.standing
            if standing is not Standing.OFF:
                self.watched.pop(key, None)
                if one is not None and standing is Standing.ON:
                    self._refresh(row, one)
                continue
            watch = self.watched.setdefault(key, _Watched())
            watch.clear_since = watch.clear_since or self.now
            over.append((row, watch.clear_since, one.closes_after if one else timedelta()))
        self._close_over(over)

    def _refresh(self, row: AlarmRow, one: Finding) -> None:
        """Keep what is known of an open alarm fresh: a vendor's text or a figure may have come later."""
        if one.lost_wh is not None and one.lost_wh != row.lost_energy_wh:
            self._move(row, lost_energy_wh=one.lost_wh)
        if one.subject.power_w > row.affected_power_w:
            self._move(row, affected_power_w=one.subject.power_w)
        if one.cause and len(one.cause) > len(row.cause):
            self._move(row, cause=one.cause, evidence=canonical_json(dict(one.evidence)))

    def _close_over(self, over: Sequence[tuple[AlarmRow, datetime, timedelta]]) -> None:
        due = [item for item in over if self.now - item[1] >= item[2]]
        for row, since, wait in self._calm(due):
            if self.now - since < wait:
                continue
            self.watched.pop(row.cause_key, None)
            self._tell(row, AlarmAction.CLOSE, "已恢复")
            self._move(row, closed_at=max(since, row.opened_at), deadline=None)

    def _calm(
        self, due: Sequence[tuple[AlarmRow, datetime, timedelta]]
    ) -> list[tuple[AlarmRow, datetime, timedelta]]:
        """Return what is due with a longer wait for causes that came again and again within a day."""
        if not due:
            return []
        keys = [row.cause_key for row, _since, _wait in due]
        counts: dict[str, int] = {}
        for begin in range(0, len(keys), _AT_ONCE):
            statement = (
                select(AlarmRow.cause_key, func.count())
                .where(AlarmRow.cause_key.in_(keys[begin : begin + _AT_ONCE]))
                .where(AlarmRow.detected_at > self.now - FLAP_WINDOW)
                .group_by(AlarmRow.cause_key)
            )
            counts.update({key: int(count) for key, count in self.session.execute(statement)})
        return [
            (row, since, wait * 2 ** min(FLAP_DOUBLINGS, max(0, counts.get(row.cause_key, 1) - 1)))
            for row, since, wait in due
        ]

    def _closing(self, row: AlarmRow) -> bool:
        return self._moves.get(row.id, {}).get("closed_at") is not None

    def _group(self, found: Mapping[str, Finding]) -> None:
        """Put alarms under the open alarm of a wider cause, and take them out when that is over."""
        by_id = {row.id: row for row in self.open.values()}
        for key, row in self.open.items():
            if self._closing(row):
                continue
            parent = by_id.get(row.parent_id or "")
            if row.parent_id is not None and (parent is None or self._closing(parent)):
                self._tell(row, AlarmAction.RELEASE, "更大范围的告警已恢复")
                self._move(row, parent_id=None)
                parent = None
            one = found.get(key)
            wider = self.open.get(one.covered_by) if one is not None and one.covered_by else None
            if wider is None or self._closing(wider) or wider is parent or parent is not None:
                continue
            self._tell(row, AlarmAction.GROUP, wider.cause)
            self._move(row, parent_id=wider.id)

    def _escalate(self) -> None:
        for row in self.open.values():
            grouped = self._moves.get(row.id, {}).get("parent_id", row.parent_id) is not None
            due = row.deadline is not None and row.deadline <= self.now
            if not due or grouped or self._closing(row) or row.level >= HIGHEST_LEVEL:
                continue
            level = row.level + 1
            rules, severity = self.book.of(row.division_code), AlarmSeverity(row.severity)
            known = row.acknowledged_at is not None
            hours = rules.resolve_hours(severity) if known else rules.response_hours(severity)
            last = level == HIGHEST_LEVEL
            self._move(row, level=level, deadline=None if last else self.now + timedelta(hours=hours))
            why = "确认后逾期未恢复" if known else "逾期无人确认"
            self._tell(row, AlarmAction.ESCALATE, f"{why}，{LEVEL_WORDS[level]}")

    def _write(self) -> None:
        if self._fresh:
            self.session.execute(insert(AlarmRow), self._fresh)
        if self._events:
            self.session.execute(insert(AlarmEventRow), sorted(self._events, key=_order))
        for alarm_id, values in self._moves.items():
            self.session.execute(
                update(AlarmRow)
                .where(AlarmRow.id == alarm_id)
                .values(**values)
                .execution_options(synchronize_session=False)
            )
        self._write_watches()
        self.session.expire_all()

    def _write_watches(self) -> None:
        now = {
            key: (one.active_since, one.covered_at, one.clear_since)
            for key, one in self.watched.items()
            if not one.empty
        }
        gone = [key for key, held in self._before.items() if now.get(key) != held]
        for begin in range(0, len(gone), _AT_ONCE):
            keys = gone[begin : begin + _AT_ONCE]
            self.session.execute(delete(AlarmWatchRow).where(AlarmWatchRow.cause_key.in_(keys)))
        columns = ("active_since", "covered_at", "clear_since")
        fresh = [
            {"cause_key": key, **dict(zip(columns, held, strict=True))}
            for key, held in now.items()
            if self._before.get(key) != held
        ]
        if fresh:
            self.session.execute(insert(AlarmWatchRow), fresh)


def _order(event: Mapping[str, object]) -> tuple[str, int]:
    return str(event["alarm_id"]), int(str(event["seq"]))


def settled(found: Finding) -> Finding:
    """Return a finding whose lasting was judged already, over days: it opens and closes at once."""
    return replace(found, opens_after=timedelta(), closes_after=timedelta())
