"""The main menu: which pages an actor finds there.

Owns the order and the words of the menu. It decides nothing about access; every route keeps its own rule.
"""

from dataclasses import dataclass

from registry.actors import Actor, Permission


@dataclass(frozen=True, slots=True)
class NavigationItem:
    """One entry of the menu."""

    label: str
    href: str
    current: bool


_ENTRIES: tuple[tuple[str, str, Permission], ...] = (
    ("总览", "/", Permission.VIEW_STATIONS),
    ("电站", "/stations", Permission.VIEW_STATIONS),
    ("本月工作", "/work", Permission.VIEW_MONEY),
    ("电费结算", "/settlements", Permission.VIEW_MONEY),
    ("收益分配", "/statements", Permission.VIEW_MONEY),
    ("发放", "/payouts", Permission.VIEW_MONEY),
    ("分配方案", "/plans", Permission.VIEW_MONEY),
    ("农户", "/households", Permission.VIEW_HOUSEHOLDS),
    ("运行事件", "/events", Permission.VIEW_STATIONS),
)


def navigation(actor: Actor, path: str) -> tuple[NavigationItem, ...]:
    """Return the menu of an actor, with the entry marked whose section holds `path`."""
    return tuple(
        NavigationItem(label, href, path == href or (href != "/" and path.startswith(f"{href}/")))
        for label, href, permission in _ENTRIES
        if actor.may(permission)
    )
