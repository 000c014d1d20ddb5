"""From the spool into the store.

Owns the one thread that empties the spool: what is new goes first, so that live data stays live while a
backlog drains; a store that is away is tried again with a growing, jittered pause and loses nothing.
"""

import random
import threading
from dataclasses import dataclass, replace
from datetime import datetime

from collector.delivery import Delivery
from collector.notices import Throttle
from collector.settings import CollectorSettings
from collector.spool import Spool, SpoolFullError
from store.events import Event, EventKind, Severity
from store.periods import Clock
from store.series import Conflict, SeriesStore, SeriesUnavailableError

LONGEST_PAUSE = 60.0
_chance = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class DrainState:
    """How the drain is doing: last success, why it is stuck (empty when it is not), rows and conflicts."""

    last_good_at: datetime | None = None
    stuck: str = ""
    rows: int = 0
    conflicts: int = 0


class Drain:
    """The thread that hands batches to the store."""

    def __init__(
        self, spool: Spool, store: SeriesStore, clock: Clock, events: Throttle, settings: CollectorSettings
    ) -> None:
        self._spool = spool
        self._store = store
        self._clock = clock
        self._events = events
        self._settings = settings
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collector-drain", daemon=True)
        self._failures = 0
        self._redelivered = False
        self.state = DrainState()

    def start(self) -> None:
        """Begin to drain."""
        self._thread.start()

    def stop(self) -> None:
        """Drain what the store takes at once, then end; the rest waits in the spool."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=60)

    def _run(self) -> None:
        while not self._stopping.wait(self._pause()):
            self._round()
        self._round()

    def _pause(self) -> float:
        if not self._failures:
            return self._settings.drain_seconds
        return min(self._settings.drain_seconds * 2.0**self._failures, LONGEST_PAUSE) * _chance.uniform(
            0.5, 1.0
        )

    def _round(self) -> None:
        """Empty the spool, alternating between the newest batches and the oldest."""
        try:
            if not self._redelivered:
                self._spool.redeliver(self._store)
                self._redelivered = True
            newest = self._spool.balance().waiting > self._settings.drain_rows
            while self._spool.balance().waiting:
                outcome = self._spool.deliver(
                    self._store, now=self._clock(), limit_rows=self._rows(newest=newest), newest=newest
                )
                if outcome.unavailable:
                    self._fail(outcome.unavailable)
                    return
                self._note(outcome)
                newest = not newest and self._spool.balance().waiting > self._settings.drain_rows
        except (SeriesUnavailableError, SpoolFullError) as error:
            self._fail(str(error))
            return
        self._recovered()

    def _rows(self, *, newest: bool) -> int:
        """Return how many rows to take: of the newest only what a moment brings, of the oldest plenty."""
        return max(self._settings.drain_rows // 10, 1) if newest else self._settings.drain_rows

    def _note(self, outcome: Delivery) -> None:
        self.state = replace(
            self.state,
            last_good_at=self._clock(),
            rows=self.state.rows + outcome.rows,
            conflicts=self.state.conflicts + len(outcome.conflicts),
        )
        for conflict in outcome.conflicts:
            self._tell_conflict(conflict)
        for item in outcome.rejected:
            event = Event(
                self._clock(), EventKind.QUARANTINE, Severity.WARNING, "device", item.source, item.reason
            )
            self._events.tell(event, item.reason[:40])

    def _tell_conflict(self, conflict: Conflict) -> None:
        message = (
            f"同一时刻 {conflict.time:%Y-%m-%d %H:%M:%S} UTC 的 {conflict.quantity} 有两个读数："
            f"已存 {conflict.stored}，又收到 {conflict.offered}；保留已存的"
        )
        event = Event(
            self._clock(), EventKind.CONFLICT, Severity.WARNING, "device", conflict.device_id, message
        )
        self._events.tell(event, conflict.quantity)

    def _fail(self, reason: str) -> None:
        self._failures += 1
        # A server that was away may have forgotten what it took within its settling time.
        self._redelivered = False
        self.state = replace(self.state, stuck=reason)
        event = Event(
            self._clock(),
            EventKind.STORE,
            Severity.ERROR,
            "collector",
            "store",
            f"时序库暂时写不进：{reason}；数据在采集队列里等待，不会丢失",
        )
        self._events.tell(event, "stuck")

    def _recovered(self) -> None:
        if self._failures:
            message = f"时序库恢复写入，失败 {self._failures} 次"
            event = Event(self._clock(), EventKind.STORE, Severity.INFO, "collector", "store", message)
            self._events.tell(event, "recovered")
        self._failures = 0
        self.state = replace(self.state, stuck="")
