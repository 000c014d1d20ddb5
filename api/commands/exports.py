"""Commands that write files."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.chinese import CommandLine
from api.commands.output import ConfigOption, DataOption, JsonOption, run_operation


def register(app: CommandLine) -> None:
    """Add the commands of this module."""
    app.command()(export)


def export(
    what: Annotated[str, typer.Argument(help="要写出的内容，见下面的说明")],
    out: Annotated[Path, typer.Option("--out", help="写到这个文件，后缀决定格式")],
    village: Annotated[str, typer.Option("--village", help="12 位村代码")] = "",
    month: Annotated[str, typer.Option("--month", help="月份，例如 2026-10")] = "",
    account: Annotated[str, typer.Option("--account", help="户号（只用于 account）")] = "",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """写出收益账、公示表、对账单或账本。

    statement 收益账：.pdf .xlsx .csv；notice 公示表：.pdf；

    settlement 结算明细：.xlsx；journal 账本：.beancount 或 .journal（hledger）。

    对账文件，都可写成 .xlsx、.csv 或供签字盖章的 .pdf：

    reconciliation 对账单（全县）、account 对账单（按户号）、subsidy 补贴申请清单、ageing 应收账龄表、

    differences 差异清单、bank 银行流水核对表、transit 收入转付表、national 全国系统填报表；

    账表，同样三种：ledger 村级明细账（要写 --village）、township 乡镇账、flow 县级收支表、

    ratios 比例测算表、wages 人员工资表。
    """
    arguments = {
        "what": what,
        "out": str(out.resolve()),
        "village": village,
        "month": month,
        "account": account,
    }
    run_operation("export", arguments, data=data, config=config, as_json=as_json)
