"""A store whose server is away when the program starts.

Owns the wait: every question tries again to open the store, not more often than the pause allows, and says
meanwhile what stands in the way. What is wrong (token, bucket, address) never gets here: it stops the start.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic

import pyarrow as pa

from store.problem import ProblemsError
from store.samples import Sample
from store.series import SeriesStore, SeriesUnavailableError, Side, Statistics, WriteResult

PAUSE_SECONDS = 3.0


class PatientSeries:
    """The store behind an opener, from the moment on at which its server answers.

    Until then every question raises SeriesUnavailableError.
    """

    def __init__(self, opener: Callable[[], SeriesStore], reason: ProblemsError) -> None:
        self._opener = opener
        self._store: SeriesStore | None = None
        self._reason = str(reason)
        self._tried_at = monotonic()
        self._opening = threading.Lock()

    @property
    def reason(self) -> str:
        """Why the store is away, as it was told last."""
        return self._reason

    def _opened(self) -> SeriesStore:
        if self._store is not None:
            return self._store
        if self._opening.acquire(blocking=False):
            try:
                self._try()
            finally:
                self._opening.release()
        if self._store is None:
            raise SeriesUnavailableError(self._reason)
        return self._store

    def _try(self) -> None:
        if self._store is not None or monotonic() - self._tried_at < PAUSE_SECONDS:
            return
        try:
            self._store = self._opener()
        except ProblemsError as error:
            self._reason = str(error)
        self._tried_at = monotonic()

    # What a store does; see `store.series.SeriesStore`

    @property
    def settling(self) -> timedelta:
        """See the contract."""
        return self._opened().settling

    def write(self, batch: pa.Table) -> WriteResult:
        """See the contract."""
        return self._opened().write(batch)

    def latest(self, device_ids: Sequence[str] | None = None) -> Mapping[str, Sample]:
        """See the contract."""
        return self._opened().latest(device_ids)

    def read(
        self, device_ids: Sequence[str], start: datetime, end: datetime, quantities: Sequence[str]
    ) -> pa.Table:
        """See the contract."""
        return self._opened().read(device_ids, start, end, quantities)

    def downsample(
        self,
        device_ids: Sequence[str],
        interval: tuple[datetime, datetime],
        step: timedelta,
        quantities: Mapping[str, str],
    ) -> pa.Table:
        """See the contract."""
        return self._opened().downsample(device_ids, interval, step, quantities)

    def boundary_readings(
        self, device_ids: Sequence[str], quantity: str, boundaries: Sequence[datetime], side: Side = "both"
    ) -> pa.Table:
        """See the contract."""
        return self._opened().boundary_readings(device_ids, quantity, boundaries, side)

    def coverage(
        self, device_ids: Sequence[str], interval: tuple[datetime, datetime], step: timedelta
    ) -> pa.Table:
        """See the contract."""
        return self._opened().coverage(device_ids, interval, step)

    def delete_before(self, time: datetime) -> int:
        """See the contract."""
        return self._opened().delete_before(time)

    def statistics(self) -> Statistics:
        """See the contract."""
        return self._opened().statistics()

    def close(self) -> None:
        """See the contract; a store that never opened has nothing to close."""
        if self._store is not None:
            self._store.close()
