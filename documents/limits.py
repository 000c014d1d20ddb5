"""What a table file from outside may cost.

Owns the figures only; `documents.reading`, `archive` and `sandbox` keep them.
"""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes sent and unpacked, archive entries, ratio, rows, columns, characters, seconds, memory [bytes]."""

    file_bytes: int = 10 * MIB
    unpacked_bytes: int = 100 * MIB
    entries: int = 2_000
    ratio: int = 200
    rows: int = 20_000
    columns: int = 200
    text_characters: int = 20_000_000
    seconds: int = 30
    memory_bytes: int = 256 * MIB
