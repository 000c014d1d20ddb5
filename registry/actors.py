"""Who acts: roles, permissions and area scope.

Owns `Actor`, the one argument with which every read and write outside the collector is made, and the
filter that keeps a query inside the actor's area. Logins and passwords are in `registry.users`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, false, true
from sqlalchemy.orm import InstrumentedAttribute

CODE_LENGTH = 12
_LEVEL_LENGTHS = (2, 4, 6, 9, 12)


class Role(StrEnum):
    """What a person is to the county."""

    COUNTY = "county"
    TOWNSHIP = "township"
    VILLAGE = "village"
    FINANCE = "finance"
    MAINTENANCE = "maintenance"
    AUDITOR = "auditor"
    PUBLIC = "public"
    SYSTEM = "system"

    @property
    def word(self) -> str:
        """The Chinese word for it."""
        return _ROLE_WORDS[self.value]


_ROLE_WORDS = {
    "county": "县级管理",
    "township": "乡镇",
    "village": "村级",
    "finance": "财务",
    "maintenance": "运维",
    "auditor": "审计",
    "public": "公众",
    "system": "系统",
}


class Permission(StrEnum):
    """What may be done; a route or a service names the one that it needs."""

    VIEW_PUBLIC = "view_public"
    VIEW_STATIONS = "view_stations"
    VIEW_MONEY = "view_money"
    VIEW_HOUSEHOLDS = "view_households"
    UNMASK_PERSONAL_DATA = "unmask_personal_data"
    EDIT_REGISTRY = "edit_registry"
    IMPORT_SETTLEMENT = "import_settlement"
    RECORD_SPENDING = "record_spending"
    RECORD_READING = "record_reading"
    ACKNOWLEDGE_EVENTS = "acknowledge_events"
    DISPATCH_WORK_ORDERS = "dispatch_work_orders"
    HANDLE_WORK_ORDERS = "handle_work_orders"
    CLOSE_WORK_ORDERS = "close_work_orders"
    COMPUTE_RUN = "compute_run"
    VOTE_VILLAGE = "vote_village"
    APPROVE_TOWNSHIP = "approve_township"
    APPROVE_COUNTY = "approve_county"
    OPEN_NOTICE = "open_notice"
    DECIDE_OBJECTION = "decide_objection"
    EXPORT_BATCH = "export_batch"
    IMPORT_RETURN = "import_return"
    MANAGE_USERS = "manage_users"
    VIEW_AUDIT = "view_audit"
    VIEW_OPERATIONS = "view_operations"

    @property
    def word(self) -> str:
        """What it allows, in Chinese."""
        return _PERMISSION_WORDS[self.value]


_PERMISSION_WORDS = {
    "view_public": "查看公开信息",
    "view_stations": "查看电站",
    "view_money": "查看资金",
    "view_households": "查看农户",
    "unmask_personal_data": "查看完整个人信息",
    "edit_registry": "修改台账",
    "import_settlement": "导入结算单",
    "record_spending": "登记支出",
    "record_reading": "登记抄表",
    "acknowledge_events": "处理运行事件",
    "dispatch_work_orders": "派发运维工单",
    "handle_work_orders": "办理运维工单",
    "close_work_orders": "验收运维工单",
    "compute_run": "测算分配",
    "vote_village": "村级表决",
    "approve_township": "乡镇审核",
    "approve_county": "县级审批",
    "open_notice": "张贴公示",
    "decide_objection": "处理异议",
    "export_batch": "导出发放批次",
    "import_return": "导入银行回单",
    "manage_users": "管理用户",
    "view_audit": "查看审计记录",
    "view_operations": "查看系统运行情况",
}


_VIEWS = {
    Permission.VIEW_PUBLIC,
    Permission.VIEW_STATIONS,
    Permission.VIEW_MONEY,
    Permission.VIEW_HOUSEHOLDS,
}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.COUNTY: frozenset(
        _VIEWS
        | {
            Permission.UNMASK_PERSONAL_DATA,
            Permission.EDIT_REGISTRY,
            Permission.IMPORT_SETTLEMENT,
            Permission.RECORD_SPENDING,
            Permission.RECORD_READING,
            Permission.ACKNOWLEDGE_EVENTS,
            Permission.DISPATCH_WORK_ORDERS,
            Permission.HANDLE_WORK_ORDERS,
            Permission.CLOSE_WORK_ORDERS,
            Permission.COMPUTE_RUN,
            Permission.APPROVE_COUNTY,
            Permission.DECIDE_OBJECTION,
            Permission.MANAGE_USERS,
            Permission.VIEW_OPERATIONS,
        }
    ),
    Role.TOWNSHIP: frozenset(
        _VIEWS
        | {
            Permission.APPROVE_TOWNSHIP,
            Permission.DECIDE_OBJECTION,
            Permission.RECORD_READING,
            Permission.ACKNOWLEDGE_EVENTS,
            Permission.DISPATCH_WORK_ORDERS,
        }
    ),
    Role.VILLAGE: frozenset(
        _VIEWS
        | {
            Permission.VOTE_VILLAGE,
            Permission.OPEN_NOTICE,
            Permission.RECORD_SPENDING,
            Permission.RECORD_READING,
        }
    ),
    Role.FINANCE: frozenset(
        _VIEWS
        | {
            Permission.IMPORT_SETTLEMENT,
            Permission.RECORD_SPENDING,
            Permission.RECORD_READING,
            Permission.EXPORT_BATCH,
            Permission.IMPORT_RETURN,
        }
    ),
    Role.MAINTENANCE: frozenset(
        {
            Permission.VIEW_PUBLIC,
            Permission.VIEW_STATIONS,
            Permission.ACKNOWLEDGE_EVENTS,
            Permission.HANDLE_WORK_ORDERS,
            Permission.RECORD_READING,
            Permission.VIEW_OPERATIONS,
        }
    ),
    Role.AUDITOR: frozenset(_VIEWS | {Permission.VIEW_AUDIT, Permission.VIEW_OPERATIONS}),
    Role.PUBLIC: frozenset({Permission.VIEW_PUBLIC}),
    Role.SYSTEM: frozenset(
        _VIEWS | {Permission.IMPORT_SETTLEMENT, Permission.COMPUTE_RUN, Permission.VIEW_OPERATIONS}
    ),
}


class NotPermittedError(PermissionError):
    """The actor's role does not allow what was asked."""


def area_prefix(area: str) -> str:
    """Return the digits of a division code that matter: 6 of a county, 9 of a township, 12 of a village."""
    for length in _LEVEL_LENGTHS:
        if area == area[:length].ljust(CODE_LENGTH, "0"):
            return area[:length] if area.strip("0") else ""
    return area


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who reads or writes: a login, or the system itself.

    `area` is a 12-digit division code; the actor sees what lies in that division. The empty area is the
    whole installation (system and province). A `company` further limits the actor to the stations that
    this O&M company (运维单位) looks after.
    """

    user_id: str
    name: str
    role: Role
    area: str = ""
    company: str = ""

    @property
    def area_prefix(self) -> str:
        """The significant leading digits of the area: 6 for a county, 9 a township, 12 a village."""
        return area_prefix(self.area)

    def may(self, permission: Permission) -> bool:
        """Tell whether the actor's role includes a permission."""
        return permission in PERMISSIONS[self.role]

    def require(self, permission: Permission) -> None:
        """Raise NotPermittedError unless the actor's role includes a permission."""
        if not self.may(permission):
            raise NotPermittedError(f"{self.name}（{self.role.word}）无权{permission.word}")

    def covers(self, division_code: str) -> bool:
        """Tell whether a division lies in the actor's area."""
        return division_code.startswith(self.area_prefix)


SYSTEM = Actor("system", "系统", Role.SYSTEM)
PUBLIC = Actor("public", "公众", Role.PUBLIC)


def in_area(actor: Actor, column: InstrumentedAttribute[Any] | ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that a column of 12-digit division codes lies in the actor's area."""
    prefix = actor.area_prefix
    if prefix and not prefix.isdigit():
        return false()
    return column.startswith(prefix) if prefix else true()


def scope(
    statement: Select[Any], actor: Actor, column: InstrumentedAttribute[Any] | ColumnElement[Any]
) -> Select[Any]:
    """Return the statement limited to rows whose division code lies in the actor's area."""
    return statement.where(in_area(actor, column))
