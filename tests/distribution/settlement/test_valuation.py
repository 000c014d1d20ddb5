"""Lost energy is valued at the tariff in force, and never more exactly than it is known."""

from datetime import date
from fractions import Fraction

import pytest

from distribution.settlement.valuation import lost_fen, tariffs_in_force
from registry.actors import NotPermittedError
from registry.stations import stations
from tests.distribution.conftest import COUNTY, FINANCE, Actor, Role
from tests.distribution.conftest import COUNTY_CODE as CODE


def tariffs(county, on=date(2026, 11, 20), actor=FINANCE):
    with county.database.reading() as session:
        return tariffs_in_force(session, actor, on), stations(session, COUNTY)


def test_the_newest_bill_says_what_a_kilowatt_hour_is_paid(county):
    county.october()
    found, places = tariffs(county)
    for place in places:
        assert found[place.id].price == Fraction("0.85")
        assert found[place.id].source == "2026年10月电费结算单"
        assert lost_fen(found, place.id, 218_900) == 18_607


def test_lines_of_different_prices_are_weighted_by_their_energy(county):
    county.statement(
        [
            "0001,2026-10,M1,1,1000,11000,10000,0.3,3000.00,0.5,5000.00",
            "0001,2026-10,M1,1,11000,41000,30000,0.2,6000.00,0.4,12000.00",
        ]
    )
    found, places = tariffs(county)
    one = next(place for place in places if place.account_number == "0001")
    assert found[one.id].price == Fraction(8 * 10_000 + 6 * 30_000, 10 * 40_000)


def test_a_bill_of_the_future_or_without_energy_says_nothing(county):
    county.statement(["0001,2026-10,M1,1,1000,1000,0,0.3,0.00,0.5,0.00"])
    county.statement(["0002,2026-10,M2,100,50,350,30000,0.3515,10545.00,0.4985,14955.00"], name="二.csv")
    found, places = tariffs(county, on=date(2026, 9, 1))
    assert all("结算单" not in tariff.source for tariff in found.values())
    later, _places = tariffs(county)
    assert {
        place.account_number for place in places if place.id in later and "结算单" in later[place.id].source
    } == {"0002"}


def test_what_is_not_known_is_worth_nothing_known(county):
    found, places = tariffs(county)
    assert lost_fen(found, "elsewhere", 1000) is None
    assert lost_fen(found, places[0].id, None) is None


def test_who_may_not_see_money_is_told_no_price(county):
    worker = Actor("w", "运维", Role.MAINTENANCE, CODE)
    with pytest.raises(NotPermittedError):
        tariffs(county, actor=worker)
