"""Operational events on their way from the collector's loops to whoever records them.

Owns the bounded queue between loops that must not wait and a recorder that may, and the throttle that
keeps one bad device from filling the page. What an event is belongs to `store.events`.
"""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from store.events import Event

EventSink = Callable[[Event], None]
LOG = logging.getLogger("sunledger.collector")
QUEUE_LIMIT = 10_000
QUIET = timedelta(hours=1)


class EventRelay:
    """Hands events to `sink` in a thread of its own; `tell` never waits and never raises."""

    def __init__(self, sink: EventSink) -> None:
        self._sink = sink
        self._queue: queue.Queue[Event | None] = queue.Queue(QUEUE_LIMIT)
        self._thread = threading.Thread(target=self._run, name="collector-events", daemon=True)
        self.lost = 0

    def start(self) -> None:
        """Begin to hand events over."""
        self._thread.start()

    def tell(self, event: Event) -> None:
        """Take an event; when the recorder is far behind the event is counted as lost and logged."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.lost += 1
            LOG.warning("event not recorded: %s", event.message)

    def stop(self) -> None:
        """Hand over what is queued, then end."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(timeout=30)

    def _run(self) -> None:
        while (event := self._queue.get()) is not None:
            try:
                self._sink(event)
            except (SQLAlchemyError, OSError, ValueError):
                self.lost += 1
                LOG.exception("event not recorded: %s", event.message)


class Throttle:
    """Lets the first event of a subject and reason through, then one an hour with the number in between."""

    def __init__(self, relay: EventRelay, quiet: timedelta = QUIET) -> None:
        self._relay = relay
        self._quiet = quiet
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str], tuple[datetime, int]] = {}

    def tell(self, event: Event, reason: str) -> None:
        """Pass an event on, or count it when the same reason was told within the last hour."""
        key = (event.subject_id, reason)
        with self._lock:
            known = self._last.get(key)
            if known is not None and event.at - known[0] < self._quiet:
                self._last[key] = (known[0], known[1] + 1)
                return
            if len(self._last) > QUEUE_LIMIT:
                self._last.clear()
            self._last[key] = (event.at, 0)
        if known is not None and known[1]:
            event = replace(event, message=f"{event.message}（此前另有 {known[1]} 次）")
        self._relay.tell(event)
