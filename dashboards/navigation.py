"""The main menu and the tabs of a group: which pages an actor finds there.

Owns the order and the words. An entry of the menu may stand for a group of pages, which then show tabs. It
decides nothing about access; every route keeps its own rule.
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
    ("运行", "/alarms", Permission.VIEW_STATIONS),
    ("本月工作", "/work", Permission.VIEW_MONEY),
    ("电费结算", "/settlements", Permission.VIEW_MONEY),
    ("收益分配", "/statements", Permission.VIEW_MONEY),
    ("发放", "/payouts", Permission.VIEW_MONEY),
    ("分配方案", "/plans", Permission.VIEW_MONEY),
    ("农户", "/households", Permission.VIEW_HOUSEHOLDS),
)
_GROUPS: dict[str, tuple[tuple[str, str, Permission], ...]] = {
    "/alarms": (
        ("告警", "/alarms", Permission.VIEW_STATIONS),
        ("工单", "/work-orders", Permission.VIEW_STATIONS),
        ("计划与调度", "/planned-work", Permission.VIEW_STATIONS),
        ("可用率", "/availability", Permission.VIEW_STATIONS),
        ("运维指标", "/indicators", Permission.VIEW_STATIONS),
        ("运行月报", "/uptime-report", Permission.VIEW_STATIONS),
        ("连接", "/connections", Permission.VIEW_STATIONS),
        ("事件记录", "/events", Permission.VIEW_STATIONS),
    ),
    "/settlements": (
        ("电费结算", "/settlements", Permission.VIEW_MONEY),
        ("对账", "/reconciliation", Permission.VIEW_MONEY),
        ("到账核对", "/receipts", Permission.VIEW_MONEY),
        ("应收与账龄", "/receivables", Permission.VIEW_MONEY),
        ("拨付与垫付", "/remittances", Permission.VIEW_MONEY),
        ("费用", "/costs", Permission.VIEW_MONEY),
        ("村级支出", "/spendings", Permission.VIEW_MONEY),
        ("人工抄表", "/meter-readings", Permission.VIEW_STATIONS),
        ("对账文件", "/settlement-papers", Permission.VIEW_MONEY),
        ("电量调整", "/energy-adjustments", Permission.VIEW_MONEY),
    ),
    "/statements": (
        ("收益分配", "/statements", Permission.VIEW_MONEY),
        ("账表", "/money-papers", Permission.VIEW_MONEY),
    ),
    "/households": (
        ("农户", "/households", Permission.VIEW_HOUSEHOLDS),
        ("五本账", "/books", Permission.VIEW_HOUSEHOLDS),
        ("核查", "/reviews", Permission.VIEW_HOUSEHOLDS),
        ("岗位和积分", "/duties", Permission.VIEW_HOUSEHOLDS),
        ("账户变更", "/account-changes", Permission.VIEW_HOUSEHOLDS),
        ("数据比对", "/exchanges", Permission.EDIT_REGISTRY),
        ("台账导入", "/registry/import", Permission.EDIT_REGISTRY),
    ),
}
"""The pages behind an entry of the menu, by the entry's address."""


def _holds(href: str, path: str) -> bool:
    return path == href or (href != "/" and path.startswith(f"{href}/"))


def _in_group(href: str, path: str) -> bool:
    return any(_holds(one, path) for _label, one, _permission in _GROUPS.get(href, ()))


def navigation(actor: Actor, path: str) -> tuple[NavigationItem, ...]:
    """Return the menu of an actor, with the entry marked whose section holds `path`."""
    return tuple(
        NavigationItem(label, href, _holds(href, path) or _in_group(href, path))
        for label, href, permission in _ENTRIES
        if actor.may(permission)
    )


def group_tabs(actor: Actor, path: str) -> tuple[NavigationItem, ...]:
    """Return the tabs of the group that holds `path`; empty where the page stands alone."""
    return tuple(
        NavigationItem(label, href, _holds(href, path))
        for entry, members in _GROUPS.items()
        if _in_group(entry, path)
        for label, href, permission in members
        if actor.may(permission)
    )
