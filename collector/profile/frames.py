"""Raw Modbus frames as they were captured: RTU, TCP, and the UDP wrapper of GoodWe's modules.

Owns taking the words out of an answer, with every check that a client would make. It sends nothing; the
live client is `collector.modbus`.

Source: Modbus application protocol 1.1b3; Modbus over serial line 1.02 (CRC).
"""

from dataclasses import dataclass

from store.problem import Problem, ProblemsError

UDP_MARK = b"\xaa\x55"
_MBAP = 7
_EXCEPTION = 0x80
_READS = frozenset({1, 2, 3, 4})
_SHORTEST = 5
_POLYNOMIAL = 0xA001


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: function code, first wire address and number of registers.

    `unit` and `transaction` (Modbus TCP) are known only where the request's own bytes are.
    """

    function_code: int
    address: int
    count: int
    unit: int | None = None
    transaction: int | None = None

    @property
    def keys(self) -> tuple[tuple[int, int], ...]:
        """The places that were asked for, by function code and wire address."""
        return tuple((self.function_code, self.address + index) for index in range(self.count))


def crc16(data: bytes) -> int:
    """Return the CRC of an RTU frame."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ _POLYNOMIAL if register & 1 else register >> 1
    return register


def _bad(where: str, what: str) -> ProblemsError:
    return ProblemsError([Problem(where, what, "重新抓取，或在文件中删去这一帧")])


def _unwrap(frame: bytes, where: str) -> tuple[bytes, int | None]:
    """Return unit, function code and data of a frame in any of the three wrappings, and its transaction.

    The CRC is tried first: the first bytes of a short RTU request can look like a TCP header.
    """
    wrapped = frame.startswith(UDP_MARK)
    if wrapped:
        frame = frame[len(UDP_MARK) :]
    if len(frame) < _SHORTEST:
        raise _bad(where, "帧太短")
    if crc16(frame[:-2]) == int.from_bytes(frame[-2:], "little"):
        return frame[:-2], None
    if not wrapped and _is_tcp(frame):
        return frame[6:], int.from_bytes(frame[:2], "big")
    raise _bad(where, "CRC 校验不对，也不是 Modbus TCP 帧")


def _is_tcp(frame: bytes) -> bool:
    return (
        len(frame) > _MBAP and frame[2:4] == b"\0\0" and int.from_bytes(frame[4:6], "big") == len(frame) - 6
    )


def read_request(frame: bytes, where: str = "请求帧") -> Request:
    """Return what a request frame asks for; raises ProblemsError when it is no read request."""
    body, transaction = _unwrap(frame, where)
    if len(body) != 6 or body[1] not in _READS:  # noqa: PLR2004, unit, function, address, count
        raise _bad(where, "不是读取请求")
    address, count = int.from_bytes(body[2:4], "big"), int.from_bytes(body[4:6], "big")
    return Request(body[1], address, count, unit=body[0], transaction=transaction)


def writes(frame: bytes) -> bool:
    """Tell whether a sound frame asks for or answers something else than reading registers or bits."""
    try:
        body, _ = _unwrap(frame, "")
    except ProblemsError:
        return False
    return body[1] & ~_EXCEPTION not in _READS


def read_response(frame: bytes, asked: Request, where: str = "应答帧") -> dict[tuple[int, int], int]:
    """Return the words of an answer by (function code, wire address).

    An exception answer gives no words. Raises ProblemsError when the frame does not answer `asked`.
    """
    body, transaction = _unwrap(frame, where)
    code = body[1]
    if asked.unit is not None and body[0] != asked.unit:
        raise _bad(where, f"站号是 {body[0]}，应为 {asked.unit}")
    if None not in {asked.transaction, transaction} and asked.transaction != transaction:
        raise _bad(where, f"事务号是 {transaction}，应为 {asked.transaction}")
    if code == asked.function_code | _EXCEPTION:
        return {}
    if code != asked.function_code:
        raise _bad(where, f"功能码是 {code}，应为 {asked.function_code}")
    data = body[3:]
    if body[2] != len(data) or len(data) != 2 * asked.count:
        raise _bad(where, f"数据有 {len(data)} 字节，应为 {2 * asked.count} 字节")
    return {
        (code, asked.address + index): int.from_bytes(data[2 * index : 2 * index + 2], "big")
        for index in range(asked.count)
    }
