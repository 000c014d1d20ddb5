"""Engines of the time-series store, one file each, behind `store.series.SeriesStore`.

Owns the choice of the engine by the scheme of the address. An engine is imported only when it is asked for.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from store.engines.patience import PatientSeries
from store.problem import Problem, ProblemsError
from store.redaction import redact
from store.series import SeriesAwayError, SeriesStore


def open_engine(url: str, *, patient: bool = False) -> SeriesStore:
    """Open the engine that `url` names: `duckdb:///FILE`, `victoriametrics://HOST:PORT` or `influxdb://…`.

    Raises ProblemsError for an unknown scheme or a store that cannot be opened. A server that is away is
    waited for where `patient`, else it raises SeriesAwayError.
    """
    opener = _opener(url)
    try:
        return opener(url)
    except SeriesAwayError as error:
        if not patient:
            raise
        return PatientSeries(lambda: opener(url), error)


def _opener(url: str) -> Callable[[str], SeriesStore]:
    scheme = urlsplit(url).scheme
    if scheme == "duckdb":
        from store.engines.embedded.store import open_duckdb

        return open_duckdb
    if scheme in {"victoriametrics", "victoriametrics+https"}:
        from store.engines.victoriametrics import open_victoriametrics

        return open_victoriametrics
    if scheme in {"influxdb", "influxdb+https"}:
        from store.engines.influxdb import open_influxdb

        return open_influxdb
    raise ProblemsError([_unknown(url)])


def prepare_engine(url: str) -> None:
    """Make on a server what the engine needs there (a bucket with its retention); embedded ones need nothing.

    Raises ProblemsError when the server refuses.
    """
    if urlsplit(url).scheme in {"influxdb", "influxdb+https"}:
        from store.engines.influxdb import prepare_influxdb

        prepare_influxdb(url)


def _unknown(url: str) -> Problem:
    return Problem(
        "SUNLEDGER_SERIES_URL",
        f"“{redact(url)}” 不是时序库地址",
        "写成 duckdb:///文件路径、victoriametrics://主机:8428 或 influxdb://主机:8086/组织/存储桶",
    )
