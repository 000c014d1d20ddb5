"""Hiding personal numbers in text that is kept or shown outside the household records.

Owns the one rule of what an identity, card or telephone number looks like. Pure; it knows no log and no page.
"""

import re

_IDENTITY = r"[1-9]\d{16}[\dXx]"
_CARD = r"\d{16,19}"
_PHONE = r"1[3-9]\d{9}"
_PERSONAL = re.compile(rf"(?<![0-9A-Za-z])(?:{_IDENTITY}|{_CARD}|{_PHONE})(?![0-9A-Za-z])")
_URL_PASSWORD = re.compile(r"(\w+://[^:/\s@]*):[^@/\s]+@")
HIDDEN = "***"


def redact(text: str) -> str:
    """Return a text in which identity, card and telephone numbers and passwords in addresses are hidden."""
    return _URL_PASSWORD.sub(rf"\1:{HIDDEN}@", _PERSONAL.sub(HIDDEN, text))
