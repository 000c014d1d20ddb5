"""DL/T 645-2007 meter frames: requests to read, and answers found in noise.

Pure: bytes in, values out. Owns the frame, the two requests that a reader needs (data, and the meter's
address), and BCD. No request that writes, freezes, sets or clears exists here. The line is the poller's.

Source: DL/T 645-2007 as restated in public worked frames (tests/cases/dumps/dlt645_2007.json).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.profile.types import DIRECT, Decoded, Identity, MeterItem, Missing, Point, Profile, Ratios

START = 0x68
END = 0x16
WAKE_UP = b"\xfe"
ANY_METER = "AAAAAAAAAAAA"
READ_DATA = 0x11
READ_FOLLOWING = 0x12
READ_ADDRESS = 0x13
ANSWER_BIT = 0x80
ERROR_BIT = 0x40
MORE_BIT = 0x20
_FUNCTION_MASK = 0x1F
_OFFSET = 0x33
_ADDRESS_BYTES = 6
_HEAD = 10
_TAIL = 2
_LONGEST = 200
_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Frame:
    """One valid frame: the meter's address (12 digits), control byte, and data with 33H taken off."""

    address: str
    control: int
    data: bytes

    @property
    def is_answer(self) -> bool:
        """Whether a meter sent it; our own request comes back as an echo on many lines."""
        return bool(self.control & ANSWER_BIT)

    @property
    def is_error(self) -> bool:
        """Whether the meter refuses: final for the item that was asked."""
        return self.is_answer and bool(self.control & ERROR_BIT)

    @property
    def has_more(self) -> bool:
        """Whether the answer goes on in a following frame."""
        return bool(self.control & MORE_BIT)

    @property
    def identifier(self) -> str:
        """The data identifier of a data answer (8 hex digits, DI3 first), empty otherwise."""
        wanted = self.control & _FUNCTION_MASK in {READ_DATA, READ_FOLLOWING}
        if not wanted or self.is_error or len(self.data) < 4:  # noqa: PLR2004, the identifier's bytes
            return ""
        return self.data[3::-1].hex().upper()

    @property
    def payload(self) -> bytes:
        """The bytes after the identifier, low byte first."""
        return self.data[4:]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a buffer held: valid frames in order, and the bytes to keep until more arrive."""

    frames: tuple[Frame, ...]
    rest: bytes


def _address_bytes(address: str) -> bytes:
    if len(address) != 2 * _ADDRESS_BYTES:
        raise ValueError(f"“{address}” is no meter address of 12 digits")
    return bytes.fromhex(address)[::-1]


def _frame(address: str, control: int, data: bytes, wake_up: int) -> bytes:
    body = bytes([START]) + _address_bytes(address) + bytes([START, control, len(data)])
    body += bytes((byte + _OFFSET) % 256 for byte in data)
    return WAKE_UP * wake_up + body + bytes([sum(body) % 256, END])


def read_request(address: str, identifier: str, *, wake_up: int = 4) -> bytes:
    """Return the request for one data item; raises ValueError for a malformed address or identifier."""
    data = bytes.fromhex(identifier)[::-1]
    if len(data) != 4:  # noqa: PLR2004, the identifier's bytes
        raise ValueError(f"“{identifier}” is no data identifier of 8 hex digits")
    return _frame(address, READ_DATA, data, wake_up)


def following_request(address: str, identifier: str, sequence: int, *, wake_up: int = 4) -> bytes:
    """Return the request for the next part of an answer that did not fit one frame."""
    data = bytes.fromhex(identifier)[::-1] + bytes([sequence])
    return _frame(address, READ_FOLLOWING, data, wake_up)


def address_request(*, wake_up: int = 4) -> bytes:
    """Return the request for the address of the only meter on the line."""
    return _frame(ANY_METER, READ_ADDRESS, b"", wake_up)


def _frame_at(buffer: bytes, position: int) -> Frame | int | None:
    """Return the frame that starts at a position, its missing bytes, or None when none can start there."""
    head = buffer[position : position + _HEAD]
    if len(head) > _ADDRESS_BYTES + 1 and head[_ADDRESS_BYTES + 1] != START:
        return None
    if len(head) < _HEAD:
        return _HEAD - len(head)
    length = head[9]
    if length > _LONGEST:
        return None
    end = position + _HEAD + length + _TAIL
    if len(buffer) < end:
        return end - len(buffer)
    if buffer[end - 1] != END or sum(buffer[position : end - _TAIL]) % 256 != buffer[end - _TAIL]:
        return None
    data = bytes((byte - _OFFSET) % 256 for byte in buffer[position + _HEAD : end - _TAIL])
    return Frame(head[6:0:-1].hex().upper(), head[8], data)


def take_frames(buffer: bytes) -> Taken:
    """Return every valid frame in a buffer, whatever noise stands around them.

    The rest begins at the first place where a frame may still be completed by later bytes.
    """
    frames: list[Frame] = []
    waiting = -1
    position = buffer.find(START)
    while position >= 0:
        found = _frame_at(buffer, position)
        if isinstance(found, Frame):
            frames.append(found)
            waiting = -1
            position = buffer.find(START, position + _HEAD + len(found.data) + _TAIL)
            continue
        if found is not None and waiting < 0:
            waiting = position
        position = buffer.find(START, position + 1)
    return Taken(tuple(frames), buffer[waiting:] if waiting >= 0 else b"")


def digits(payload: bytes) -> str | None:
    """Return the decimal digits of BCD bytes, low byte first; None when a nibble is no digit."""
    text = payload[::-1].hex()
    return text if text.isdecimal() else None


def item_value(item: MeterItem, payload: bytes, ratios: Ratios = DIRECT) -> float | int | str | Missing:
    """Return the value of an item in its unit, or why there is none."""
    if len(payload) != item.length:
        return Missing.PARTIAL if len(payload) < item.length else Missing.UNREADABLE
    if item.identity:
        return digits(payload) or Missing.UNREADABLE
    negative = item.signed and bool(payload[-1] & 0x80)
    text = digits(payload[:-1] + bytes([payload[-1] & 0x7F])) if negative else digits(payload)
    if text is None:
        return Missing.NOT_AVAILABLE
    numerator = item.numerator
    for name in item.ratio:
        numerator *= ratios.pt if name == "pt" else ratios.ct
    product = (-int(text) if negative else int(text)) * numerator
    whole, rest = divmod(product, item.denominator)
    return product / item.denominator if rest else whole


def _point(item: MeterItem, payload: bytes, ratios: Ratios) -> Point:
    value = item_value(item, payload, ratios)
    missing = value if isinstance(value, Missing) else None
    return Point(
        name=item.name,
        quantity=item.quantity,
        value=None if isinstance(value, Missing) else value,
        missing=missing,
        unit=item.unit,
        function_code=READ_DATA,
        address=int(item.identifier, 16),
        document=int(item.identifier, 16),
        raw=tuple(payload),
    )


def decode_payloads(profile: Profile, payloads: Mapping[str, bytes], ratios: Ratios = DIRECT) -> Decoded:
    """Return what a meter's answers give: payloads by identifier, as `Frame.payload` holds them.

    In the points, `address` is the identifier as a number and `raw` the payload's bytes.
    """
    known = [item for item in profile.items if item.identifier in payloads]
    points = tuple(_point(item, payloads[item.identifier], ratios) for item in known)
    values = {
        point.quantity: point.value
        for point in points
        if point.quantity and isinstance(point.value, int | float)
    }
    serial = next(
        (
            str(point.value)
            for item, point in zip(known, points, strict=True)
            if item.identity and point.value
        ),
        "",
    )
    return Decoded(points, values, None, "", (), Identity(serial=serial), None)


def payloads_of(frames: Sequence[Frame]) -> dict[str, bytes]:
    """Return the payloads of data answers by identifier; echoes and refusals are left out."""
    return {frame.identifier: frame.payload for frame in frames if frame.is_answer and frame.identifier}
