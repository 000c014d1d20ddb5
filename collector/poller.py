"""The polling loop: one owner per line, one request in flight, nothing that one device does delays another.

Owns when devices are polled and what happens to a poll that fails: no sample, a communication event, and
a growing pause. What is read is `device`'s; where samples go is the caller's.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

from collector.backoff import Backoff
from collector.connections import (
    DIAL_IN_TRANSPORTS,
    DLT645_SERIAL,
    DLT645_TRANSPORTS,
    MODBUS_DIAL_IN,
    MODBUS_RTU_TCP,
    MODBUS_SERIAL,
    ConnectionStatus,
    DeviceLink,
    LinkState,
    StatusBoard,
)
from collector.costs import Costs
from collector.device import Failure, Outcome, PolledDevice, phase_of
from collector.dialin import DialInClient, DialInListener
from collector.learned import DeviceModel, Learned
from collector.meterline import MeterClient, PolledMeter
from collector.modbus import Line, LineClient, ModbusClient
from collector.networks import address_problem, peer_problem, port_settings_problem
from collector.notices import Throttle
from collector.profile import load_profile
from collector.settings import CollectorSettings
from store.events import Event, EventKind, Severity
from store.periods import SHANGHAI, Clock
from store.problem import ProblemsError
from store.quality import check
from store.samples import Sample

LOG = logging.getLogger("sunledger.collector.poller")
Sink = Callable[[Sample], None]
IDLE_SECONDS = 1.0
RESTART_SECONDS = 5.0
SHORTEST_DEADLINE = 10.0
OVERSUBSCRIBED_AFTER = 3
RESTING = "resting"
LINE_LAYERS = frozenset({"refused", "taken", RESTING})
"""Failures that the whole line is left alone for, not the one device."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every line shares: settings, clock, status board, where samples and events go."""

    settings: CollectorSettings
    clock: Clock
    board: StatusBoard
    sink: Sink
    events: Throttle
    dial_in: DialInListener | None = None
    learned: Learned = field(default_factory=Learned)
    costs: Costs = field(default_factory=Costs)


def line_of(link: DeviceLink, timeout: float) -> Line:
    """Return the line of a link; a serial port may carry its settings: `/dev/ttyS0?baud=2400&parity=E`."""
    path, _, query = link.host.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    meter = link.transport in DLT645_TRANSPORTS
    baudrate, parity = (
        options.get("baud", "2400" if meter else "9600"),
        options.get("parity", "E" if meter else "N"),
    )
    problem = port_settings_problem(baudrate, parity)
    if problem:
        raise ValueError(problem)
    return Line(
        host=path,
        port=link.port,
        rtu=link.transport in {MODBUS_RTU_TCP, MODBUS_DIAL_IN},
        serial=link.transport in {MODBUS_SERIAL, DLT645_SERIAL},
        baudrate=int(baudrate),
        parity=parity,
        timeout=timeout,
    )


class LinePoller:
    """Polls the devices of one line one after another, each in its own second of its cycle."""

    def __init__(self, devices: Sequence[PolledDevice], around: Surroundings) -> None:
        self._around = around
        self._devices = list(devices)
        self._client: LineClient = self._make_client()
        self._backoff = Backoff(around.settings.backoff_seconds)
        self._rest: asyncio.Future[bool] | None = None
        for device in self._devices:
            device.due = self._first_due(device)

    def _make_client(self) -> LineClient:
        link, rules = self._devices[0].link, self._devices[0].profile.rules
        timeout = self._around.settings.request_timeout_seconds or rules.timeout_s
        line = line_of(link, timeout)
        gap = max(device.profile.rules.request_gap_s for device in self._devices)
        if link.transport in DLT645_TRANSPORTS:
            return MeterClient(line, gap)
        if link.transport not in DIAL_IN_TRANSPORTS:
            return ModbusClient(line, gap)
        if self._around.dial_in is None:
            raise ValueError("没有打开 DTU 接入端口")
        return self._around.dial_in.client_for(link.host, line, gap)

    def _first_due(self, device: PolledDevice) -> float:
        """Return the next instant [monotonic s] of the device's own second of the wall-clock cycle."""
        cycle = device.cycle
        wait = (phase_of(device.link.station_id, cycle) - self._around.clock().timestamp()) % cycle
        return time.monotonic() + wait

    def put_devices(self, devices: Sequence[PolledDevice]) -> None:
        """Take a new list of devices; the connection and what is known of those that stay are kept."""
        known = {device.link: device for device in self._devices}
        self._devices = [known.get(device.link, device) for device in devices]
        for device in self._devices:
            if device.link not in known:
                device.due = self._first_due(device)
        if self._rest is not None:
            self._wake(self._rest, undisturbed=False)

    @staticmethod
    def _wake(rest: asyncio.Future[bool], undisturbed: bool = True) -> None:
        if not rest.done():
            rest.set_result(undisturbed)

    async def _undisturbed(self, wait: float) -> bool:
        """Wait [s]; tells whether the list of devices is still the same (a plain timer, for speed)."""
        loop = asyncio.get_running_loop()
        self._rest = loop.create_future()
        timer = loop.call_later(wait, self._wake, self._rest)
        try:
            return await self._rest
        finally:
            timer.cancel()

    @property
    def registration(self) -> str:
        """The registration packet of a dial-in line, or an empty text."""
        return self._client.line.host if isinstance(self._client, DialInClient) else ""

    async def run(self) -> None:
        """Poll until cancelled; whatever goes wrong in one turn, the next one comes."""
        try:
            while True:
                try:
                    await self._turn()
                except Exception as error:
                    # This loop must live on: one defect must not end the collection of a line for good.
                    LOG.exception("line %s", self._client.line)
                    self._tell_defect(error)
                    await asyncio.sleep(RESTART_SECONDS)
        finally:
            self._client.close()

    async def _turn(self) -> None:
        """Wait for the next device that is due and poll it."""
        device = min(self._devices, key=lambda item: item.due, default=None)
        wait = IDLE_SECONDS if device is None else device.due - time.monotonic()
        if (wait > 0 and not await self._undisturbed(wait)) or device is None:
            return
        began = time.monotonic()
        self._schedule_next(device, began)
        if self._over_cap():
            self._leave_out(device)
        elif began < device.backoff.not_before:
            self._miss(device)
        else:
            await self._poll(device, began)

    def _schedule_next(self, device: PolledDevice, now: float) -> None:
        """Put the next poll one cycle later; whole cycles that are gone already are skipped and counted."""
        late = now - device.due
        skipped = max(int(late // device.cycle), 0)
        device.due += device.cycle * (skipped + 1)
        device.skipped_in_row = device.skipped_in_row + 1 if skipped else 0
        if skipped:
            self._update(device, lambda status: replace(status, skipped=status.skipped + skipped))

    def _over_cap(self) -> bool:
        """Tell whether the line has cost what one SIM card may cost today."""
        settings, today = self._around.settings, self._today()
        if not settings.daily_request_cap and not settings.daily_byte_cap:
            return False
        costs = [self._around.costs.of(device.link.device_id, today) for device in self._devices]
        requests = sum(cost.requests for cost in costs)
        volume = sum(cost.bytes_exchanged for cost in costs)
        return (0 < settings.daily_request_cap <= requests) or (0 < settings.daily_byte_cap <= volume)

    def _today(self) -> str:
        return self._around.clock().astimezone(SHANGHAI).date().isoformat()

    async def _poll(self, device: PolledDevice, began: float) -> None:
        client = self._client
        requests, volume = client.requests, client.bytes_exchanged
        deadline = max(device.cycle, SHORTEST_DEADLINE)
        try:
            async with asyncio.timeout(deadline):
                outcome = await self._read(device, began)
        except TimeoutError:
            client.close()
            outcome = Outcome(failure=Failure("silence", f"{deadline:g} 秒内没有读完"))
        device.cost = self._around.costs.charge(
            device.link.device_id, self._today(), client.requests - requests, client.bytes_exchanged - volume
        )
        if device.absent:
            model = DeviceModel(device.link.device_id, device.profile.name)
            self._around.learned.note_new(model, device.absent)
        self._conclude(device, outcome, began)

    async def _read(self, device: PolledDevice, began: float) -> Outcome:
        fresh = not self._client.connected
        if fresh:
            failure = await self._connect(device, began)
            if failure is not None:
                return Outcome(failure=failure)
        outcome = await device.read(self._client, began)
        called = device.link.transport in DIAL_IN_TRANSPORTS
        hung_up = outcome.failure is not None and outcome.failure.layer == "connect"
        if fresh and hung_up and outcome.decoded is None and not called:
            self._line_refused(began)
            return Outcome(failure=Failure("taken", "刚连上就被对方断开：可能被另一个主站占用"))
        return outcome

    async def _connect(self, device: PolledDevice, now: float) -> Failure | None:
        """Open the line, unless it refused a short while ago; returns why it is not open."""
        if now < self._backoff.not_before:
            return Failure(RESTING, "线路连不上，稍后再试")
        called = device.link.transport in DIAL_IN_TRANSPORTS
        line, networks = self._client.line, self._around.settings.allowed_networks
        serial_ports = self._around.settings.serial_ports
        problem = "" if called else await address_problem(line, networks, serial_ports)
        if problem:
            return Failure("forbidden", problem)
        if await self._client.connect():
            problem = "" if called else peer_problem(self._client.peer, networks)
            if problem:
                self._client.close()
                return Failure("forbidden", problem)
            await asyncio.sleep(device.profile.rules.connect_delay_s)
            return None
        if called:
            return Failure("refused", "DTU 没有接入")
        self._line_refused(now)
        return Failure("refused", "连不上：对方拒绝连接或没有应答")

    def _line_refused(self, now: float) -> None:
        self._backoff.failed(now, min(device.cycle for device in self._devices))

    def _conclude(self, device: PolledDevice, outcome: Outcome, began: float) -> None:
        """Turn what a poll gave into a sample, a status and events."""
        now = self._around.clock()
        latency = (time.monotonic() - began) * 1000
        values = dict(outcome.decoded.values) if outcome.decoded is not None else {}
        if values and outcome.decoded is not None:
            if outcome.decoded.device_clock is not None:
                values["clock_skew_s"] = (outcome.decoded.device_clock - now).total_seconds()
            sample = Sample(device.link.device_id, now, now, values)
            self._around.sink(replace(sample, flags=check(sample, device.link.rated_power_w)))
        if outcome.identity is not None:
            self._note_identity(device, outcome.identity.identity.serial, now)
        failure = outcome.failure
        if failure is None and not values:
            failure = Failure("exception", "应答里没有可用的量")
        if failure is None:
            self._good(device, now, latency)
        else:
            if self._client.connected or values:
                self._backoff.succeeded()
            if failure.layer not in LINE_LAYERS:
                device.backoff.failed(began, device.cycle)
            self._failed(device, failure, now)

    def _note_identity(self, device: PolledDevice, serial: str, now: datetime) -> None:
        """Tell when another device answers at the address than before."""
        known, device.serial = device.serial, serial or device.serial
        if known and serial and known != serial:
            message = f"设备序列号由 {known} 变为 {serial}：可能换了设备，请核对台账"
            self._tell(device.link, Severity.WARNING, message, now, layer="identity")

    def _good(self, device: PolledDevice, now: datetime, latency: float) -> None:
        before = self._around.board.get(device.link.device_id)
        device.backoff.succeeded()
        self._backoff.succeeded()
        crowded = device.skipped_in_row >= OVERSUBSCRIBED_AFTER
        self._update(
            device,
            lambda status: replace(
                status,
                state=LinkState.OVERSUBSCRIBED if crowded else LinkState.GOOD,
                last_good_at=now,
                latency_ms=latency,
                polls=status.polls + 1,
                failures=0,
                failing_since=None,
                requests=device.cost.requests,
                bytes_exchanged=device.cost.bytes_exchanged,
            ),
        )
        if before is not None and before.failing_since is not None:
            lasted = _duration(now - before.failing_since)
            message = f"通信恢复，中断 {lasted}，缺 {before.failures} 次"
            self._tell(device.link, Severity.INFO, message, now, layer="recovered")

    def _failed(self, device: PolledDevice, failure: Failure, now: datetime) -> None:
        states = {"busy": LinkState.BUSY, "taken": LinkState.BUSY, "forbidden": LinkState.MISCONFIGURED}
        before = self._around.board.get(device.link.device_id)
        if before is not None and before.failing_since is not None and failure.layer == RESTING:
            self._miss(device)
            return
        self._update(
            device,
            lambda status: replace(
                status,
                state=states.get(failure.layer, LinkState.FAILING),
                last_error=failure.reason,
                last_error_at=now,
                polls=status.polls + 1,
                missed=status.missed + 1,
                failures=status.failures + 1,
                failing_since=status.failing_since or now,
                requests=device.cost.requests,
                bytes_exchanged=device.cost.bytes_exchanged,
            ),
        )
        known = before is None or (before.failing_since is not None and before.last_error == failure.reason)
        if not known and failure.layer != RESTING:
            self._tell(device.link, Severity.WARNING, failure.reason, now, layer=failure.layer)

    def _miss(self, device: PolledDevice) -> None:
        """Count a poll that was left out while the device is left alone."""
        self._update(
            device,
            lambda status: (
                replace(status, missed=status.missed + 1, failures=status.failures + 1)
                if status.failing_since is not None
                else replace(status, missed=status.missed + 1)
            ),
        )

    def _leave_out(self, device: PolledDevice) -> None:
        """Leave a device alone for the rest of the day because its line has cost enough; tell it once."""
        self._miss(device)
        before, now = self._around.board.get(device.link.device_id), self._around.clock()
        if before is None or before.state is LinkState.CAPPED:
            return
        reason = "这条线路今天的问答次数或流量已到上限，明天再问"
        self._update(
            device,
            lambda status: replace(status, state=LinkState.CAPPED, last_error=reason, last_error_at=now),
        )
        self._tell(device.link, Severity.WARNING, reason, now, layer="capped")

    def _update(self, device: PolledDevice, change: Callable[[ConnectionStatus], ConnectionStatus]) -> None:
        status = self._around.board.get(device.link.device_id)
        if status is not None:
            self._around.board.put(change(status))

    def _tell(self, link: DeviceLink, severity: Severity, message: str, now: datetime, *, layer: str) -> None:
        self._around.events.tell(
            Event(
                at=now,
                kind=EventKind.COMMUNICATION,
                severity=severity,
                subject_kind="device",
                subject_id=link.device_id,
                message=f"{message}（{link.address}）",
                division_code=link.division_code,
                detail={"layer": layer, "station_id": link.station_id},
            ),
            layer,
        )

    def _tell_defect(self, error: Exception) -> None:
        for device in self._devices[:1]:
            message = f"采集程序出错，已继续：{type(error).__name__}"
            self._tell(device.link, Severity.ERROR, message, self._around.clock(), layer="defect")


def _duration(span: timedelta) -> str:
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} 小时 {minutes} 分"
    return f"{minutes} 分 {seconds} 秒" if minutes else f"{seconds} 秒"


class Poller:
    """All lines: makes, reloads and ends the pollers of the links that are polled."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._lines: dict[str, LinePoller] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def put_links(self, links: Iterable[DeviceLink]) -> None:
        """Take a list of links: new lines start, gone ones end, the rest keeps its connections."""
        wanted = self._by_line(links)
        for endpoint in [item for item in self._lines if item not in wanted]:
            await self._end(endpoint)
        for endpoint, devices in wanted.items():
            if endpoint in self._lines:
                self._lines[endpoint].put_devices(devices)
            else:
                try:
                    line = LinePoller(devices, self._around)
                except ValueError as error:
                    for device in devices:
                        self._misconfigured(device.link, str(error))
                    continue
                self._lines[endpoint] = line
                self._tasks[endpoint] = asyncio.create_task(line.run(), name=f"line {endpoint}")

    def _by_line(self, links: Iterable[DeviceLink]) -> dict[str, list[PolledDevice]]:
        lines: dict[str, list[PolledDevice]] = {}
        for link in links:
            try:
                profile = load_profile(link.profile)
            except ProblemsError as error:
                self._misconfigured(link, str(error))
                continue
            meter = link.transport in DLT645_TRANSPORTS
            if meter != (profile.protocol == "dlt645"):
                self._misconfigured(link, f"档案 {link.profile} 与接入方式 {link.transport} 不符")
                continue
            device = PolledMeter(link, profile) if meter else PolledDevice(link, profile)
            device.backoff = Backoff(self._around.settings.backoff_seconds)
            device.absent = self._around.learned.absent(DeviceModel(link.device_id, profile.name))
            lines.setdefault(link.endpoint, []).append(device)
        return lines

    def _misconfigured(self, link: DeviceLink, problem: str) -> None:
        now = self._around.clock()
        status = self._around.board.get(link.device_id)
        if status is not None:
            self._around.board.put(
                replace(status, state=LinkState.MISCONFIGURED, last_error=problem, last_error_at=now)
            )
        self._around.events.tell(
            Event(
                at=now,
                kind=EventKind.COMMUNICATION,
                severity=Severity.ERROR,
                subject_kind="device",
                subject_id=link.device_id,
                message=f"设备接入配置有误：{problem}",
                division_code=link.division_code,
            ),
            "misconfigured",
        )

    async def _end(self, endpoint: str) -> None:
        line = self._lines.pop(endpoint)
        task = self._tasks.pop(endpoint)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if self._around.dial_in is not None and line.registration:
            self._around.dial_in.forget([line.registration])

    async def stop(self) -> None:
        """End every line and close its connection."""
        for endpoint in list(self._lines):
            await self._end(endpoint)
