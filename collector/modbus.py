"""Read-only Modbus client: one connection, one request in flight, strict answers.

Owns the only use of pymodbus's client side. Framing of requests, connection and transaction come from
pymodbus; answers are checked here, byte for byte, because a wrong answer must never become a value.
There is no function that writes, and the framer refuses to send any function code but 1-4 and 43/14.
"""

import asyncio
import logging
import struct
import time
from dataclasses import dataclass
from typing import Final, Protocol

from pymodbus.exceptions import ConnectionException, ModbusException
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest
from pymodbus.transaction import TransactionManager
from pymodbus.transport import CommParams, CommType

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

DEVICE_IDENTIFICATION: Final = b"\x2b\x0e"
READ_FUNCTIONS: Final = frozenset({1, 2, 3, 4})
REGISTER_FUNCTIONS: Final = frozenset({3, 4})
ERROR_BIT: Final = 0x80
ANSWER_HEADER_BYTES: Final = 2
EXCEPTION_BYTES: Final = 2
MBAP_BYTES: Final = 7
MBAP_LENGTHS: Final = range(3, 255)
SHORTEST_RTU_BYTES: Final = 5
RTU_OVERHEAD_BYTES: Final = 5
MAX_REGISTERS: Final = 125
MAX_BITS: Final = 2000
BUSY_CODES: Final = frozenset({5, 6})
PERMANENT_CODES: Final = frozenset({1, 2, 3})
EXCEPTION_LABELS: Final = {
    1: "不支持该功能码",
    2: "寄存器地址不存在",
    3: "请求的数量或数据不被接受",
    4: "设备内部故障",
    5: "设备正在处理，请稍候",
    6: "设备忙",
    8: "存储校验错误",
    10: "网关没有到该设备的通路",
    11: "网关后的设备没有应答",
}
_REQUESTS: Final[dict[int, type[ModbusPDU]]] = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}


class ForbiddenFunctionError(ValueError):
    """Something tried to send a function code that could change a device."""


@dataclass(frozen=True, slots=True)
class Ok:
    """The words (or bits) of one block, exactly as many as were asked for."""

    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Retryable:
    """No usable answer this time; asking again later makes sense.

    `layer` names where it failed: `connect`, `silence`, `frame`, `busy`, `exception`.
    """

    layer: str
    reason: str
    exception_code: int = 0


@dataclass(frozen=True, slots=True)
class Permanent:
    """The device refused in a way that will not change by itself (exception 1, 2 or 3)."""

    reason: str
    exception_code: int = 0


Result = Ok | Retryable | Permanent


class Answer(ModbusPDU):
    """A checked answer: words, or an exception code, or the reason why the frame was rejected."""

    def __init__(self, function_code: int, words: tuple[int, ...] = (), fault: str = "") -> None:
        super().__init__()
        self.function_code = function_code
        self.words = words
        self.fault = fault


def check_answer(body: bytes, function_code: int, count: int) -> Answer:
    """Return the answer that the bytes after the unit id hold, judged against the request.

    `body` is function code and data, without checksum; `count` is the number of registers or bits asked
    for. Source: Modbus Application Protocol Specification V1.1b3, sections 6 and 7.
    """
    if len(body) < ANSWER_HEADER_BYTES:
        return Answer(0, fault="应答过短")
    received = body[0]
    if received == function_code | ERROR_BIT:
        if len(body) != EXCEPTION_BYTES or not body[1]:
            return Answer(received, fault="异常应答长度不对")
        answer = Answer(received)
        answer.exception_code = body[1]
        return answer
    if received != function_code:
        return Answer(received, fault=f"功能码不符：问 {function_code}，答 {received}")
    return _check_data(body, function_code, count)


def _check_data(body: bytes, function_code: int, count: int) -> Answer:
    expected = count * 2 if function_code in REGISTER_FUNCTIONS else (count + 7) // 8
    if body[1] != expected or len(body) != expected + ANSWER_HEADER_BYTES:
        return Answer(function_code, fault=f"长度不符：应有 {expected} 字节，收到 {len(body) - 2} 字节")
    if function_code in REGISTER_FUNCTIONS:
        return Answer(function_code, struct.unpack(f">{count}H", body[2:]))
    bits = int.from_bytes(body[2:], "little")
    return Answer(function_code, tuple(bits >> index & 1 for index in range(count)))


class _Strict:
    """What both framers share: the request that is open, and the refusal to send anything that writes."""

    function_code = 0
    count = 0

    def expect(self, function_code: int, count: int) -> None:
        """Name the request whose answer comes next."""
        self.function_code = function_code
        self.count = count

    def judged(self, body: bytes, fault: str, identity: tuple[int, int]) -> Answer:
        """Return the answer under the identity of the open request, so that pymodbus delivers it."""
        answer = Answer(0, fault=fault) if fault else check_answer(body, self.function_code, self.count)
        answer.dev_id, answer.transaction_id = identity
        return answer

    @staticmethod
    def refuse_writes(payload: bytes) -> None:
        """Raise ForbiddenFunctionError unless the payload is a read."""
        if payload[0] not in READ_FUNCTIONS and not payload.startswith(DEVICE_IDENTIFICATION):
            raise ForbiddenFunctionError(f"function code {payload[0]} is never sent to a device")


class StrictSocketFramer(_Strict, FramerSocket):
    """Modbus TCP framing that takes exactly the answer to the open request."""

    def encode(self, payload: bytes, device_id: int, tid: int) -> bytes:
        """Frame a request; only reads pass."""
        self.refuse_writes(payload)
        return super().encode(payload, device_id, tid)

    def handleFrame(  # noqa: N802, the name is pymodbus's
        self, data: bytes, exp_devid: int, exp_tid: int
    ) -> tuple[int, ModbusPDU | None]:
        """Return the bytes used and the answer, which may be a rejected frame."""
        if len(data) <= MBAP_BYTES:
            return 0, None
        transaction, protocol, length, unit = struct.unpack(">HHHB", data[:MBAP_BYTES])
        sound = not protocol and length in MBAP_LENGTHS
        if sound and len(data) < length + MBAP_BYTES - 1:
            return 0, None
        fault = ""
        if not sound:
            fault = "不是 Modbus TCP 报文头"
        elif transaction != exp_tid:
            fault = "事务号不符"
        elif unit != exp_devid:
            fault = "站号不符"
        elif len(data) > length + MBAP_BYTES - 1:
            fault = "应答之后还有多余字节"
        return len(data), self.judged(data[MBAP_BYTES:], fault, (exp_devid, exp_tid))


class StrictRtuFramer(_Strict, FramerRTU):
    """Modbus RTU framing, on a serial line or inside TCP."""

    def encode(self, payload: bytes, device_id: int, tid: int) -> bytes:
        """Frame a request; only reads pass."""
        self.refuse_writes(payload)
        return super().encode(payload, device_id, tid)

    def handleFrame(  # noqa: N802, the name is pymodbus's
        self, data: bytes, exp_devid: int, exp_tid: int
    ) -> tuple[int, ModbusPDU | None]:
        """Return the bytes used and the answer, which may be a rejected frame."""
        if len(data) < SHORTEST_RTU_BYTES:
            return 0, None
        size = SHORTEST_RTU_BYTES if data[1] & ERROR_BIT else data[2] + RTU_OVERHEAD_BYTES
        if len(data) < size:
            return 0, None
        frame, fault = data[:size], ""
        if not self.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big")):
            fault = "校验错误"
        elif frame[0] != exp_devid:
            fault = "站号不符"
        elif len(data) > size:
            fault = "应答之后还有多余字节"
        return len(data), self.judged(frame[1:-2], fault, (exp_devid, exp_tid))


@dataclass(frozen=True, slots=True)
class Line:
    """How to reach a line: TCP host and port, or a serial port with its settings.

    `rtu` chooses RTU framing inside TCP. `timeout` is the deadline of one request and of connecting [s].
    """

    host: str
    port: int = 502
    rtu: bool = False
    serial: bool = False
    baudrate: int = 9600
    parity: str = "N"
    timeout: float = 3.0


class LineClient(Protocol):
    """What the poller needs of a client of any protocol."""

    line: Line
    requests: int
    bytes_exchanged: int

    @property
    def connected(self) -> bool:
        """Whether the connection is open as far as we know."""

    @property
    def peer(self) -> str:
        """The IP address that was reached, empty on a serial line or without a connection."""

    async def connect(self) -> bool:
        """Open the connection; tells whether it stands."""

    def close(self) -> None:
        """Close the connection; it can be opened again."""


def peer_of(transport: asyncio.BaseTransport | None) -> str:
    """Return the IP address at the other end of a transport, empty where there is none."""
    name = transport.get_extra_info("peername") if transport is not None else None
    return str(name[0]) if isinstance(name, tuple) else ""


class _Manager(TransactionManager):
    """pymodbus's transaction manager, which here also ends a request when the connection breaks."""

    waiting = False

    def callback_disconnected(self, exc: Exception | None) -> None:
        """Fail the open request at once instead of waiting for its deadline."""
        super().callback_disconnected(exc)
        if self.waiting and not self.response_future.done():
            self.response_future.set_exception(ConnectionException("connection lost"))


class ModbusClient:
    """One connection to one line. Not for concurrent use: its owner asks one thing at a time.

    `gap` is the pause that the devices want between an answer and the next request [s].
    """

    def __init__(self, line: Line, gap: float = 0.0) -> None:
        self.line = line
        self._gap = gap
        self._free_at = 0.0
        decoder = DecodePDU(False)
        rtu = line.rtu or line.serial
        self._framer = StrictRtuFramer(decoder) if rtu else StrictSocketFramer(decoder)
        self._manager = _Manager(
            _parameters(line),
            self._framer,
            retries=0,
            is_server=False,
            trace_packet=self._count,
            trace_pdu=None,
            trace_connect=None,
        )
        self.requests = 0
        self.bytes_exchanged = 0

    def _count(self, sending: bool, data: bytes) -> bytes:
        if sending:
            self.requests += 1
        self.bytes_exchanged += len(data)
        return data

    @property
    def connected(self) -> bool:
        """Whether the connection is open as far as we know."""
        return self._manager.is_active()

    @property
    def peer(self) -> str:
        """The IP address that was reached, empty on a serial line or without a connection."""
        return peer_of(self._manager.transport)

    async def connect(self) -> bool:
        """Open the connection; tells whether it stands."""
        return await self._manager.connect()

    def close(self) -> None:
        """Close the connection; it can be opened again."""
        self._manager.close()

    async def read(self, unit_id: int, function_code: int, address: int, count: int) -> Result:
        """Read `count` registers (or bits) from a wire address of a unit.

        After a rejected frame, or silence on a line without transaction numbers, the connection is
        closed, so that a late answer cannot be taken for the next one.
        """
        request = _REQUESTS[function_code](address=address, count=count, dev_id=unit_id)
        self._framer.expect(function_code, count)
        wait = self._free_at - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        self._manager.waiting = True
        try:
            answer = await self._manager.execute(False, request)
        except ConnectionException:
            self.distrust()
            return Retryable("connect", "连接被对方断开")
        except ModbusException:
            # A late answer would be taken for the next one.
            self.distrust()
            return Retryable("silence", f"{self.line.timeout:g} 秒内没有应答")
        except OSError as error:
            self.distrust()
            return Retryable("connect", f"连接中断：{error.strerror or error}")
        finally:
            self._manager.waiting = False
            self._free_at = max(self._free_at, time.monotonic() + self._gap)
        return self._judge(answer)

    def _judge(self, answer: ModbusPDU) -> Result:
        if not isinstance(answer, Answer) or answer.fault:
            self.distrust()
            return Retryable("frame", getattr(answer, "fault", "") or "应答无法识别")
        code = answer.exception_code
        self.trust()
        if not code:
            return Ok(answer.words)
        reason = f"设备答复异常 {code}：{EXCEPTION_LABELS.get(code, '未定义的异常')}"
        if code in PERMANENT_CODES:
            return Permanent(reason, code)
        return Retryable("busy" if code in BUSY_CODES else "exception", reason, code)

    def distrust(self) -> None:
        """End a connection on which a late answer could be taken for the next one."""
        self.close()

    def trust(self) -> None:
        """Note a sound answer."""

    def receive(self, data: bytes) -> None:
        """Take bytes of a connection that is read elsewhere."""
        self._manager.data_received(data)

    def lose(self, error: Exception | None) -> None:
        """Note that a connection that is read elsewhere has ended."""
        self._manager.connection_lost(error)


def _parameters(line: Line) -> CommParams:
    if line.serial:
        return CommParams(
            comm_type=CommType.SERIAL,
            comm_name="line",
            host=line.host,
            baudrate=line.baudrate,
            bytesize=8,
            parity=line.parity,
            stopbits=1,
            reconnect_delay=0.0,
            timeout_connect=line.timeout,
        )
    return CommParams(
        comm_type=CommType.TCP,
        comm_name="line",
        host=line.host,
        port=line.port,
        reconnect_delay=0.0,
        timeout_connect=line.timeout,
    )
