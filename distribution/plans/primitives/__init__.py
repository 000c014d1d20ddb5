"""The primitives of a distribution plan: one pure file each, grouped by what they do to the money.

Owns the list of step kinds that a plan may use.
"""

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
    | Posting,
    Discriminator("kind"),
]
