"""Dated values: the shipped ones are complete and sourced, a county's own go first."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from registry import parameters
from registry.actors import Actor, NotPermittedError, Role
from registry.parameters import NewValue, NoValueError, Place, value_on
from store.db import new_id
from store.problem import ProblemsError

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
COUNTY = "520491000000"
CLERK = Actor("clerk", "县经办", Role.COUNTY, COUNTY)
ALL = [value for parameter in parameters.shipped().values() for value in parameter.values]

FIRST = (
    'parameter = [{name = "x", label = "某", unit = "比例", dated_by = "日", minimum = "0", maximum = "1", '
)


@pytest.mark.parametrize(
    ("name", "on", "place", "value"),
    [
        ("coal_benchmark_price", date(2020, 5, 1), Place("340000000000"), "0.3844"),
        ("coal_benchmark_price", date(2020, 5, 1), Place("640000000000"), "0.2595"),
        ("fixed_price", date(2018, 6, 30), Place(key="I"), "0.65"),
        ("fixed_price", date(2018, 6, 30), Place(key="III"), "0.85"),
        ("fixed_price", date(2016, 12, 31), Place(key="III"), "0.98"),
        ("self_use_subsidy_price", date(2018, 6, 30), Place(), "0.42"),
        ("local_subsidy_price", date(2019, 1, 1), Place("420527100201"), "0.25"),
        ("maintenance_cap_per_watt_year", date(2019, 1, 1), Place("360726000000"), "0.03"),
        ("cost_cap_of_electricity", date(2019, 1, 1), Place("421381000000"), "0.10"),
        ("maintenance_share", date(2019, 1, 1), Place("141034000000"), "0.029"),
        ("reserve_share", date(2019, 1, 1), Place("141034000000"), "0.02"),
        ("post_share_minimum", date(2020, 1, 1), Place("340100000000"), "0.80"),
        ("post_share_minimum", date(2022, 1, 1), Place("340100000000"), "0.60"),
    ],
)
def test_a_published_figure_applies_on_its_day_in_its_place(name, on, place, value) -> None:
    found = value_on(name, on, place)
    assert found.value == Decimal(value)
    assert found.source


def test_the_subsidy_of_an_old_anhui_station_is_price_minus_benchmark() -> None:
    price = value_on("fixed_price", date(2016, 6, 1), Place("341300000000", "III")).value
    benchmark = value_on("coal_benchmark_price", date(2019, 1, 1), Place("341300000000")).value
    assert price - benchmark == Decimal("0.5956")


@given(st.sampled_from(ALL))
def test_every_shipped_value_is_found_from_its_first_to_its_last_day(value) -> None:
    place = Place(value.scope.ljust(12, "0"), value.key)
    days = [value.valid_from] + ([value.valid_to - timedelta(days=1)] if value.valid_to else [])
    for day in days:
        assert value_on(value.name, day, place) == value


@pytest.mark.parametrize(
    ("name", "on", "place"),
    [
        ("fixed_price", date(2010, 1, 1), Place(key="I")),
        ("fixed_price", date(2018, 1, 1), Place(key="IV")),
        ("coal_benchmark_price", date(2020, 1, 1), Place("990000000000")),
        ("post_share_minimum", date(2023, 1, 1), Place("520491000000")),
        ("no_such_parameter", date(2020, 1, 1), Place()),
    ],
)
def test_where_nothing_applies_nothing_is_guessed(name, on, place) -> None:
    with pytest.raises(NoValueError):
        value_on(name, on, place)


def test_a_countys_own_value_goes_first_from_its_day_on(database) -> None:
    place = Place("520491100201")
    with database.transaction() as session:
        new = NewValue("public_notice_days", Decimal(10), date(2026, 1, 1), "县办发〔2026〕1号", COUNTY)
        parameters.set_value(session, CLERK, new, NOW)
        before = value_on("public_notice_days", date(2025, 12, 31), place, session=session)
        after = value_on("public_notice_days", date(2026, 1, 1), place, session=session)
        elsewhere = value_on("public_notice_days", date(2026, 1, 1), Place("520492100201"), session=session)
        own = parameters.own_values(session, CLERK)
    assert (before.value, after.value, elsewhere.value) == (7, 10, 7)
    assert after.source == "县办发〔2026〕1号"
    assert [(one.name, one.value) for one in own] == [("public_notice_days", 10)]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"source": " "}, "依据"),
        ({"value": Decimal(90)}, "超出"),
        ({"value": Decimal("NaN")}, "超出"),
        ({"valid_to": date(2020, 1, 1)}, "终止日期"),
        ({"valid_from": date(2026, 6, 1)}, "重叠"),
    ],
)
def test_a_countys_value_that_cannot_be_right_is_refused(database, change, word) -> None:
    good = {
        "name": "public_notice_days",
        "value": Decimal(10),
        "valid_from": date(2026, 1, 1),
        "source": "县办发",
        "scope": COUNTY,
    }
    with database.transaction() as session:
        if word == "重叠":
            parameters.set_value(session, CLERK, NewValue(**good), NOW)
        with pytest.raises(ProblemsError, match=word):
            parameters.set_value(session, CLERK, NewValue(**{**good, **change}), NOW)


def test_a_value_for_another_county_or_by_another_role_is_refused(database) -> None:
    new = NewValue("public_notice_days", Decimal(10), date(2026, 1, 1), "县办发", "520492000000")
    with database.transaction() as session:
        with pytest.raises(PermissionError):
            parameters.set_value(session, CLERK, new, NOW)
        with pytest.raises(NotPermittedError):
            parameters.set_value(session, Actor("v", "村", Role.VILLAGE, COUNTY), new, NOW)


def test_the_database_itself_refuses_two_values_at_a_time(both) -> None:
    def row(start: date) -> parameters.ParameterValueRow:
        return parameters.ParameterValueRow(
            id=new_id("parameter"),
            name="vat_rate",
            scope="",
            key="",
            value="0.03",
            source="某文件",
            valid_from=start,
            valid_to=None,
            recorded_at=NOW,
            recorded_by="clerk",
        )

    with both.transaction() as session:
        session.add(row(date(2026, 1, 1)))
    with pytest.raises(DBAPIError, match="one value at a time"), both.transaction() as session:
        session.add(row(date(2026, 6, 1)))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("[[parameter", "TOML"),
        (FIRST + "value = []}]", "value"),
        (FIRST + 'value = [{value = 0.5, valid_from = 2020-01-01, source = "s"}]}]', "as text"),
        (FIRST + 'value = [{value = "abc", valid_from = 2020-01-01, source = "s"}]}]', "abc"),
        (FIRST + 'value = [{value = "0.5", valid_from = 2020-01-01, source = ""}]}]', "source"),
        (FIRST + 'value = [{value = "5", valid_from = 2020-01-01, source = "s"}]}]', "超出"),
        (
            FIRST
            + 'value = [{value = "0.5", valid_from = 2020-01-01, valid_to = 2022-01-01, source = "s"}, '
            + '{value = "0.6", valid_from = 2021-01-01, source = "s"}]}]',
            "重叠",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path, content, word) -> None:
    path = tmp_path / "own.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ProblemsError, match=r"own\.toml") as caught:
        parameters.read_parameters(path)
    assert word in str(caught.value)
