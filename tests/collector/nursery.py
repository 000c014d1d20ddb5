"""Forks collectors that can be killed: one interpreter with everything imported, a child for every life.

Run as `python -m tests.collector.nursery FOLDER PORT`: each line on standard input starts one collector on
the spool and the store in the folder, whose process id is printed. The parent holds no thread.
"""

import asyncio
import os
import sys
from pathlib import Path

from collector.runtime import Collector
from collector.spool import Spool
from store.series import open_series
from tests.collector.plants import mqtt_link, to_county_broker, utc_now


async def live(folder: Path, port: int) -> None:
    """Collect for ever from the broker into the folder's spool and store."""
    collector = Collector(
        [mqtt_link("station_a")],
        spool=Spool(folder / "spool.sqlite3"),
        series=open_series(f"duckdb:///{folder / 'series.duckdb'}"),
        clock=utc_now,
        on_event=lambda _: None,
        settings=to_county_broker(port, batch_messages=50, batch_seconds=0.01),
    )
    await collector.start()
    await asyncio.sleep(3600)


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            asyncio.run(live(folder, port))
            os._exit(0)
        print(child, flush=True)
        os.waitpid(child, 0)
        print("gone", flush=True)


if __name__ == "__main__":
    main()
