"""A sum as pages show it: signed terms, each with its way back."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the sum: its operator, name, amount [fen], and the address of its entries."""

    operator: str
    name: str
    amount_fen: int
    href: str
    clause: str = ""
    is_result: bool = False
