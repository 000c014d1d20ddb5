"""The collector on the isolation rig: `python -m tests.bench.isolated PORT DEVICES CYCLE`, until killed.

Beside the TCP devices it polls a serial line (a pseudo-terminal) on which nobody answers.
"""

import asyncio
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from collector.connections import DeviceLink
from collector.runtime import Collector
from collector.spool import Spool
from store.series import open_series
from tests.bench.modbus_rig import PROFILE, address_of


async def main(port: int, devices: int, cycle: int) -> None:
    _, line = os.openpty()
    tcp = [
        DeviceLink(f"d{n}", f"s{n}", "modbus-tcp", address_of(n), port, profile=PROFILE, cycle_seconds=cycle)
        for n in range(1, devices + 1)
    ]
    serial = DeviceLink(
        "serial", "s", "modbus-serial", os.ttyname(line), profile=PROFILE, cycle_seconds=cycle
    )
    with tempfile.TemporaryDirectory() as folder:
        collector = Collector(
            [*tcp, serial],
            spool=Spool(Path(folder) / "spool.sqlite3"),
            series=open_series(f"duckdb:///{Path(folder) / 'series.duckdb'}"),
            clock=lambda: datetime.now(UTC),
            on_event=lambda _: None,
        )
        await collector.start()
        await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
