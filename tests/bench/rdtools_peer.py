"""NREL RdTools' availability module on our samples, in a virtual environment of its own.

It is installed from the package index into the cache of this machine at the first run; where that cannot be
done there is no comparison. The data go over as a table of 15-minute means.
"""

import json
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from monitoring.uptime.evaluation import Question
from monitoring.uptime.plants import Plant
from store.series import SeriesStore
from tests.bench.rdtools_script import STEP_S

VERSION = "3.2.1"
HOME = Path.home() / ".cache" / "sunledger-bench" / f"rdtools-{VERSION}"
SCRIPT = Path(__file__).with_name("rdtools_script.py")


@dataclass(frozen=True)
class PeerOutage:
    """A stretch [start, end) [s since 1970] in which a machine was off line to RdTools' eyes."""

    device_id: str
    start: float
    end: float


@dataclass(frozen=True)
class PeerResult:
    """What RdTools said of one plant: its energy-weighted availability, energies [kWh], outages, seconds."""

    availability: float
    actual_kwh: float
    lost_kwh: float
    outages: list[PeerOutage]
    seconds: float


def _python() -> Path | None:
    """Return the interpreter of the peer's environment; None where it cannot be made."""
    python = HOME / "bin" / "python"
    if not (HOME / "installed").exists():
        venv.create(HOME, with_pip=True)
        command = [str(python), "-m", "pip", "install", "-q", f"rdtools=={VERSION}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(done.stderr.strip().splitlines()[-1] if done.stderr else "pip failed", file=sys.stderr)
            return None
        (HOME / "installed").touch()
    return python


def _table(series: SeriesStore, plant: Plant, question: Question) -> pa.Table:
    """Return device_id, time, power [W], counter [Wh] in order of device and time."""
    ids = [machine.device_id for machine in plant.machines]
    table = series.read(ids, question.start, question.end, ["active_power_w", "generated_energy_wh"])
    epochs = np.asarray(table.column("time").cast(pa.int64())) / 1e6
    return pa.table(
        {
            "device_id": table.column("device_id"),
            "time": epochs,
            "power": table.column("active_power_w"),
            "counter": table.column("generated_energy_wh"),
        }
    )


def ask_rdtools(
    series: SeriesStore, plant: Plant, question: Question, folder: Path, expected: dict[str, list[float]]
) -> PeerResult | None:
    """Return what RdTools says of one plant; `expected` is the expected plant power [W] (times, values)."""
    python = _python()
    if python is None:
        return None
    samples, wanted = folder / "peer.csv", folder / "peer-expected.json"
    pyarrow.csv.write_csv(_table(series, plant, question), samples)
    limits = {"start": question.start.timestamp(), "end": question.end.timestamp(), "step_s": STEP_S}
    wanted.write_text(json.dumps({**limits, **expected}))
    command = [str(python), str(SCRIPT), str(samples), str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stderr.strip()[-600:], file=sys.stderr)
        return None
    said = json.loads(done.stdout.strip().splitlines()[-1])
    outages = [PeerOutage(*one) for one in said["outages"]]
    return PeerResult(said["availability"], said["actual_kwh"], said["lost_kwh"], outages, said["seconds"])
