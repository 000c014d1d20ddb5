"""Which blocks to read.

Owns `plan_blocks`: the fewest requests that fetch the wanted fields within what the device can bear, a
value never being cut in two.
"""

from collections.abc import Collection, Iterable

from collector.profile.types import Block, Field, Profile, ReadGroup, ReadRules

CYCLE = frozenset({ReadGroup.CYCLE})
ONCE = frozenset({ReadGroup.ONCE})
EVERYTHING = frozenset(ReadGroup)


def _is_forbidden(rules: ReadRules, block: Block) -> bool:
    end = block.address + block.count
    return any(
        code == block.function_code and first < end and block.address < last
        for code, first, last in rules.forbidden
    )


def _is_split(rules: ReadRules, block: Block) -> bool:
    return any(block.address < address < block.address + block.count for address in rules.split_before)


def _joined(rules: ReadRules, block: Block, field: Field) -> Block | None:
    """Return the block grown to hold a field, or None when the device would not bear it."""
    end = block.address + block.count
    if field.function_code != block.function_code or field.address - end > rules.max_gap:
        return None
    grown = Block(block.function_code, block.address, max(end, field.address + field.count) - block.address)
    if grown.count > rules.max_block or _is_forbidden(rules, grown) or _is_split(rules, grown):
        return None
    return grown


def cover(rules: ReadRules, fields: Iterable[Field]) -> tuple[Block, ...]:
    """Return the fewest blocks that hold all `fields`, in ascending order."""
    blocks: list[Block] = []
    for field in sorted(fields, key=lambda item: (item.function_code, item.address, item.count)):
        grown = _joined(rules, blocks[-1], field) if blocks else None
        if grown is not None:
            blocks[-1] = grown
        else:
            blocks.append(Block(field.function_code, field.address, field.count))
    return tuple(block for block in blocks if not _is_forbidden(rules, block))


def plan_blocks(
    profile: Profile,
    groups: Collection[ReadGroup] = CYCLE,
    *,
    absent: Collection[tuple[int, int]] = (),
) -> tuple[Block, ...]:
    """Return the blocks to read for the fields of some read groups.

    `absent` holds (function code, wire address) of fields that this device refused: they are left out
    and no block runs over them. A field longer than the largest block is read alone, whole.
    """
    forbidden = tuple((code, address, address + 1) for code, address in absent)
    rules = profile.rules
    strict = ReadRules(
        max_block=rules.max_block,
        max_gap=rules.max_gap,
        split_before=rules.split_before,
        forbidden=(*rules.forbidden, *forbidden),
    )
    missing = set(absent)
    wanted = [
        field
        for field in profile.fields
        if field.group in groups
        and not any((field.function_code, field.address + index) in missing for index in range(field.count))
    ]
    return cover(strict, wanted)


def fields_in(profile: Profile, block: Block) -> tuple[Field, ...]:
    """Return the fields that lie wholly in a block."""
    end = block.address + block.count
    return tuple(
        field
        for field in profile.fields
        if field.function_code == block.function_code
        and block.address <= field.address
        and field.address + field.count <= end
    )
