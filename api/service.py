"""One process of the service: opens the stores and runs the chosen roles.

Owns the start, the clean stop, and which processes may share a data directory. Every role is the same code
in one process on embedded stores and in separate processes on server stores.
"""

import fcntl
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from api.demo.marker import watermark_of
from api.schema import require_current_schema
from api.settings import DATABASE_FILE, Settings
from collector.spool import Spool
from dashboards.web import Services
from store.db import open_database
from store.periods import Clock
from store.problem import Problem, ProblemsError
from store.series import open_series

SERVICE_LOCK = "service.lock"
COLLECTOR_LOCK = "collector.lock"
_NEW_OBJECTS_PER_ROUND = 20_000


def spare_loaded_code() -> None:
    """Keep Python's garbage collector off the loaded code, which lives as long as the process.

    Without this every full round walks over all libraries again, a tenth of the work of a long job.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS_PER_ROUND, *gc.get_threshold()[1:])


def system_clock() -> datetime:
    """Return the present instant [UTC]."""
    return datetime.now(UTC)


def shifted_clock(start: datetime) -> Clock:
    """Return a clock that shows `start` now and runs on from there at normal speed."""
    offset: timedelta = start - system_clock()
    return lambda: system_clock() + offset


@contextmanager
def exclusive(data_dir: Path) -> Iterator[None]:
    """Hold the data directory for this process alone; raises ProblemsError when another holds it."""
    with _lock(data_dir, SERVICE_LOCK, fcntl.LOCK_EX):
        yield


@contextmanager
def held(settings: Settings) -> Iterator[None]:
    """Hold the data directory as the stores allow; raises ProblemsError when another is in the way.

    Embedded stores belong to one process. On server stores the roles share the directory, and only what
    needs it for itself (`exclusive`) keeps them out.
    """
    kind = fcntl.LOCK_EX if settings.embedded else fcntl.LOCK_SH
    with _lock(settings.data_dir, SERVICE_LOCK, kind):
        yield


@contextmanager
def only_collector(data_dir: Path) -> Iterator[None]:
    """Be the one collector of a data directory, whose spool and broker session cannot be shared.

    Raises ProblemsError when another collector runs there.
    """
    with _lock(data_dir, COLLECTOR_LOCK, fcntl.LOCK_EX, "采集进程已在运行，一个数据目录只能有一个"):
        yield


@contextmanager
def spool_of(settings: Settings) -> Iterator[Spool]:
    """Open the collector's queue; only for the one that `only_collector` let in."""
    spool = Spool(settings.data_dir / "spool.sqlite3", settings.spool_cap_mb * 1024 * 1024)
    try:
        yield spool
    finally:
        spool.close()


@contextmanager
def _lock(data_dir: Path, name: str, kind: int, taken: str = "数据目录正由另一个进程使用") -> Iterator[None]:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (data_dir / name).open("a+", encoding="ascii")
    except OSError as error:
        raise ProblemsError(
            [Problem(str(data_dir), f"数据目录不能写：{error.strerror}", "换一个目录，或改正它的权限")]
        ) from error
    with lock:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except OSError as error:
            raise ProblemsError([Problem(str(data_dir), taken, "等它结束，或先停止那个服务")]) from error
        yield


def _require_directory(settings: Settings) -> None:
    """Raise ProblemsError where an embedded database was never made; a typing error leaves no litter."""
    if not settings.database_url and not (settings.data_dir / DATABASE_FILE).is_file():
        raise ProblemsError(
            [
                Problem(
                    str(settings.data_dir),
                    "这里没有数据",
                    "检查 --data；新的数据目录先运行 sunledger migrate",
                )
            ]
        )


@contextmanager
def open_services(settings: Settings, clock: Clock) -> Iterator[Services]:
    """Open both stores for this process; closes them at the end, whatever happened.

    Raises ProblemsError when a store cannot be opened or its schema is not the program's. A time-series
    server that only does not answer stops nothing: what asks it is told so until it is there.
    """
    _require_directory(settings)
    with held(settings):
        database = open_database(settings.effective_database_url)
        try:
            require_current_schema(database)
            series = open_series(settings.effective_series_url, patient=True)
            try:
                yield Services(
                    database=database,
                    series=series,
                    clock=clock,
                    data_dir=settings.data_dir,
                    site_name=settings.site_name,
                    organizer=settings.organizer,
                    watermark=watermark_of(settings.data_dir, settings.watermark),
                    secure_cookies=settings.secure_cookies,
                    session_idle=timedelta(minutes=settings.session_idle_minutes),
                    session_lifetime=timedelta(hours=settings.session_hours),
                    raw_sample_days=settings.raw_sample_days,
                )
            finally:
                series.close()
        finally:
            database.close()
