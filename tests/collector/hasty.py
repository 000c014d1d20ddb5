"""An event loop whose hour takes a second: real sockets, but nobody waits where nothing happens.

The loop's clock, and with it every timer, jumps to the next timer when no socket has anything to say.
"""

import asyncio
import selectors
import time
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta

import pytest

_really = time.monotonic
LISTEN = 0.004
"""How long real peers get to answer before the clock jumps [s]; they answer on this machine."""


class HastyLoop(asyncio.SelectorEventLoop):
    """Shows a time of its own; `clock` is that time as a wall clock."""

    def __init__(self) -> None:
        self.skipped = 0.0
        super().__init__(_HastySelector(self))

    def time(self) -> float:
        return _really() + self.skipped

    def clock(self) -> datetime:
        return datetime(2026, 6, 1, tzinfo=UTC) + timedelta(seconds=self.time())


class _HastySelector(selectors.DefaultSelector):  # type: ignore[valid-type, misc]
    def __init__(self, loop: HastyLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= LISTEN:
            return super().select(timeout)
        found = super().select(LISTEN)
        if not found:
            self._loop.skipped += timeout - LISTEN
        return found


def hastily(story: Coroutine[object, object, None], loop: HastyLoop, patch: pytest.MonkeyPatch) -> None:
    """Run a story in the loop; what the collector reads as the monotonic clock is the loop's."""
    patch.setattr("time.monotonic", loop.time)
    try:
        loop.run_until_complete(story)
    finally:
        patch.undo()
        loop.close()
