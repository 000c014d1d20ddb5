"""Fills a data directory with the demo county, or tops an existing one up to now.

Owns the order of the steps and the marker file that says which county a directory holds. Every step can be
repeated: what is there already is left alone, so that a seeding that was interrupted goes on.
"""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from api.demo.county import FULL, County, CountySize, build_county
from api.demo.history import Progress, load_history
from api.demo.incidents import record_incidents
from api.demo.marker import FOLDER, marker_file
from api.demo.money import compare_months, play_months
from api.demo.office import open_office
from api.demo.people import People, build_people
from api.demo.plant import Plant
from api.demo.registration import (
    Login,
    register_contacts,
    register_county,
    register_people,
    register_played,
    register_visitors,
)
from api.demo.roll import keep_roll
from api.demo.upkeep import play_upkeep
from documents.files import write_whole
from monitoring.alarms.watch import estimate_losses
from monitoring.energy import refresh_daily_energy
from registry.divisions import DivisionRow
from registry.secrets import open_key_ring
from store.db import Database
from store.periods import local_date, local_midnight
from store.problem import Problem, ProblemsError
from store.series import SeriesStore

DEFAULT_SEED = 20_260_101
_COUNTERS = "counters.npy"
_PLAYED = "past-months-are-played"


@dataclass(frozen=True, slots=True)
class Marker:
    """Which county a data directory holds: enough to build it again exactly."""

    seed: int
    anchor: date
    size: CountySize

    def text(self) -> str:
        """Return the marker as JSON."""
        plain = {"seed": self.seed, "anchor": self.anchor.isoformat(), "size": asdict(self.size)}
        return json.dumps(plain, ensure_ascii=False, indent=1)


def read_marker(data_dir: Path) -> Marker | None:
    """Return the marker of a data directory, or None where no demo was made.

    Raises ProblemsError when the file is damaged.
    """
    path = marker_file(data_dir)
    if not path.is_file():
        return None
    try:
        plain: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        size = CountySize(**plain["size"])
        return Marker(int(plain["seed"]), date.fromisoformat(plain["anchor"]), size)
    except (ValueError, KeyError, TypeError) as error:
        raise ProblemsError(
            [Problem(str(path), "演示数据的标记文件已损坏", "请换一个空的数据目录重新生成演示数据")]
        ) from error


def open_county(data_dir: Path) -> County:
    """Return the county that a data directory holds; raises ProblemsError where there is none."""
    marker = read_marker(data_dir)
    if marker is None:
        raise ProblemsError([Problem(str(data_dir), "这里没有演示数据", "先运行 sunledger demo")])
    return build_county(marker.seed, marker.size, marker.anchor)


def open_plant(data_dir: Path, county: County) -> Plant:
    """Return the county's machines, with the counters that the last seeding kept."""
    plant = county.plant()
    plant.load(data_dir / FOLDER / _COUNTERS)
    return plant


def seed(  # noqa: PLR0913, the stores, the place, the time, and three options
    database: Database,
    series: SeriesStore,
    data_dir: Path,
    now: datetime,
    *,
    progress: Progress,
    seed: int = DEFAULT_SEED,
    size: CountySize = FULL,
) -> tuple[Login, ...]:
    """Fill the stores with the demo county up to `now` and return the logins that were made.

    An existing demo keeps its seed, size and story and is topped up. Raises ProblemsError when the
    database holds something else than a demo.
    """
    marker = _mark(database, data_dir, Marker(seed, local_date(now), size))
    county = build_county(marker.seed, marker.size, marker.anchor)
    people = build_people(county)
    progress("台账", 0, 2)
    _register(database, data_dir, county, people)
    progress("台账", 1, 2)
    with database.transaction() as session:
        logins = register_visitors(session, county, now)
        record_incidents(session, county, now)
    progress("台账", 2, 2)
    plant = open_plant(data_dir, county)
    played = data_dir / FOLDER / _PLAYED
    if played.is_file():
        load_history(plant, series, now, progress)
    else:
        office = open_office(database, data_dir, county, people, plant)
        until = min(now, local_midnight(marker.anchor + timedelta(days=1)))
        # The two long steps use different stores and mostly different processors.
        with ThreadPoolExecutor(1) as beside:
            loading = beside.submit(load_history, plant, series, now, progress)
            play_months(office, until, progress)
            play_upkeep(office, min(now, until))
            loading.result()
        compare_months(office, series, until, progress)
        keep_roll(office, min(now, until))
        played.touch()
    plant.save(data_dir / FOLDER / _COUNTERS)
    progress("每日电量", 0, 1)
    with database.transaction() as session:
        refresh_daily_energy(session, series, now)
    estimate_losses(database, series, now)
    progress("每日电量", 1, 1)
    return logins


def _mark(database: Database, data_dir: Path, wanted: Marker) -> Marker:
    marker = read_marker(data_dir)
    if marker is not None:
        return marker
    with database.reading() as session:
        occupied = session.scalar(select(DivisionRow.id).limit(1)) is not None
    if occupied:
        raise ProblemsError(
            [Problem(str(data_dir), "数据库里已有台账，不是演示数据", "演示请另用一个空的数据目录")]
        )
    (data_dir / FOLDER).mkdir(parents=True, exist_ok=True)
    write_whole(marker_file(data_dir), wanted.text().encode())
    return wanted


def _register(database: Database, data_dir: Path, county: County, people: People) -> None:
    with database.transaction() as session:
        if session.scalar(select(DivisionRow.id).limit(1)) is None:
            register_county(session, county)
            register_people(session, county, people, open_key_ring(data_dir))
            register_played(session, county)
            register_contacts(session, county, local_midnight(county.story.epoch))
