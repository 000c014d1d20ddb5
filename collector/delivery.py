"""Handing samples to the store, and what became of them.

Owns the one way of writing from the spool into an engine: a sample that the engine refuses is set aside alone
and never holds up the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from store.samples import Sample, samples_to_table
from store.series import Conflict, SeriesStore


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that cannot be stored: where it came from, why, and its bytes."""

    source: str
    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one round of draining did: rows stored and duplicate, rows set aside, conflicts found."""

    rows: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: tuple[Rejected, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    unavailable: str = ""


def write_all(store: SeriesStore, samples: Sequence[Sample]) -> Delivery:
    """Write samples to the store; a sample that the store cannot hold is set aside alone.

    Raises SeriesUnavailableError when the store takes nothing now.
    """
    if not samples:
        return Delivery()
    try:
        result = store.write(samples_to_table(samples))
    except (ValueError, KeyError, OverflowError, TypeError) as error:
        if len(samples) == 1:
            reason = f"时序库不接受：{error}"
            rejected = Rejected(samples[0].device_id, reason, repr(samples[0]).encode())
            return Delivery(rows=1, rejected=(rejected,))
        middle = len(samples) // 2
        first, second = write_all(store, samples[:middle]), write_all(store, samples[middle:])
        return Delivery(
            rows=len(samples),
            stored=first.stored + second.stored,
            duplicates=first.duplicates + second.duplicates,
            rejected=first.rejected + second.rejected,
            conflicts=first.conflicts + second.conflicts,
        )
    return Delivery(len(samples), result.stored, result.duplicates, (), result.conflicts)
