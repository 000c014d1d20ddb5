"""One polled device: what to read from it, what it has refused, and when it is due.

Owns the run-time state of a device on its line: the blocks of its profile, addresses that it does not
have, back-off, and what it cost last. It opens no connection and keeps no schedule of others.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from collector.backoff import Backoff
from collector.connections import DeviceLink
from collector.costs import Cost
from collector.modbus import LineClient, ModbusClient, Ok, Permanent, Result, Retryable
from collector.profile import CYCLE, ONCE, Block, Decoded, Field, Profile, decode, plan_blocks
from collector.profile.blocks import cover, fields_in
from collector.profile.discovery import discover
from store.problem import ProblemsError

ILLEGAL_ADDRESS = 2
ILLEGAL_COUNT = 3
SPLIT_REQUESTS = 40
IDENTITY_SECONDS = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a device gave nothing, or not everything: layer as in `Retryable`, reason in Chinese."""

    layer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one poll gave: decoded values (possibly of a part only), the identity if read, the failure."""

    decoded: Decoded | None = None
    identity: Decoded | None = None
    failure: Failure | None = None


def phase_of(station_id: str, cycle_seconds: float) -> float:
    """Return the second of the cycle at which a station is polled: spread by a hash, the same every day."""
    return zlib.crc32(station_id.encode()) % 100_003 / 100_003 * cycle_seconds


def _needed_names(profile: Profile) -> set[str]:
    """Return the names of fields that others depend on, whatever group they are in."""
    names = {profile.state_field, *(word.field_name for word in profile.alarm_words)}
    names.update(number.field_name for number in profile.alarm_codes)
    names.update(name for derived in profile.derived for pair in derived.pairs for name in pair)
    for item in profile.fields:
        names.add(item.scale_name)
        if item.valid_when is not None:
            names.add(item.valid_when.field_name)
        if item.choice is not None:
            names.add(item.choice.field_name)
    return names


def cycle_view(profile: Profile) -> Profile:
    """Return the profile with the fields of the poll cycle only, and those that they depend on."""
    needed = _needed_names(profile)
    kept = tuple(item for item in profile.fields if item.group in CYCLE or item.name in needed)
    return replace(profile, fields=kept)


@dataclass(slots=True)
class PolledDevice:
    """A Modbus device on a line. `due` is an instant of the monotonic clock [s].

    `absent` are the registers that it has refused, by function code and wire address.
    """

    link: DeviceLink
    profile: Profile
    due: float = 0.0
    backoff: Backoff = field(default_factory=Backoff)
    skipped_in_row: int = 0
    serial: str = ""
    absent: frozenset[tuple[int, int]] = frozenset()
    cost: Cost = field(default_factory=Cost)
    _bound: Profile | None = None
    _view: Profile | None = None
    _blocks: tuple[Block, ...] = ()
    _identity_due: float = 0.0

    @property
    def cycle(self) -> float:
        """Poll cycle [s], at least one second."""
        return max(float(self.link.cycle_seconds), 1.0)

    async def read(self, client: LineClient, now: float) -> Outcome:
        """Poll the device once: its blocks, and from time to time its identity.

        `now` is the monotonic clock [s]. A block that is refused for an address is split once and the
        refusal remembered. The poll ends at the first silence or broken frame.
        """
        if not isinstance(client, ModbusClient):
            return Outcome(failure=Failure("forbidden", "这条线路不是 Modbus 线路"))
        failure = await self._bind(client)
        if failure is not None:
            return Outcome(failure=failure)
        words: dict[tuple[int, int], int] = {}
        failure = await self._read_blocks(client, self._blocks, words)
        if not words:
            return Outcome(failure=failure or Failure("exception", "设备拒绝了档案里的全部寄存器"))
        decoded = decode(self._view or self.profile, words, with_points=False)
        identity = None
        if failure is None and now >= self._identity_due:
            identity = await self._read_identity(client, now)
        return Outcome(decoded, identity, failure)

    async def _bind(self, client: ModbusClient) -> Failure | None:
        """Find out once where the device keeps what (SunSpec), and plan the blocks."""
        if self._view is not None:
            return None
        bound = self.profile
        if bound.models and not bound.fields:
            walk = discover(bound)
            try:
                block = next(walk)
                while True:
                    result = await self._request(client, block)
                    if isinstance(result, Retryable):
                        return Failure(result.layer, result.reason)
                    block = walk.send(result.words if isinstance(result, Ok) else None)
            except ProblemsError as error:
                return Failure("exception", str(error))
            except StopIteration as found:
                bound = found.value
        self._bound = bound
        self._plan()
        return None

    def _plan(self) -> None:
        bound = self._bound or self.profile
        self._view = cycle_view(bound)
        self._blocks = plan_blocks(bound, CYCLE, absent=self.absent)

    async def _request(self, client: ModbusClient, block: Block) -> Result:
        return await client.read(self.link.unit_id, block.function_code, block.address, block.count)

    async def _read_blocks(
        self, client: ModbusClient, blocks: Sequence[Block], words: dict[tuple[int, int], int]
    ) -> Failure | None:
        refused: list[Block] = []
        for block in blocks:
            result = await self._request(client, block)
            if isinstance(result, Ok):
                _keep(words, block, result)
            elif isinstance(result, Retryable):
                return Failure(result.layer, result.reason)
            elif result.exception_code in {ILLEGAL_ADDRESS, ILLEGAL_COUNT}:
                refused.append(block)
            else:
                return Failure("exception", result.reason)
        return await self._split(client, refused, words) if refused else None

    async def _split(
        self, client: ModbusClient, refused: Sequence[Block], words: dict[tuple[int, int], int]
    ) -> Failure | None:
        """Find what a refused block hides: halve it until the absent fields are known, then plan anew."""
        profile = self._view or self.profile
        waiting = [_in_order(fields_in(profile, block)) for block in refused]
        absent: set[tuple[int, int]] = set()
        for _ in range(SPLIT_REQUESTS):
            if not waiting:
                break
            fields = waiting.pop(0)
            if len(fields) == 1:
                absent.update((fields[0].function_code, a) for a in _addresses(fields[0]))
                continue
            middle = len(fields) // 2
            for half in (fields[:middle], fields[middle:]):
                failure = await self._try_half(client, half, words, waiting)
                if failure is not None:
                    return failure
        for fields in waiting:
            absent.update((item.function_code, address) for item in fields for address in _addresses(item))
        self.absent |= absent
        self._plan()
        return None

    async def _try_half(
        self,
        client: ModbusClient,
        half: tuple[Field, ...],
        words: dict[tuple[int, int], int],
        waiting: list[tuple[Field, ...]],
    ) -> Failure | None:
        profile = self._view or self.profile
        for block in cover(profile.rules, half):
            result = await self._request(client, block)
            if isinstance(result, Ok):
                _keep(words, block, result)
            elif isinstance(result, Retryable):
                return Failure(result.layer, result.reason)
            else:
                waiting.append(_in_order(item for item in fields_in(profile, block) if item in half))
        return None

    async def _read_identity(self, client: ModbusClient, now: float) -> Decoded | None:
        """Read what the device says of itself; a device that cannot is asked again hours later."""
        self._identity_due = now + IDENTITY_SECONDS
        profile = self._bound or self.profile
        words: dict[tuple[int, int], int] = {}
        for block in plan_blocks(profile, ONCE, absent=self.absent):
            result = await self._request(client, block)
            if isinstance(result, Ok):
                _keep(words, block, result)
            elif not isinstance(result, Permanent):
                break
        return decode(profile, words, with_points=False) if words else None


def _in_order(fields: Iterable[Field]) -> tuple[Field, ...]:
    """Return fields by address, so that halves of them are neighbours on the wire."""
    return tuple(sorted(fields, key=lambda item: (item.function_code, item.address)))


def _addresses(item: Field) -> range:
    return range(item.address, item.address + item.count)


def _keep(words: dict[tuple[int, int], int], block: Block, result: Ok) -> None:
    words.update(zip(_places(block), result.words, strict=False))


@lru_cache(maxsize=10_000)
def _places(block: Block) -> tuple[tuple[int, int], ...]:
    """Return the place of every word of a block; made once, because every poll needs them."""
    return tuple((block.function_code, block.address + index) for index in range(block.count))
