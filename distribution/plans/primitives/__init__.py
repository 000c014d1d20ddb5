"""The primitives of a distribution plan: one pure file each, grouped by what they do to the money.

Owns the list of step kinds that a plan may use.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Discriminator

from distribution.plans.primitives.conditions.eligibility import Eligibility
from distribution.plans.primitives.conditions.equal_split import EqualSplit
from distribution.plans.primitives.conditions.exclusion import Exclusion
from distribution.plans.primitives.conditions.negative_use import NegativeUse
from distribution.plans.primitives.conditions.override import Override
from distribution.plans.primitives.conditions.ratio_test import RatioTest
from distribution.plans.primitives.conditions.work_gate import WorkGate
from distribution.plans.primitives.deductions.actual_cost import ActualCost
from distribution.plans.primitives.deductions.aggregate_cap import AggregateCap
from distribution.plans.primitives.deductions.debt_service import DebtService
from distribution.plans.primitives.deductions.reserve import Reserve
from distribution.plans.primitives.deductions.waterfall import Waterfall
from distribution.plans.primitives.income.advance_clearing import AdvanceClearing
from distribution.plans.primitives.income.cash_basis import CashBasis
from distribution.plans.primitives.income.equity_stake import EquityStake
from distribution.plans.primitives.income.typed_income import TypedIncome
from distribution.plans.primitives.payments.class_table import ClassTable
from distribution.plans.primitives.payments.enrolled_amount import EnrolledAmount
from distribution.plans.primitives.payments.floor_ceiling import Ceiling, Floor
from distribution.plans.primitives.payments.periodic_award import PeriodicAward
from distribution.plans.primitives.payments.points import Points
from distribution.plans.primitives.payments.posts import Posts
from distribution.plans.primitives.payments.spending import Spending
from distribution.plans.primitives.payments.weighted import Weighted
from distribution.plans.primitives.purses.carry_over import CarryOver
from distribution.plans.primitives.purses.cycle import Cycle
from distribution.plans.primitives.purses.fixed_first import FixedFirst
from distribution.plans.primitives.purses.joint_shares import JointShares
from distribution.plans.primitives.purses.period_switch import PeriodSwitch
from distribution.plans.primitives.purses.pooling import Pooling
from distribution.plans.primitives.purses.ratio_split import RatioSplit
from distribution.plans.primitives.purses.rounding import Rounding
from distribution.plans.primitives.terms.approval_terms import ApprovalTerms
from distribution.plans.primitives.terms.netting import NetOverpaid
from distribution.plans.primitives.terms.posting import Posting

AnyStep = Annotated[
    TypedIncome
    | CashBasis
    | AdvanceClearing
    | EquityStake
    | JointShares
    | Waterfall
    | ActualCost
    | AggregateCap
    | Reserve
    | DebtService
    | RatioSplit
    | FixedFirst
    | Pooling
    | PeriodSwitch
    | Cycle
    | CarryOver
    | Rounding
    | ClassTable
    | EnrolledAmount
    | Weighted
    | Floor
    | Ceiling
    | Posts
    | PeriodicAward
    | Points
    | Spending
    | RatioTest
    | WorkGate
    | Exclusion
    | Eligibility
    | Override
    | NegativeUse
    | EqualSplit
    | ApprovalTerms
    | NetOverpaid
    | Posting,
    Discriminator("kind"),
]

KIND_WORDS: Mapping[str, str] = {
    "income": "分项收入",
    "receivables": "应收未到",
    "clear_advance": "归还垫付",
    "equity_stake": "持股收益",
    "joint_income": "联村电站份额",
    "deduct": "按序扣除",
    "actual_cost": "据实列支",
    "aggregate_cap": "成本合计上限",
    "reserve": "储备金",
    "debt_service": "还本付息",
    "split": "按比例分",
    "fixed_first": "先提定额",
    "pool": "统筹",
    "switch": "期间内换办法",
    "cycle": "按周期发放",
    "carry_over": "结转",
    "round": "取整",
    "class_table": "分类标准",
    "enrolled_amount": "逐户定额",
    "by_weight": "按权重分",
    "floor": "保底",
    "ceiling": "封顶",
    "posts": "公益岗位",
    "award": "定期奖补",
    "points": "积分",
    "spend": "逐笔支出",
    "test": "占比检验",
    "work_gate": "先劳后酬",
    "exclude": "互斥",
    "eligibility": "资格",
    "override": "豁免",
    "negative_use": "负面清单",
    "equal_split": "平均分配识别",
    "approval": "审批和公示",
    "net_overpaid": "冲抵多发",
    "posting": "科目和用途",
}
"""What each kind of step does, in a few Chinese words, for lists of steps that have no label."""
