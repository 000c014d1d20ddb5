"""The fields of a station's file (电站档案): what each is called, and what may stand in it.

Owns the catalogue, by the parts in which a county keeps it. Pure.
"""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from store.problem import Problem, ProblemsError

_LONGEST = 200


class FieldKind(StrEnum):
    """What a field takes: words, a choice of words, a day, or a non-negative figure."""

    TEXT = "text"
    CHOICE = "choice"
    DATE = "date"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class ArchiveField:
    """One field: its key, its Chinese title with the unit, the part it belongs to, and its choices."""

    key: str
    title: str
    part: str
    kind: FieldKind = FieldKind.TEXT
    choices: tuple[str, ...] = ()


def _field(part: str, key: str, title: str, kind: str = "text", *choices: str) -> ArchiveField:
    return ArchiveField(key, title, part, FieldKind(kind), choices)


ARCHIVE_FIELDS: tuple[ArchiveField, ...] = (
    _field("容量", "module_count", "组件数量（块）", "number"),
    _field("容量", "module_power", "组件功率（瓦/块）", "number"),
    _field("容量", "inverter_count", "逆变器数量（台）", "number"),
    _field("容量", "inverter_power", "逆变器功率（千瓦/台）", "number"),
    _field("容量", "phases", "分期情况"),
    _field("容量", "install_site", "安装位置", "choice", "地面", "屋顶", "农业大棚", "水面", "坡地"),
    _field("容量", "export_line", "送出线路（千伏）", "number"),
    _field("节点", "approved_on", "备案日期", "date"),
    _field("节点", "started_on", "开工日期", "date"),
    _field("节点", "completed_on", "竣工日期", "date"),
    _field("节点", "accepted_on", "验收日期", "date"),
    _field("节点", "connected_on", "并网日期", "date"),
    _field("节点", "vested_on", "确权日期", "date"),
    _field("投资与产权", "investment", "总投资（元）", "number"),
    _field("投资与产权", "fund_source", "资金来源"),
    _field("投资与产权", "builder", "施工单位"),
    _field("投资与产权", "ownership", "产权归属"),
    _field("投资与产权", "share_basis", "联村份额依据", "choice", "按容量", "按出资", "按村数", "按股权穿透"),
    _field("投资与产权", "land_area", "占地面积（亩）", "number"),
    _field("投资与产权", "land_lease", "土地租赁合同"),
    _field("帮扶对象", "linked_villages", "帮扶村"),
    _field("帮扶对象", "supported_households", "帮扶户数（户）", "number"),
    _field(
        "电价与补贴",
        "subsidy_status",
        "补贴目录状态",
        "choice",
        "国家目录",
        "参照国家模式",
        "未纳入",
        "申报中",
    ),
    _field("电价与补贴", "subsidy_batch", "补贴目录批次"),
    _field("电价与补贴", "tariff_zone", "资源区", "choice", "I", "II", "III"),
    _field("电价与补贴", "on_grid_mode", "上网模式", "choice", "全额上网", "自发自用余电上网"),
    _field("电价与补贴", "transfer_agency", "结转机构"),
    _field("电价与补贴", "payee", "收款单位"),
    _field("运维", "maintenance_contractor", "运维单位"),
    _field("运维", "maintenance_contract", "运维合同编号"),
    _field("运维", "maintenance_from", "运维合同起始", "date"),
    _field("运维", "maintenance_until", "运维合同截止", "date"),
    _field("运维", "maintenance_fee", "运维费（元/年）", "number"),
    _field("运维", "keeper", "管护员"),
    _field("运维", "warranty_party", "质保单位"),
    _field("运维", "warranty_until", "质保截止", "date"),
    _field("保险与监测", "insurance_policy", "保险单号"),
    _field("保险与监测", "insured_type", "承保险种"),
    _field("保险与监测", "insurance_premium", "保险费（元/年）", "number"),
    _field("保险与监测", "insurance_until", "保险截止", "date"),
    _field("保险与监测", "monitoring_number", "国家监测系统编号"),
)
"""Every field, part by part. Source: the archives that counties keep (installed capacity, milestones,
investment, vesting, linked villages, subsidy list, contract, warranty, insurance, monitoring)."""

FIELDS = {one.key: one for one in ARCHIVE_FIELDS}


def fitted(key: str, value: str) -> str:
    """Return a value as the file keeps it; raises ProblemsError with what is wrong and how to mend it."""
    field = FIELDS[key]
    value = value.strip()
    wrong = _wrong(field, value)
    if wrong is not None:
        raise ProblemsError([Problem(field.title, *wrong)])
    return f"{Decimal(value).normalize():f}" if field.kind is FieldKind.NUMBER else value


def _wrong(field: ArchiveField, value: str) -> tuple[str, str] | None:
    if not value or len(value) > _LONGEST or re.search(r"[\x00-\x1f]", value):
        return "是空的、太长或有换行", f"写一行，不超过 {_LONGEST} 个字"
    if field.kind is FieldKind.CHOICE and value not in field.choices:
        return f"“{value}”不在可选项之内", f"只能填：{'、'.join(field.choices)}"
    if field.kind is FieldKind.DATE and not _is_day(value):
        return f"“{value}”不是日期", "写成 2018-06-30"
    if field.kind is FieldKind.NUMBER and not _is_figure(value):
        return f"“{value}”不是非负的数", "只写数字，单位在表头"
    return None


def _is_day(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _is_figure(value: str) -> bool:
    try:
        found = Decimal(value)
    except InvalidOperation:
        return False
    return found.is_finite() and 0 <= found < Decimal(10**15)
