"""Primitive 16 inside one purse: a split with a floor and a ceiling, where the others give way.

Owns the arithmetic only. Whoever would fall outside a bound is set to it, and the rest of the money is
divided among the others by weight, until nobody is outside. Source: docs/split.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from distribution.money import split


@dataclass(frozen=True, slots=True)
class Bounded:
    """The result of a bounded split: amounts [fen], and who was set to which bound (-1, 0, +1).

    `open_fen` was divided by weight among those inside the bounds, whose weights sum to `open_weight`.
    """

    amounts: list[int]
    bound: list[int]
    open_fen: int
    open_weight: int


def bounded_split(
    total_fen: int, weights: Sequence[int], keys: Sequence[str], floor_fen: int, ceiling_fen: int | None
) -> Bounded:
    """Split `total_fen` by whole-number weights so that each positive weight gets within the bounds.

    What is above the ceiling of everybody is not given out. Raises ValueError when the floors of all
    exceed the total, or the floor the ceiling.
    """
    takers = [index for index, weight in enumerate(weights) if weight]
    if floor_fen * len(takers) > total_fen:
        raise ValueError(f"{len(takers)} floors of {floor_fen} fen exceed {total_fen} fen")
    if ceiling_fen is not None:
        if floor_fen > ceiling_fen:
            raise ValueError(f"the floor {floor_fen} fen exceeds the ceiling {ceiling_fen} fen")
        total_fen = min(total_fen, ceiling_fen * len(takers))
    bound = _bounds(total_fen, weights, takers, (floor_fen, ceiling_fen))
    amounts = [0] * len(weights)
    for index in takers:
        if bound[index]:
            amounts[index] = floor_fen if bound[index] < 0 else ceiling_fen or 0
    inside = [index for index in takers if not bound[index]]
    open_fen = total_fen - sum(amounts)
    shares = split(open_fen, [weights[index] for index in inside], [keys[index] for index in inside])
    for index, share in zip(inside, shares, strict=True):
        amounts[index] = share
    return Bounded(amounts, bound, open_fen, sum(weights[index] for index in inside))


def _bounds(
    total_fen: int, weights: Sequence[int], takers: list[int], limits: tuple[int, int | None]
) -> list[int]:
    """Return for each weight whether it is set to the floor (-1), to the ceiling (+1), or free (0)."""
    floor_fen, ceiling_fen = limits
    bound = [0] * len(weights)
    free = list(takers)
    pool = total_fen
    while free:
        whole = sum(weights[index] for index in free)
        shares = {index: Fraction(pool * weights[index], whole) for index in free}
        below = [index for index in free if shares[index] < floor_fen]
        above = [index for index in free if ceiling_fen is not None and shares[index] > ceiling_fen]
        lacking = sum((floor_fen - shares[index] for index in below), Fraction(0))
        surplus = sum((shares[index] - (ceiling_fen or 0) for index in above), Fraction(0))
        # The larger side is certain to stay outside; the smaller may come back once it is set aside.
        chosen = ([(index, -1) for index in below] if lacking >= surplus else []) + (
            [(index, 1) for index in above] if surplus >= lacking else []
        )
        if not chosen:
            break
        for index, side in chosen:
            bound[index] = side
            pool -= floor_fen if side < 0 else ceiling_fen or 0
        free = [index for index in free if not bound[index]]
    return bound
