"""Asks a device what it is, read-only: unit ids, family, decoded values, commissioning sheet.

Owns the order of questions. The client has no write function; addresses outside the allowed networks are
refused, and so are more unit ids or requests than a commissioning needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from collector.modbus import Line, ModbusClient, Ok, Retryable
from collector.networks import address_problem
from collector.profile import (
    EVERYTHING,
    ONCE,
    Block,
    Decoded,
    Identity,
    Profile,
    decode,
    discover,
    list_profiles,
    load_profile,
    plan_blocks,
)
from collector.profile.detection import BothOrders, Sign, both_orders, certainty, signs
from store.periods import SHANGHAI
from store.problem import Problem, ProblemsError

MOST_UNITS = 247
MOST_CANDIDATES = 4
SILENCES_BEFORE_GIVING_UP = 2
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
    """Return what a unit looks like under one profile, None when it does not answer where it should."""
    if profile.protocol == "sunspec":
        bound = await asker.bound(profile)
        if bound is None:
            return None
        profile = bound
    else:
        first = _first_block(profile)
        if first is None or await asker.read(first) is None:
            return None
    blocks = (*plan_blocks(profile, ONCE), *plan_blocks(profile)[:CYCLE_BLOCKS])
    words = await asker.words(plan_blocks(profile, EVERYTHING) if everything else blocks)
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


async def _unit(client: ModbusClient, unit_id: int, profiles: Sequence[Profile]) -> UnitReport | None:
    asker = _Asker(client, unit_id)
    found: list[Candidate] = []
    for profile in profiles:
        if asker.given_up:
            break
        candidate = await _try(asker, profile, everything=len(profiles) == 1)
        if candidate is not None:
            found.append(candidate)
    found.sort(key=lambda item: (-item.weight, item.profile))
    return UnitReport(unit_id, tuple(found[:MOST_CANDIDATES])) if asker.answered else None


async def probe(
    line: Line,
    unit_ids: Sequence[int],
    *,
    profile_name: str = "",
    networks: Sequence[str] = (),
) -> tuple[UnitReport, ...]:
    """Return what answers on a line under the given unit ids, the silent ones left out.

    With `profile_name` only that family is tried, and everything of it is read. Raises ProblemsError when
    the address is not allowed, the line cannot be opened, or too many unit ids are asked for.
    """
    if not 0 < len(unit_ids) <= MOST_UNITS:
        raise ProblemsError([Problem("--unit", f"站号 {len(unit_ids)} 个", f"每次 1 到 {MOST_UNITS} 个")])
    refused = await address_problem(line, networks)
    if refused:
        raise ProblemsError([Problem(line.host, refused, "在设置的允许网段中加入这个地址所在的网段")])
    names = (profile_name,) if profile_name else list_profiles()
    profiles = [item for item in (load_profile(name) for name in names) if item.protocol != "dlt645"]
    client = ModbusClient(line)
    try:
        if not await client.connect():
            raise ProblemsError(
                [
                    Problem(
                        f"{line.host}:{line.port}",
                        "连不上",
                        "检查地址、端口、网线，以及设备是否打开了 Modbus",
                    )
                ]
            )
        reports = [await _unit(client, unit_id, profiles) for unit_id in unit_ids]
    finally:
        client.close()
    return tuple(report for report in reports if report is not None)


def _nameplate(identity: Identity) -> list[str]:
    rated = "—" if identity.rated_power_w is None else f"{identity.rated_power_w / 1000:g} kW"
    return [
        f"序列号：{identity.serial or '—'}",
        f"型号：{identity.model or '—'}",
        f"固件：{identity.firmware or '—'}",
        f"额定功率：{rated}",
    ]


def commissioning_sheet(report: UnitReport, line: Line, now: datetime) -> str:
    """Return the one-page commissioning sheet of a unit: nameplate, first lifetime reading, what to check.

    `now` [UTC] is when it was read. A device of no known family gives a sheet that says so.
    """
    at = f"{now.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
    lines = ["设备接入单", f"读取时间：{at}", f"线路：{line.host}:{line.port}　站号：{report.unit_id}"]
    best = report.best
    if best is None:
        return "\n".join([*lines, "没有认出设备：请按说明书新建档案（见 docs/profile-format.md）", ""])
    values = best.decoded.values
    total = next(
        (values[name] for name in ("generated_energy_wh", "exported_energy_wh") if name in values), None
    )
    power = values.get("active_power_w")
    lines += [
        f"设备档案：{best.profile}（{best.vendor}，{best.certainty}）",
        *_nameplate(best.decoded.identity),
        f"首次累计电量：{'—' if total is None else f'{total / 1000:,.1f} kWh'}",
        f"当前功率：{'—' if power is None else f'{power / 1000:,.2f} kW'}",
        f"状态：{best.decoded.state_text or '—'}",
        "",
        "现场核对：",
        "□ 序列号、额定功率与铭牌一致",
        "□ 累计电量与设备显示屏一致",
        "□ 中午时逆变器功率与电表方向、大小相符（相差不超过 10 %）",
        "核对人：________　日期：________",
        "",
    ]
    return "\n".join(lines)
