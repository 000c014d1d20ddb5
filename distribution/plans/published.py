"""The list that anyone can recompute: integer weights and an opaque number, no class and no identifier.

Owns the rows of the published CSV of one purse. The algorithm that turns them into amounts is in
docs/split.md; the same file is what `recompute` reads here.
"""

import csv
import io
from collections.abc import Iterable

from distribution.money import integer_weights, parse_yuan, split, yuan
from distribution.types import Allocation, AllocationLine, PayeeKind
from store.problem import Problem, ProblemsError

HEADER = ("tie_break", "weight", "amount_yuan")


def published_csv(allocation: Allocation, purse: str, division_code: str) -> str:
    """Return the published CSV of one purse and village: one row per share, sorted by the opaque number.

    Only lines that the split decided are listed; fixed amounts have no weight. The sum of the amounts is
    the divided money.
    """
    lines = [line for line in allocation.lines if _split_line(line, purse, division_code)]
    weights = integer_weights([line.weight for line in lines])
    rows = sorted(
        (line.tie_break, str(weight), yuan(line.amount_fen).replace(",", ""))
        for line, weight in zip(lines, weights, strict=True)
    )
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(rows)
    return stream.getvalue()


def _split_line(line: AllocationLine, purse: str, division_code: str) -> bool:
    return (
        line.purse == purse
        and line.division_code == division_code
        and line.payee_kind is PayeeKind.HOUSEHOLD
        and bool(line.tie_break)
    )


def recompute(text: str) -> list[Problem]:
    """Split the sum of a published CSV again and return every row that does not come out as published.

    Raises ProblemsError when the text is no such CSV.
    """
    rows = list(csv.reader(io.StringIO(text)))
    if not rows or tuple(rows[0]) != HEADER:
        raise ProblemsError([Problem("第 1 行", f"表头不是 {','.join(HEADER)}", "用公布的原文件")])
    keys, weights, amounts = _columns(rows[1:])
    shares = split(sum(amounts), weights, keys)
    return [
        Problem(
            f"第 {number} 行 {key}", f"公布 {yuan(amount)} 元，算出 {yuan(share)} 元", "向村里提出，要求说明"
        )
        for number, (key, amount, share) in enumerate(zip(keys, amounts, shares, strict=True), start=2)
        if amount != share
    ]


def _columns(rows: Iterable[list[str]]) -> tuple[list[str], list[int], list[int]]:
    keys, weights, amounts = [], [], []
    for number, row in enumerate(rows, start=2):
        try:
            key, weight, amount = row
            keys.append(key)
            weights.append(int(weight))
            amounts.append(parse_yuan(amount))
        except ValueError as error:
            raise ProblemsError(
                [Problem(f"第 {number} 行", f"读不出来：{error}", "用公布的原文件")]
            ) from error
    return keys, weights, amounts
