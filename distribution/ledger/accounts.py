"""The chart of accounts: flat codes, what each is called, and on which side it stands.

Owns the only list of ledger accounts. A village's book and the county's dedicated account use the same
codes; which household, station or purse an amount belongs to is the posting's holder, not an account.
"""

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """What an account is, in the words of plain-text accounting."""

    ASSETS = "Assets"
    LIABILITIES = "Liabilities"
    EQUITY = "Equity"
    INCOME = "Income"
    EXPENSES = "Expenses"


class Account(StrEnum):
    """The codes of the accounts."""

    BANK = "bank"
    RECEIVABLE_ELECTRICITY = "receivable_electricity"
    RECEIVABLE_SUBSIDY = "receivable_subsidy"
    RECEIVABLE_LOCAL_SUBSIDY = "receivable_local_subsidy"
    DUE_FROM_COUNTY = "due_from_county"
    DUE_TO_VILLAGE = "due_to_village"
    UNMATCHED_RECEIPT = "unmatched_receipt"
    DEFERRED_INCOME = "deferred_income"
    DISTRIBUTABLE = "distributable"
    COST = "cost"
    PAYABLE_COST = "payable_cost"
    PAYABLE_DIVISION = "payable_division"
    RESERVE = "reserve"
    VILLAGE_COLLECTIVE = "village_collective"
    PURSE = "purse"
    PAYABLE_HOUSEHOLD = "payable_household"
    PAYOUT_CLEARING = "payout_clearing"
    RETURNED_HOUSEHOLD = "returned_household"
    RECOVERABLE_HOUSEHOLD = "recoverable_household"


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """The Chinese name of an account, its side, and whether its credit balance may never turn to debit."""

    name: str
    side: Side
    never_overdrawn: bool = False


CHART: dict[Account, AccountFacts] = {
    Account.BANK: AccountFacts("银行存款", Side.ASSETS),
    Account.RECEIVABLE_ELECTRICITY: AccountFacts("应收电费", Side.ASSETS),
    Account.RECEIVABLE_SUBSIDY: AccountFacts("应收财政补贴", Side.ASSETS),
    Account.RECEIVABLE_LOCAL_SUBSIDY: AccountFacts("应收地方补贴", Side.ASSETS),
    Account.DUE_FROM_COUNTY: AccountFacts("县专户待拨款", Side.ASSETS),
    Account.DUE_TO_VILLAGE: AccountFacts("应拨村款", Side.LIABILITIES),
    Account.UNMATCHED_RECEIPT: AccountFacts("待核对到账", Side.LIABILITIES),
    Account.DEFERRED_INCOME: AccountFacts("待到账收益", Side.LIABILITIES),
    Account.DISTRIBUTABLE: AccountFacts("可分配收益", Side.EQUITY, never_overdrawn=True),
    Account.COST: AccountFacts("费用支出", Side.EXPENSES),
    Account.PAYABLE_COST: AccountFacts("应付费用", Side.LIABILITIES),
    Account.PAYABLE_DIVISION: AccountFacts("应付其他单位", Side.LIABILITIES),
    Account.RESERVE: AccountFacts("风险准备金", Side.EQUITY),
    Account.VILLAGE_COLLECTIVE: AccountFacts("村集体收益", Side.EQUITY),
    Account.PURSE: AccountFacts("专项结存", Side.EQUITY),
    Account.PAYABLE_HOUSEHOLD: AccountFacts("应付农户款", Side.LIABILITIES, never_overdrawn=True),
    Account.PAYOUT_CLEARING: AccountFacts("发放在途款", Side.LIABILITIES, never_overdrawn=True),
    Account.RETURNED_HOUSEHOLD: AccountFacts("退回待付农户款", Side.LIABILITIES, never_overdrawn=True),
    Account.RECOVERABLE_HOUSEHOLD: AccountFacts("应收回农户款", Side.ASSETS),
}

NEVER_OVERDRAWN = tuple(account for account, facts in CHART.items() if facts.never_overdrawn)


def account_name(code: str) -> str:
    """Return the Chinese name of an account; an unknown code is returned as it stands."""
    try:
        return CHART[Account(code)].name
    except ValueError:
        return code
