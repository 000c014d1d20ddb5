"""Import, check and match: a county-month of 500 rows and a province-year of 100 000, and their export.

Run with `make bench-settlement`. Beside each stands, of the same inputs in the same run, what an analyst
would write with pandas: read the file, merge it with stations and energies, compare, write it out. That is
the floor: it keeps no revision, no village's part, no cell of a problem and no difference. Each size runs
in a process of its own, so that its memory is its own.
"""

import csv
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pandas as pd
from sqlalchemy import insert

from api.schema import all_tables
from distribution.exports.sheets import settlement_xlsx
from distribution.matching import match_month
from distribution.settlement.columns import load_layout
from distribution.settlement.imports import import_statement
from distribution.settlement.matching.results import match_results
from distribution.settlement.reads import settlements
from distribution.settlement.reconciliation import discrepancies
from distribution.settlement.statements import stream_statement
from registry.actors import SYSTEM
from registry.stations import DeviceRow, RevenueMeterRow, StationRow, stations
from store.db import Database, open_database
from store.energy import FrozenEnergy

SIZES = {"county": (500, 1), "province": (8_334, 12)}
LIMITS = {"county": (2, None, None), "province": (60, 512, 10)}
NOW = datetime(2026, 2, 1, tzinfo=UTC)
PRICE, SUBSIDY = Decimal("0.3515"), Decimal("0.4985")
HEADING = (
    "户号", "结算月份", "电表编号", "倍率", "上次示数", "本次示数", "上网电量(千瓦时)", "上网电价(元/千瓦时)",
    "上网电费(元)", "补贴单价(元/千瓦时)", "补贴金额(元)",
)  # fmt: skip


def months(count: int) -> list[str]:
    """Return the first months of 2025."""
    return [f"2025-{number:02d}" for number in range(1, count + 1)]


def after(month: str) -> datetime:
    """Return the day on which a month is matched: the 15th of the next, before its money is due."""
    year, number = int(month[:4]), int(month[5:])
    return datetime(year + number // 12, number % 12 + 1, 15, tzinfo=UTC)


def kwh(station: int, month: int) -> int:
    """Return a made-up month's energy [kWh]; every 200th is off by a quarter."""
    return 6_000 + (station * 7_919 + month * 104_729) % 9_000


def build(database: Database, count: int, month_count: int) -> None:
    """Fill a registry of stations with one inverter and one meter each, and its frozen energy."""
    all_tables().create_all(database.engine)
    recorded = {"recorded_at": NOW, "recorded_by": "bench"}
    with database.transaction() as session:
        session.execute(insert(StationRow), [station(n, recorded) for n in range(count)])
        session.execute(insert(RevenueMeterRow), [meter(n, recorded) for n in range(count)])
        session.execute(insert(DeviceRow), [inverter(n, recorded) for n in range(count)])
        for number, month in enumerate(months(month_count)):
            session.execute(insert(FrozenEnergy), [energy(n, number, month) for n in range(count)])


def village(number: int) -> str:
    """Return the village of a station: twenty stand in one."""
    place = number // 20
    return f"5204{place // 900 + 1:02d}{100 + place % 900:03d}201"


def station(number: int, recorded: dict[str, object]) -> dict[str, object]:
    """Return a station of 100 kW."""
    return {
        "id": f"s{number}", "name": f"{number}电站", "kind": "village", "division_code": village(number),
        "rated_power_w": 100_000, "dc_power_w": None, "latitude": 26.0, "longitude": 106.0,
        "account_number": f"{number:010d}", "grid_connected_on": date(2018, 6, 1), "tariff_zone": "III",
        "on_grid_mode": "full", "subsidy_list_status": "第一批", "maintenance_company": "",
        "maintenance_phone": "", "payee": "", "archive": "{}", "withdrawn_at": None,
    } | recorded  # fmt: skip


def meter(number: int, recorded: dict[str, object]) -> dict[str, object]:
    """Return a station's revenue meter; nobody reads it remotely."""
    return {
        "id": f"m{number}", "station_id": f"s{number}", "device_id": None, "meter_number": f"M{number}",
        "meter_multiplier": 1, "installed_on": date(2018, 6, 1), "removed_on": None,
    } | recorded  # fmt: skip


def inverter(number: int, recorded: dict[str, object]) -> dict[str, object]:
    """Return a station's inverter."""
    return {
        "id": f"i{number}", "station_id": f"s{number}", "kind": "inverter", "name": "1", "profile": "p",
        "transport": "mqtt", "host": "", "port": 0, "unit_id": 1, "topic": "", "cycle_seconds": 60,
        "rated_power_w": 100_000, "serial": "", "position": 1, "installed_on": date(2018, 6, 1),
        "removed_on": None, "replaces": None,
    } | recorded  # fmt: skip


def energy(number: int, month_number: int, month: str) -> dict[str, object]:
    """Return an inverter's frozen month: 1.5 % above the bill, every 200th a quarter more."""
    wh = kwh(number, month_number) * 1_015 * (125 if number % 200 == 0 else 100) // 100
    return {
        "device_id": f"i{number}", "month": month, "quantity": "generated_energy_wh", "energy_wh": wh,
        "completeness": 1.0, "method": "counter", "estimated_wh": 0, "flags": 0, "frozen_at": NOW,
    }  # fmt: skip


def rows(count: int, month_count: int) -> Iterator[tuple[object, ...]]:
    """Yield the statement's rows, readings following from month to month."""
    cent = Decimal("0.01")
    for number in range(count):
        face = 1_000
        for place, month in enumerate(months(month_count)):
            made = kwh(number, place)
            fee, subsidy = ((made * price).quantize(cent, ROUND_HALF_UP) for price in (PRICE, SUBSIDY))
            yield (
                f"{number:010d}",
                month,
                f"M{number}",
                1,
                face,
                face + made,
                made,
                PRICE,
                fee,
                SUBSIDY,
                subsidy,
            )
            face += made


def timed(work: Callable[[], object]) -> tuple[object, float, float]:
    """Return what a work gives, and its wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - processor


def ours(folder: Path, file: Path, month_count: int) -> None:
    """Import, check and match the file, and export it."""
    database = open_database(f"sqlite:///{folder / 'ours.sqlite3'}")

    def take_in() -> int:
        read = stream_statement(file, load_layout("standard"))
        with database.transaction() as session:
            result = import_statement(session, SYSTEM, read, NOW)
        if result.problems or result.warnings:
            raise RuntimeError(f"the bench's own file is wrong: {(*result.problems, *result.warnings)[:3]}")
        return len(result.added)

    def match() -> int:
        return sum(
            len(match_month(database, None, SYSTEM, month, after(month))) for month in months(month_count)
        )

    def export() -> int:
        size = 0
        for month in months(month_count):
            with database.reading() as session:
                names = {one.id: one.name for one in stations(session, SYSTEM)}
                billed = settlements(session, SYSTEM, month=month)
                found = discrepancies(session, SYSTEM, month=month)
                size += len(settlement_xlsx(billed, names, found))
        return size

    bills, first, first_cpu = timed(take_in)
    found, second, second_cpu = timed(match)
    line(f"import and check, {bills} bills", first, first_cpu)
    line(f"match, {found} differences", second, second_cpu)
    line("import, check and match together", first + second, first_cpu + second_cpu)
    _, third, third_cpu = timed(export)
    line("export as .xlsx", third, third_cpu)
    with database.reading() as session:
        kept = match_results(session, SYSTEM, month=months(1)[0])
    print(f"    {len(kept)} results of the first month kept, peak memory {peak_mb()} MB")
    database.close()


def floor(folder: Path, file: Path, count: int, month_count: int) -> None:
    """Do with pandas what can be done in one frame."""
    known = pd.DataFrame(
        {
            "户号": [f"{number:010d}" for number in range(count) for _ in range(month_count)],
            "结算月份": months(month_count) * count,
            "wh": [energy(n, place, "")["energy_wh"] for n in range(count) for place in range(month_count)],
        }
    )

    def work() -> int:
        frame = pd.read_csv(file, dtype={"户号": str})
        joined = frame.merge(known, on=["户号", "结算月份"], how="left")
        made = joined["上网电量(千瓦时)"]
        wrong = ((made * joined["上网电价(元/千瓦时)"]).round(2) - joined["上网电费(元)"]).abs() > 0.01
        off = (made * 1000 - joined["wh"] * 0.985).abs() > joined["wh"] * 0.03
        joined.to_csv(folder / "floor.csv", index=False)
        return int(off.sum() + wrong.sum())

    found, wall, processor = timed(work)
    line(f"pandas: read, merge, compare, {found} off", wall, processor)
    _, wall, processor = timed(
        lambda: known.to_excel(folder / "floor.xlsx", index=False, engine="xlsxwriter")
    )
    line("pandas: export as .xlsx", wall, processor)


def line(name: str, wall: float, processor: float) -> None:
    """Print one figure."""
    print(f"    {name:<46}{wall:8.2f} s{processor:8.2f} s processor", flush=True)


def peak_mb() -> int:
    """Return the most memory that this process has used [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def one(size: str, who: str, folder: Path) -> None:
    """Run one side of one size in this process."""
    count, month_count = SIZES[size]
    file = folder / "statement.csv"
    if who == "build":
        database = open_database(f"sqlite:///{folder / 'ours.sqlite3'}")
        build(database, count, month_count)
        database.close()
        with file.open("w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(HEADING)
            writer.writerows(rows(count, month_count))
    elif who == "ours":
        ours(folder, file, month_count)
    else:
        floor(folder, file, count, month_count)


def main() -> None:
    """Run every size, each side in a process of its own."""
    if len(sys.argv) > 1:
        one(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
        return
    for size, (count, month_count) in SIZES.items():
        seconds, memory, export = LIMITS[size]
        wanted = f"at most {seconds} s" + (f", {memory} MB, export {export} s" if memory else "")
        print(f"  {size}: {count * month_count} statement rows; {wanted}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            for who in ("build", "ours", "floor"):
                subprocess.run(
                    [sys.executable, "-m", "tests.bench.bench_settlement", size, who, folder], check=True
                )


if __name__ == "__main__":
    main()
