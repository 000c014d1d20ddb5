"""The two sides of the polling bench, each run in a process of its own so that its CPU alone is counted.

`python -m tests.bench.polling_clients SIDE PORT DEVICES CYCLE SECONDS` prints one JSON object. `bare` is a
pymodbus asyncio client that reads the same registers and throws them away; `whole` is the collector with
decoding, spool and store.
"""

import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path

import psutil
from pymodbus.client import AsyncModbusTcpClient

from api.service import spare_loaded_code
from collector.connections import DeviceLink
from collector.runtime import Collector
from collector.spool import Spool
from store.series import open_series
from tests.bench.modbus_rig import PROFILE, address_of, blocks

Side = Callable[[int, int, int, int], Coroutine[None, None, dict[str, float]]]


def used() -> float:
    """CPU seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def bare(port: int, devices: int, cycle: float, seconds: float) -> dict[str, float]:
    """Poll with pymodbus alone, every device in its own moment of the cycle."""
    polls, late = 0, []
    began = time.monotonic() + 3
    reads = blocks()

    async def device(number: int) -> None:
        nonlocal polls
        client = AsyncModbusTcpClient(address_of(number), port=port, timeout=3)
        await client.connect()
        due = began + number / devices * cycle
        while True:
            await asyncio.sleep(max(due - time.monotonic(), 0))
            late.append(time.monotonic() - due)
            due += cycle
            for code, address, count in reads:
                read = client.read_input_registers if code == 4 else client.read_holding_registers
                await read(address, count=count, device_id=1)
            polls += 1

    tasks = [asyncio.create_task(device(number)) for number in range(devices)]
    await asyncio.sleep(3 + cycle)
    before, polled, start = used(), polls, time.monotonic()
    late.clear()
    await asyncio.sleep(seconds)
    spent, polled, took = used() - before, polls - polled, time.monotonic() - start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {"cost": spent / polled * 1000, "cores": spent / took, "polls": polled, "late": p99(late)}


def p99(values: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(values, n=100)[98] if len(values) > 1 else 0.0


async def whole(port: int, devices: int, cycle: int, seconds: float) -> dict[str, float]:
    """Poll with the collector into spool and store."""
    links = [
        DeviceLink(
            f"d{n}", f"s{n}", "modbus-tcp", address_of(n), port, 1, profile=PROFILE, cycle_seconds=cycle
        )
        for n in range(devices)
    ]
    spare_loaded_code()  # as the service does
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder) / "spool.sqlite3")
        series = open_series(f"duckdb:///{Path(folder) / 'series.duckdb'}")
        collector = Collector(links, spool=spool, series=series, clock=lambda: datetime.now(UTC), on_event=id)
        await collector.start()
        # Two cycles: connecting, and the identity of every device, which is read once in six hours.
        await asyncio.sleep(2 * cycle + 3)
        before, status, start = used(), collector.connections(), time.monotonic()
        await asyncio.sleep(seconds)
        spent, took, after = used() - before, time.monotonic() - start, collector.connections()
        memory = psutil.Process().memory_info().rss
        await collector.stop()
        balance = collector.status().balance
        assert balance.difference == 0
        assert balance.waiting == 0
        spool.close()
        series.close()
    polls = sum(one.polls for one in after) - sum(one.polls for one in status)
    missed = sum(one.missed + one.skipped for one in after) - sum(one.missed + one.skipped for one in status)
    return {
        "cost": spent / polls * 1000,
        "cores": spent / took,
        "polls": polls,
        "missed": missed,
        "memory": memory,
    }


async def announce(run: Side, where: tuple[int, int, int, int]) -> None:
    """Print what a side found, and end at once: a cancelled pymodbus client may take its time."""
    print(json.dumps(await run(*where)), flush=True)
    os._exit(0)


def main() -> None:
    side, port, devices, cycle, seconds = sys.argv[1], *map(int, sys.argv[2:])
    asyncio.run(announce(bare if side == "bare" else whole, (port, devices, cycle, seconds)))


if __name__ == "__main__":
    main()
