"""Kinds of values that programs send: words that both databases can keep, and instants.

Owns the shapes only; what a value may mean is decided where it is used.
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def _storable(text: str) -> str:
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("characters that no database keeps")
    return text


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Words = Annotated[str, AfterValidator(_storable)]
"""Text without NUL and lone surrogates."""
Instant = Annotated[AwareDatetime, Field(ge=_FIRST, le=_LAST), AfterValidator(_utc)]
"""An instant with its offset, between the years 2000 and 2100; UTC from here on."""
