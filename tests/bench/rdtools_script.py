"""Runs in the peer's own environment: RdTools' availability analysis of one plant, the answer as JSON.

Only `main` needs RdTools and pandas; it is started as a program.
"""

import json
import sys
import time

STEP_S = 60


def outages_of(mask, lit, step_s):
    """Return (device, start, end) of every stretch in which a machine is off line in the light."""
    found = []
    for device in mask.columns:
        off = (~mask[device] & lit).to_numpy()
        edges = off.astype(int)
        begins = [i for i in range(len(off)) if edges[i] and (i == 0 or not edges[i - 1])]
        ends = [i for i in range(len(off)) if edges[i] and (i == len(off) - 1 or not edges[i + 1])]
        times = [stamp.timestamp() for stamp in mask.index]
        for begin, end in zip(begins, ends, strict=True):
            found.append([device, float(times[begin]) - step_s, float(times[end])])
    return found


def main():
    """Read samples and the expectation, run the analysis, print one line of JSON."""
    import pandas as pd
    from rdtools.availability import AvailabilityAnalysis

    with open(sys.argv[2]) as file:  # noqa: PTH123, plain Python of whatever version
        wanted = json.load(file)
    step = pd.Timedelta(seconds=wanted["step_s"])
    # RdTools wants labels at the right edge of each interval.
    first = pd.Timestamp(wanted["start"], unit="s") + step
    index = pd.date_range(first, pd.Timestamp(wanted["end"], unit="s"), freq=step)
    rows = pd.read_csv(sys.argv[1])
    rows["time"] = pd.to_datetime(rows["time"], unit="s") + step
    table = rows.pivot_table(index="time", columns="device_id", values=["power", "counter"]).reindex(index)
    power, counter = table["power"] / 1000, table["counter"] / 1000
    expected = pd.Series(wanted["values"], pd.to_datetime(wanted["times"], unit="s") + step)
    expected = expected.reindex(index, method="ffill").fillna(0) / 1000
    began = time.perf_counter()
    analysis = AvailabilityAnalysis(
        power.sum(axis=1, min_count=1), power, counter.ffill().sum(axis=1), expected
    )
    analysis.run()
    seconds = time.perf_counter() - began
    lost, actual = analysis.results["lost_production"].sum(), analysis.results["actual_production"].sum()
    found = outages_of(analysis.reporting_mask, expected > 0, wanted["step_s"])
    answer = {
        "availability": float(1 - lost / (lost + actual)),
        "actual_kwh": float(actual),
        "lost_kwh": float(lost),
        "outages": found,
        "seconds": seconds,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
