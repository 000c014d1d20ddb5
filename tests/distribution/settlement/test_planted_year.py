"""A county-year with planted discrepancies: all are found, their causes named, and nothing else is."""

import os
from collections import Counter
from datetime import UTC, date, datetime

import pytest

from distribution.matching import Circumstances, match_month
from distribution.settlement.columns import load_layout
from distribution.settlement.imports import import_statement
from distribution.settlement.matching.causes import CAUSE_LABELS
from distribution.settlement.matching.results import line_fates
from distribution.settlement.receipts import import_receipts
from distribution.settlement.reconciliation import Resolution, discrepancies, resolve_discrepancy
from distribution.settlement.statements import read_statement
from registry.actors import SYSTEM, Actor, Role
from registry.stations import Device, RevenueMeter, Station, add_device, add_revenue_meter, add_station
from store.samples import Sample, samples_to_table
from store.series import open_series
from tests.distribution.settlement.planted_year import MONTHS, MULTIPLIER, county_year

VILLAGE = "520499101201"
COUNTY = Actor("u_county", "县局", Role.COUNTY, "520499000000")
SEEDS = range(int(os.environ.get("SUNLEDGER_SOAK", "0")) * 19 + 1)
HEADING = (
    "户号,结算月份,电表编号,倍率,上次示数,本次示数,上网电量,上网电价,上网电费,补贴单价,补贴金额,"
    "上次抄表日期,本次抄表日期"
)
LABELS = {label: cause.value for cause, label in CAUSE_LABELS.items()}


def build(county, year):
    now = datetime(2025, 1, 1, tzinfo=UTC)
    with county.database.transaction() as session:
        for plant in year.plants:
            mode = "surplus" if plant.own_use else "full"
            station = Station(
                *(plant.id, plant.name, "village", VILLAGE, plant.kw * 1000, 26.0, 106.0),
                account_number=plant.account,
                grid_connected_on=date(2018, 6, 1),
                tariff_zone="III",
                on_grid_mode="full" if mode == "full" else "surplus",
            )
            add_station(session, COUNTY, station, now)
            meter = RevenueMeter(f"m_{plant.id}", plant.id, f"T{plant.id}", MULTIPLIER, date(2018, 6, 1))
            add_revenue_meter(session, COUNTY, meter, now)
            rated = plant.kw * 2000
            device = Device(f"i_{plant.id}", plant.id, "inverter", "1 号", "p", date(2018, 6, 1))
            add_device(session, COUNTY, Device(**{**_fields(device), "rated_power_w": rated}), now)
        for number, (station, month) in enumerate(year.silent):
            first = date.fromisoformat(f"{month}-01")
            end = date(first.year + first.month // 12, first.month % 12 + 1, 1)
            silent = Device(f"s{number}", station, "inverter", "2 号", "p", first, removed_on=end)
            add_device(session, COUNTY, silent, now)


def _fields(record):
    return {name: getattr(record, name) for name in type(record).__slots__}


def statement_text(bills):
    rows = [
        ",".join(
            str(value)
            for value in (
                *(bill.account, bill.month, f"Tp{int(bill.account[2:])}", MULTIPLIER),
                *(bill.previous, bill.current, bill.kwh, bill.electricity_price, bill.fee),
                *("0.42" if int(bill.account[2:]) >= 14 else "0.4985",),
                bill.subsidy_at("0.42" if int(bill.account[2:]) >= 14 else "0.4985"),
                *(bill.read_from or "", bill.read_to or ""),
            )
        )
        for bill in bills
    ]
    return "\n".join([HEADING, *rows]) + "\n"


def fill(county, series, year, month):
    after = datetime.fromisoformat(f"{month}-28T00:00:00+00:00")
    now = datetime(after.year + after.month // 12, after.month % 12 + 1, 15, tzinfo=UTC)
    read = read_statement(statement_text(year.bills[month]).encode(), f"{month}.csv", load_layout("standard"))
    receipts = "户号,款项,所属月份,到账金额(元),到账日期,银行流水号\n" + "".join(
        f"{account},电费,{month},{amount},{now.date()},R{month}{account}\n"
        for account, amount in year.receipts[month]
    )
    with county.database.transaction() as session:
        result = import_statement(session, SYSTEM, read, now)
        assert result.problems == ()
        arrived = import_receipts(
            session, SYSTEM, (receipts.encode(), f"{month}到账.csv", load_layout("receipts")), now
        )
        assert arrived.problems == ()
    match(county, series, year, month, now)


def match(county, series, year, month, now):
    orders = {
        station: [span for span in spans if f"{span[1]:%Y-%m}" == month]
        for station, spans in year.orders.items()
    }
    around = Circumstances(orders, frozenset(year.wrong_clocks.get(month, ())))
    return match_month(county.database, series, SYSTEM, month, now, circumstances=around)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.filterwarnings("error")
def test_every_planted_discrepancy_is_found_with_its_cause_and_no_other(county, tmp_path, seed):
    year = county_year(seed)
    build(county, year)
    series = open_series(f"duckdb:///{tmp_path / 'series.duckdb'}")
    for plant in year.plants:
        device = f"i_{plant.id}"
        samples = [Sample(device, at, at, {"generated_energy_wh": v}) for at, v in year.samples[plant.id]]
        series.write(samples_to_table(samples))
    for month in MONTHS:
        fill(county, series, year, month)
        explain_own_use(county, month)
    late = datetime(2026, 5, 20, tzinfo=UTC)
    for month in MONTHS:
        match(county, series, year, month, late)
        assert match(county, series, year, month, late) == ()
    series.close()
    judge(county, year, seed)


def explain_own_use(county, month):
    """A person agrees that a self-use station keeps some of its energy, in the first months."""
    if month > MONTHS[2]:
        return
    with county.database.transaction() as session:
        for one in discrepancies(session, SYSTEM, month=month, open_only=True):
            if one.cause_name == "自用电":
                resolve_discrepancy(
                    session,
                    SYSTEM,
                    one.id,
                    Resolution("explained", "用电合同"),
                    datetime(2025, 5, 1, tzinfo=UTC),
                )


def judge(county, year, seed):
    with county.database.reading() as session:
        found = discrepancies(session, SYSTEM, with_past=False)
        fates = Counter(one.fate for month in MONTHS for one in line_fates(session, SYSTEM, month))
    named: dict[tuple[str, str], set[str]] = {}
    for one in found:
        cause = "bill" if one.kind.startswith("check_") else LABELS[one.cause_name]
        named.setdefault((one.station_id, one.month), set()).add(cause)
    planted = {(one.station, one.month): one for one in year.planted}
    missed = [one for key, one in planted.items() if key not in named]
    false = {key: causes for key, causes in named.items() if key not in planted}
    wrong = {
        key: (one.cause, named[key])
        for key, one in planted.items()
        if key in named and named[key] != {one.cause}
    }
    kinds = {one.kind for one in year.planted}
    print(
        f"seed {seed}: {len(planted)} planted, {len(kinds)} kinds; missed {missed}, false {false}, {wrong=}"
    )
    assert len(planted) >= 40
    assert len(kinds) >= 12
    assert missed == []
    assert false == {}
    assert len(wrong) * 10 <= len(planted)
    assert fates["waiting"] == 0
    assert set(fates) <= {"matched", "excepted", "ignored"}
