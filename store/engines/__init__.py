"""Engines of the time-series store, one file each, behind `store.series.SeriesStore`.

Owns the choice of the engine by the scheme of the address. An engine is imported only when it is asked for.
"""

from urllib.parse import urlsplit

from store.problem import Problem, ProblemsError
from store.series import SeriesStore


def open_engine(url: str) -> SeriesStore:
    """Open the engine that `url` names: `duckdb:///FILE` or `victoriametrics://HOST:PORT`.

    Raises ProblemsError for an unknown scheme or a store that cannot be opened.
    """
    scheme = urlsplit(url).scheme
    if scheme == "duckdb":
        from store.engines.embedded.store import open_duckdb

        return open_duckdb(url)
    if scheme in {"victoriametrics", "victoriametrics+https"}:
        from store.engines.victoriametrics import open_victoriametrics

        return open_victoriametrics(url)
    raise ProblemsError(
        [
            Problem(
                "SUNLEDGER_SERIES_URL",
                f"“{url}” 不是时序库地址",
                "写成 duckdb:///文件路径 或 victoriametrics://主机:8428",
            )
        ]
    )
