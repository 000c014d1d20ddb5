"""The primitives of a distribution plan: one pure file each, grouped by what they do to the money.

Owns the list of step kinds that a plan may use.
"""

from typing import Annotated

from pydantic import Discriminator

from distribution.plans.primitives.conditions.ratio_test import RatioTest
from distribution.plans.primitives.deductions.actual_cost import ActualCost
from distribution.plans.primitives.deductions.reserve import Reserve
from distribution.plans.primitives.deductions.waterfall import Waterfall
from distribution.plans.primitives.income.advance_clearing import AdvanceClearing
from distribution.plans.primitives.income.cash_basis import CashBasis
from distribution.plans.primitives.income.equity_stake import EquityStake
from distribution.plans.primitives.income.typed_income import TypedIncome
from distribution.plans.primitives.payments.posts import Posts
from distribution.plans.primitives.payments.weighted import Weighted
from distribution.plans.primitives.purses.ratio_split import RatioSplit

AnyStep = Annotated[
    TypedIncome
    | CashBasis
    | AdvanceClearing
    | EquityStake
    | Waterfall
    | ActualCost
    | Reserve
    | RatioSplit
    | Posts
    | Weighted
    | RatioTest,
    Discriminator("kind"),
]
