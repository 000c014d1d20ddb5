"""The collector beside its peers on one rig, and MQTT ingest beside a bare paho subscriber.

Every side runs in a process of its own against devices in another process, so that CPU and memory of the
side alone are counted and only ratios matter. `SUNLEDGER_BENCH_DEVICES` and `_SECONDS` make it smaller.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import psutil

from collector.device import phase_of
from tests.bench import collector_peers
from tests.bench.collector_mqtt import broker, lag, throughput
from tests.bench.modbus_rig import Running, blocks, rig
from tests.bench.polling_clients import p99

DEVICES = int(os.environ.get("SUNLEDGER_BENCH_DEVICES", "3000"))
CYCLE = int(os.environ.get("SUNLEDGER_BENCH_CYCLE", "5"))
SECONDS = int(os.environ.get("SUNLEDGER_BENCH_SECONDS", "20"))
DELAY = 0.05
GATEWAY_DEVICES, GATEWAY_PERIOD = 60, 10.0
ISOLATED, SILENT_EVERY, ISOLATED_CYCLE, ISOLATED_SECONDS = 50, 5, 5, 25


def side(name: str, where: Running, devices: int, cycle: int, seconds: int) -> dict[str, float]:
    """Run one side of the polling bench to its end."""
    command = [sys.executable, "-m", "tests.bench.polling_clients", name, str(where.port)]
    done = subprocess.run(
        [*command, str(devices), str(cycle), str(seconds)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def polling() -> float:
    """Print cadence, CPU and memory; returns the collector's CPU seconds per 1 000 polls."""
    reads = blocks()
    registers = sum(count for _, _, count in reads)
    print(f"polling {DEVICES} devices every {CYCLE} s, {registers} registers in {len(reads)} requests,")
    print(f"answers after {DELAY:g} s")
    with rig(DELAY) as devices:
        alone = side("bare", devices, DEVICES, CYCLE, SECONDS)
        devices.told()
        ours = side("whole", devices, DEVICES, CYCLE, SECONDS)
        _, asked = devices.told()
    late = [
        (moment - phase_of(f"s{device}", float(CYCLE))) % CYCLE
        for device, times in asked.items()
        for moment in times[2:]
    ]
    on_time = ours["polls"] / (ours["polls"] + ours["missed"])
    print(
        f"  bare pymodbus asyncio        {alone['cost']:.3f} CPU s per 1 000 polls, "
        f"{alone['cores']:.2f} core, lateness p99 {alone['late'] * 1000:.0f} ms"
    )
    print(
        f"  collector, spool and store   {ours['cost']:.3f} CPU s per 1 000 polls, {ours['cores']:.2f} core, "
        f"lateness p99 {p99(late) * 1000:.0f} ms, ratio {ours['cost'] / alone['cost']:.2f}"
    )
    print(f"  {ours['polls']:.0f} polls, {on_time:.2%} on time, {ours['memory'] / 1e6:.0f} MB resident")
    return ours["cost"]


def gateway(ours: float) -> None:
    """Print what thingsboard-gateway spends on the same registers in its default of one request a tag."""
    per_poll = len(collector_peers.tags())
    with rig(DELAY) as devices, broker() as port, tempfile.TemporaryDirectory() as folder:
        where = (Path(folder), devices.port, GATEWAY_DEVICES, GATEWAY_PERIOD, port)
        with collector_peers.thingsboard_gateway(*where) as process:
            collector_peers.settle(30)
            devices.told()
            before = collector_peers.spent(process)
            collector_peers.settle(25)
            spent = collector_peers.spent(process) - before
            requests, _ = devices.told()
    polls = requests / per_poll
    print(f"thingsboard-gateway 3.8.5, one request a tag, {GATEWAY_DEVICES} devices of {per_poll} tags")
    if polls < 1:
        print("  did not poll; see how it is configured in tests/bench/collector_peers.py")
        return
    cost = spent / polls * 1000
    print(f"  {cost:.3f} CPU s per 1 000 polls ({polls:.0f} polls); the collector is at 1/{cost / ours:.1f}")


Peer = Callable[[Path, int, int, float], AbstractContextManager[psutil.Process]]


def healthy(asked: dict[int, list[float]]) -> tuple[int, str]:
    """Return polls that the healthy devices missed, and how far a gap was from the cycle at most."""
    lost, jitter = 0, -1.0
    for device in range(1, ISOLATED + 1):
        if device % SILENT_EVERY == 0:
            continue
        times = asked.get(device, [])
        lost += max(int(ISOLATED_SECONDS / ISOLATED_CYCLE) - len(times), 0)
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        jitter = max([jitter, *(abs(gap - ISOLATED_CYCLE) for gap in gaps)])
    return lost, f"gaps off by at most {jitter:.2f} s" if jitter >= 0 else "no device was polled twice"


def isolation() -> None:
    """Print what silent devices cost the healthy ones, ours and peers."""
    print(
        f"isolation: {ISOLATED} TCP devices every {ISOLATED_CYCLE} s, every {SILENT_EVERY}th silent, "
        f"answers after {DELAY:g} s, {ISOLATED_SECONDS} s"
    )
    for name, peer in (
        ("collector (and a silent serial line)", own),
        ("modpoll 1.6", collector_peers.modpoll),
        ("collectd 5.12", collector_peers.collectd),
    ):
        with rig(DELAY, SILENT_EVERY) as devices, tempfile.TemporaryDirectory() as folder:
            with peer(Path(folder), devices.port, ISOLATED, float(ISOLATED_CYCLE)):
                collector_peers.settle(2 * ISOLATED_CYCLE + 5)
                devices.told()
                collector_peers.settle(ISOLATED_SECONDS)
                _, asked = devices.told()
            lost, jitter = healthy(asked)
            print(f"  {name:38} {lost:4} polls of healthy devices lost, {jitter}")


def own(folder: Path, port: int, devices: int, period: float) -> AbstractContextManager[psutil.Process]:
    """Run the collector in a process of its own, with a serial line on which nobody answers."""
    command = [sys.executable, "-m", "tests.bench.isolated", str(port), str(devices), str(round(period))]
    return collector_peers.running(command, folder, {"PYTHONPATH": str(Path(__file__).parents[2])})


def main() -> None:
    ours = polling()
    gateway(ours)
    isolation()
    throughput()
    lag()


if __name__ == "__main__":
    main()
