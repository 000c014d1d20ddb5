"""Explanations in Chinese: how a step and a line came to their amounts, in one sentence each.

Owns the wording only. The figures are those that the allocation worked with.
"""

from fractions import Fraction

from distribution.money import round_fen, yuan
from distribution.types import AllocationLine, Step

_SHOWN_DIGITS = 4
_SIGNS = (" + ", " − ", " × ", " ÷ ")


def render_explanation(step: Step) -> str:
    """Return a step as a sentence: `公益岗位：可分配收益 10,470.00 元 × 60% = 6,282.00 元（依据：…）`."""
    clause = f"（依据：{step.clause}）" if step.clause else ""
    return f"{step.label}：{_equation(step)}{clause}"


def render_line(line: AllocationLine) -> str:
    """Return the whole way of a line, from the money received to its fen, as one text."""
    return "；".join(render_explanation(step) for step in line.explanation)


def render_short(line: AllocationLine) -> str:
    """Return the last two steps of a line as one formula: `可分配收益 … × 60% = …；… ÷ 12 户 = …`."""
    return "；".join(_equation(step) for step in line.explanation[-2:])


def _equation(step: Step) -> str:
    """Return formula and result; a formula that is the amount itself is not said twice."""
    plain = not any(sign in step.formula for sign in _SIGNS)
    if plain and step.formula.endswith(f" {_result(step)}"):
        return step.formula
    return f"{step.formula} = {_result(step)}"


def _result(step: Step) -> str:
    if step.exact == step.amount_fen:
        return f"{yuan(step.amount_fen)} 元"
    return f"{exact_yuan(step.exact)} 元，取 {yuan(step.amount_fen)} 元{_odd_fen(step)}"


def _odd_fen(step: Step) -> str:
    """Return who got the odd fen where the largest remainder gave another fen than plain rounding would."""
    moved = step.amount_fen - round_fen(step.exact)
    if not moved:
        return ""
    who = "户" if "户" in step.formula else "项"
    return f"（尾差 {abs(moved)} 分按最大余额法归{'此' if moved > 0 else '他'}{who}）"


def exact_yuan(exact_fen: Fraction) -> str:
    """Return an exact amount [fen] in yuan, cut to four decimals with an ellipsis where it goes on."""
    scaled = exact_fen * 10 ** (_SHOWN_DIGITS - 2)
    whole, rest = divmod(abs(scaled.numerator), scaled.denominator)
    head, tail = divmod(whole, 10**_SHOWN_DIGITS)
    sign = "-" if exact_fen < 0 else ""
    return f"{sign}{head:,}.{tail:0{_SHOWN_DIGITS}d}{'…' if rest else ''}"
