"""Asks a device what it is, read-only: unit ids, family, decoded values, commissioning sheet.

Owns the order of questions. The client has no write function; addresses outside the allowed networks are
refused, and so are more unit ids than there are; the scan ends after a limited time with what it has.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from collector.connections import DLT645_SERIAL, DLT645_TCP, DeviceLink
from collector.meterline import MeterClient, PolledMeter
from collector.modbus import Line, LineClient, ModbusClient, Ok, Retryable
from collector.networks import address_problem, peer_problem
from collector.profile import (
    EVERYTHING,
    ONCE,
    Block,
    Decoded,
    Profile,
    decode,
    discover,
    list_profiles,
    load_profile,
    plan_blocks,
)
from collector.profile.detection import SURE, BothOrders, Sign, both_orders, certainty, signs
from store.problem import Problem, ProblemsError

MOST_UNITS = 256
MOST_CANDIDATES = 4
LONGEST_SECONDS = 600.0
ALIKE_BEFORE_STOPPING = 3
SILENCES_BEFORE_GIVING_UP = 2
USUAL_UNITS = (1, *range(2, 33), 100, 126, 127, 247)
CYCLE_BLOCKS = 6

Words = dict[tuple[int, int], int]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A family that a device may belong to: how sure, why, what it decodes to, and words both ways."""

    profile: str
    vendor: str
    weight: int
    certainty: str
    signs: tuple[Sign, ...]
    decoded: Decoded
    orders: tuple[BothOrders, ...]


@dataclass(frozen=True, slots=True)
class UnitReport:
    """What answered under one unit id: families, the likeliest first."""

    unit_id: int
    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate | None:
        """The likeliest family, None when none fits."""
        return self.candidates[0] if self.candidates else None


@dataclass(slots=True)
class Findings:
    """What answered on a line, in the order in which it was asked; `remark` says why the scan ended early."""

    reports: list[UnitReport] = field(default_factory=list)
    remark: str = ""


class _Asker:
    """Reads blocks of one unit and remembers what was silent."""

    def __init__(self, client: ModbusClient, unit_id: int) -> None:
        self._client = client
        self._unit = unit_id
        self.answered = False
        self._silences = 0

    @property
    def given_up(self) -> bool:
        """Whether the unit has been silent too often to be asked again."""
        return not self.answered and self._silences >= SILENCES_BEFORE_GIVING_UP

    async def read(self, block: Block) -> Sequence[int] | None:
        """Return the words of a block, None when it was refused or not answered."""
        if self.given_up or (not self._client.connected and not await self._client.connect()):
            return None
        result = await self._client.read(self._unit, block.function_code, block.address, block.count)
        if isinstance(result, Retryable):
            self._silences += 1
            return None
        self.answered = True
        return result.words if isinstance(result, Ok) else None

    async def words(self, blocks: Sequence[Block]) -> Words:
        """Return the words of several blocks; what is refused is left out."""
        found: Words = {}
        for block in blocks:
            read = await self.read(block)
            for index, word in enumerate(read or ()):
                found[block.function_code, block.address + index] = word
        return found

    async def bound(self, profile: Profile) -> Profile | None:
        """Return a SunSpec profile bound to the unit's chain of models, None when it has none."""
        walk = discover(profile)
        try:
            block = next(walk)
            while True:
                block = walk.send(await self.read(block))
        except StopIteration as found:
            return found.value if isinstance(found.value, Profile) else None
        except ProblemsError:
            return None


def _first_block(profile: Profile) -> Block | None:
    field = profile.field_named(profile.detection.field_name)
    return None if field is None else Block(field.function_code, field.address, field.count)


async def _try(asker: _Asker, profile: Profile, *, everything: bool) -> Candidate | None:
    """Return what a unit looks like under one profile, None when it does not answer where it should.

    `everything` reads all that a profile names, which the caller is sure of; else the register that tells
    the family has to answer first.
    """
    if profile.protocol == "sunspec":
        bound = await asker.bound(profile)
        if bound is None:
            return None
        profile = bound
    elif not everything:
        first = _first_block(profile)
        if first is None or await asker.read(first) is None:
            return None
    blocks = (*plan_blocks(profile, ONCE), *plan_blocks(profile)[:CYCLE_BLOCKS])
    words = await asker.words(plan_blocks(profile, EVERYTHING) if everything else blocks)
    if not words:
        return None
    decoded = decode(profile, words)
    found = signs(profile, decoded)
    return Candidate(
        profile=profile.name,
        vendor=profile.vendor_chinese,
        weight=sum(sign.weight for sign in found),
        certainty=certainty(found),
        signs=found,
        decoded=decoded,
        orders=both_orders(profile, words),
    )


def _is_certain(candidate: Candidate) -> bool:
    """Tell whether the device itself named its family: a type code, a model text, the SunSpec marker."""
    return candidate.weight >= SURE and any(sign.weight >= SURE for sign in candidate.signs)


async def _unit(client: ModbusClient, unit_id: int, profiles: Sequence[Profile]) -> UnitReport | None:
    asker = _Asker(client, unit_id)
    found: list[Candidate] = []
    for profile in profiles:
        if asker.given_up:
            break
        candidate = await _try(asker, profile, everything=len(profiles) == 1)
        if candidate is not None:
            found.append(candidate)
            if _is_certain(candidate):
                break
    found.sort(key=lambda item: (-item.weight, item.profile))
    return UnitReport(unit_id, tuple(found[:MOST_CANDIDATES])) if asker.answered else None


def _alike(reports: Sequence[UnitReport]) -> bool:
    """Tell whether the last units are one device that does not look at the unit id."""
    last = reports[-ALIKE_BEFORE_STOPPING:]
    serials = {report.best.decoded.identity.serial if report.best else "" for report in last}
    return len(last) == ALIKE_BEFORE_STOPPING and len(serials) == 1 and "" not in serials


def _first(profiles: Sequence[Profile], name: str) -> list[Profile]:
    """Return profiles with the one of a name in front."""
    return sorted(profiles, key=lambda profile: profile.name != name)


async def _scan(
    client: ModbusClient, unit_ids: Sequence[int], profiles: Sequence[Profile], findings: Findings
) -> None:
    for unit_id in unit_ids:
        report = await _unit(client, unit_id, profiles)
        if report is None:
            continue
        findings.reports.append(report)
        if report.best is not None:
            # The next unit behind a gateway is mostly of the same family.
            profiles = _first(profiles, report.best.profile)
        if _alike(findings.reports):
            findings.remark = "连续几个站号答出同一个序列号：设备不看站号，后面的不再问"
            return


async def _meter(client: MeterClient, profile: Profile, findings: Findings) -> None:
    """Ask the only meter on a line for its address, then for every item that is stored."""
    serial = client.line.serial
    link = DeviceLink("", "", DLT645_SERIAL if serial else DLT645_TCP, client.line.host, client.line.port)
    outcome = await PolledMeter(link, profile).read(client, now=0.0)
    if outcome.decoded is None:
        findings.remark = outcome.failure.reason if outcome.failure else ""
        return
    sign = Sign(SURE, f"表号 {outcome.decoded.identity.serial or '未答'}，按 DL/T 645-2007 应答")
    one = Candidate(profile.name, profile.vendor_chinese, SURE, "确定", (sign,), outcome.decoded, ())
    findings.reports.append(UnitReport(1, (one,)))


async def _open(client: LineClient, networks: Sequence[str]) -> None:
    """Open the line; raises ProblemsError where that is not allowed or not possible."""
    line = client.line
    where = line.host if line.serial else f"{line.host}:{line.port}"
    refused = await address_problem(line, networks)
    if not refused and await client.connect():
        refused = peer_problem(client.peer, networks)
        if not refused:
            return
    if refused:
        how = "在设置 modbus_networks 中加入这个地址所在的网段"
        raise ProblemsError([Problem(where, refused, how)])
    how = "检查串口名称和权限" if line.serial else "检查地址、端口、网线，以及设备是否打开了 Modbus"
    raise ProblemsError([Problem(where, "连不上", how)])


async def probe(
    line: Line,
    unit_ids: Sequence[int],
    *,
    profile_name: str = "",
    networks: Sequence[str] = (),
    longest_seconds: float = LONGEST_SECONDS,
) -> Findings:
    """Return what answers on a line under the given unit ids, the silent ones left out.

    With `profile_name` only that family is tried, and everything of it is read; a DL/T 645 meter is asked
    only when its profile is named. One connection at a time, at most `longest_seconds` in all. Raises
    ProblemsError when the address is not allowed, the line cannot be opened, or too many unit ids are
    asked for.
    """
    if not 0 < len(unit_ids) <= MOST_UNITS:
        raise ProblemsError([Problem("--unit", f"站号 {len(unit_ids)} 个", f"每次 1 到 {MOST_UNITS} 个")])
    names = (profile_name,) if profile_name else list_profiles()
    profiles = [load_profile(name) for name in names]
    meter = profile_name and profiles[0].protocol == "dlt645"
    client: ModbusClient | MeterClient = MeterClient(line) if meter else ModbusClient(line)
    findings = Findings()
    try:
        async with asyncio.timeout(longest_seconds):
            await _open(client, networks)
            if isinstance(client, MeterClient):
                await _meter(client, profiles[0], findings)
            else:
                modbus = [profile for profile in profiles if profile.protocol != "dlt645"]
                await _scan(client, unit_ids, modbus, findings)
    except TimeoutError:
        findings.remark = f"满 {longest_seconds:g} 秒，没有问完；用 --unit 缩小范围再试"
    finally:
        client.close()
    return findings
