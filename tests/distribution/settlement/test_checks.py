"""Checks of statements against values in force: what blocks, what only warns, and the words at the cell."""

from datetime import date
from decimal import Decimal

import pytest

from distribution.settlement.checks import CHECKS, Check, StationFacts, check_rows
from distribution.settlement.columns import Heading, Places
from distribution.settlement.statements import StatementRow
from distribution.settlement.tariffs.prices import TariffWindow
from distribution.types import SettlementLine

WINDOW = TariffWindow(
    date(2026, 10, 1), date(2026, 11, 1), Decimal("0.3515"), Decimal("0.4985"), None, ("甲号文",)
)


def row(number=2, **changes):
    values = {
        "account_number": "0001",
        "meter_number": "M1",
        "meter_multiplier": 60,
        "previous_reading": Decimal(100),
        "current_reading": Decimal(300),
        "exported_energy_wh": 12_000_000,
        "electricity_price": Decimal("0.3515"),
        "electricity_fen": 421_800,
        "subsidy_price": Decimal("0.4985"),
        "subsidy_fen": 598_200,
    }
    return StatementRow(
        "2026-10", SettlementLine(**(values | changes)), number, Places("单", Heading(0, {}), number)
    )


def facts(**changes):
    return StationFacts("甲站", 100_000, {"M1": 60}, {}, **({"windows": (WINDOW,)} | changes))


def found(rows, known=None):
    return {one.check for one in check_rows(rows, known or facts())}


def test_a_right_line_passes_everything():
    assert found([row()]) == set()


@pytest.mark.parametrize(
    ("changes", "known", "check"),
    [
        ({"electricity_price": Decimal("0.36"), "electricity_fen": 432_000}, {}, Check.PRICE),
        ({"subsidy_price": Decimal("0.5"), "subsidy_fen": 600_000}, {}, Check.PRICE),
        ({"electricity_fen": 42}, {}, Check.FEE),
        ({"meter_multiplier": 1}, {}, Check.MULTIPLIER),
        ({"tax_fen": 100}, {"tax_fen": 29_709}, Check.TAX),
        ({}, {"region_hours": Decimal(100)}, Check.REGION_HOURS),
        ({}, {"is_listed": False}, Check.LISTED),
        ({}, {"cap_wh": 17_000_000}, Check.CAP),
    ],
)
def test_what_is_wrong_is_found_by_its_check(changes, known, check):
    assert check in found([row(**changes)], facts(**known))


def test_a_fee_in_ten_thousands_is_told_as_a_unit():
    (one,) = [one for one in check_rows([row(electricity_fen=42)], facts()) if one.check is Check.FEE]
    assert "元与万元" in one.problem.what


def test_a_rated_power_in_kilowatts_is_told_as_a_unit():
    known = StationFacts("甲站", 100_000_000, {"M1": 60}, {}, (WINDOW,))
    (one,) = check_rows([row()], known)
    assert one.check is Check.UNIT
    assert "千瓦与瓦" in one.problem.what
    assert not one.blocks


def test_windows_split_by_days_share_one_pair_of_readings():
    first, second = Decimal("0.34"), Decimal("0.35")
    halves = (
        TariffWindow(date(2026, 10, 1), date(2026, 10, 11), first, None, None),
        TariffWindow(date(2026, 10, 11), date(2026, 11, 1), second, None, None),
    )
    known = facts(windows=halves, by_day=True)

    def split(wh, price, window):
        fee = wh * price / 10
        return row(
            exported_energy_wh=wh, electricity_price=price, electricity_fen=int(fee), subsidy_fen=0,
            subsidy_price=Decimal(0), tariff_window=window,
        )  # fmt: skip

    good = [split(3_870_000, first, "前"), split(8_130_000, second, "后")]
    assert found(good, known) == set()
    wrong = [split(6_000_000, first, "前"), split(6_000_000, second, "后")]
    assert found(wrong, known) == {Check.WINDOW}
    by_reading = facts(windows=halves, change_readings={("M1", date(2026, 10, 11)): Decimal(200)})
    assert found(wrong, by_reading) == set()
    assert found(good, by_reading) == {Check.WINDOW}
    assert found(good, facts(windows=halves)) == set()
    one_price = [split(12_000_000, second, "全")]
    assert found(one_price, known) == {Check.WINDOW}


def test_every_check_says_whether_it_blocks():
    assert set(CHECKS) == set(Check)
    assert all(rule.label and rule.says for rule in CHECKS.values())
