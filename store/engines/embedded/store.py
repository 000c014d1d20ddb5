"""The embedded engine put together."""

import os
import subprocess
from datetime import timedelta
from pathlib import Path

from store.engines.embedded.layout import parse_address
from store.engines.embedded.rollups import RollUpFile


def open_duckdb(url: str) -> "DuckDBStore":
    """Open or create `duckdb:///FILE?memory_limit=256MB&threads=2`.

    Raises ProblemsError when the file cannot be opened, is held by another process, or is of a newer layout.
    """
    return DuckDBStore(parse_address(url))


class DuckDBStore(RollUpFile):
    """Samples in one DuckDB file; see `store.series.SeriesStore` for what each function promises."""

    settling = timedelta(0)

    def copy_to(self, path: Path) -> None:
        """Write one consistent moment of the file to `path`; see the contract. Writers go on meanwhile."""
        self._open_if_broken()
        with self._writing, self._guarded():
            self._file_all()
            self._filing.acquire()
        try:
            with self._guarded():
                self._filer.execute("CHECKPOINT")
            for ending in ("", ".wal"):
                source = Path(f"{self._path}{ending}")
                if source.exists():
                    _copy_elsewhere(source, Path(f"{path}{ending}"))
        finally:
            self._filing.release()


def _copy_elsewhere(source: Path, target: Path) -> None:
    """Copy a file in a process of its own: closing it in ours would let go of DuckDB's lock on it."""
    done = subprocess.run(  # noqa: S603, a fixed program, and paths of ours
        ["/bin/cp", "--", str(source), str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(done.returncode, done.stderr.strip(), str(target))
    target.chmod(0o600)
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
