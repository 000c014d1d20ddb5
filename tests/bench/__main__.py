"""Runs the benchmarks: all of them, or those named on the command line (`python -m tests.bench store`).

Each prints its figures beside a named baseline of the same run. Nothing is asserted: machines are noisy.
"""

import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent


def machine() -> str:
    """Return what a figure must be read with: processor, cores, Python, commit, time."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    cores = sum(line.startswith("processor") for line in Path("/proc/cpuinfo").read_text().splitlines())
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    now = datetime.now(UTC)
    python = platform.python_version()
    return f"{model}, {cores} cores, Python {python}, {commit.stdout.strip()}, {now:%Y-%m-%d %H:%M} UTC"


def chosen(name: str, wanted: list[str]) -> bool:
    """Tell whether a bench is asked for: by its name, or by the word before its first underscore."""
    return not wanted or name in wanted or name.partition("_")[0] in wanted


def main() -> int:
    """Run the benchmarks one after another; returns the number that failed to run."""
    wanted = sys.argv[1:]
    scripts = [path for path in sorted(HERE.glob("bench_*.py")) if chosen(path.stem[6:], wanted)]
    print(machine(), flush=True)
    failed = 0
    for script in scripts:
        print(f"\n== {script.stem[6:]}", flush=True)
        command = [sys.executable, "-m", f"tests.bench.{script.stem}"]
        failed += subprocess.run(command, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
