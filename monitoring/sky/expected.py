"""What a device should have given: the output of comparable ones at the same time.

Pure. Owns the median of the others (no device and no station is its own witness) and each device's usual
ratio to it. Outputs are fractions of rated power on an even grid, NaN where nobody may be asked.
"""

from collections.abc import Sequence

import numpy as np

from monitoring.sky.tracks import Floats, Integers, Outputs

WITNESSES_AT_LEAST = 3
RATIO_FROM = 0.05
RATIO_LIMITS = (0.5, 1.6)
DAY_S = 86_400.0


def medians_of_others(outputs: Outputs) -> Floats:
    """Return for each row the median of the other rows, shape (rows, slots).

    NaN where fewer than three others reported. One sort serves all rows.
    """
    rows, slots = outputs.shape
    order = np.argsort(outputs, axis=0)  # what is missing comes last
    ranked = np.take_along_axis(outputs, order, axis=0)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(rows)[:, None], order.shape), axis=0)
    known = ~np.isnan(outputs)
    others = known.sum(axis=0)[None, :] - known
    columns = np.broadcast_to(np.arange(slots), (rows, slots))
    low, high = np.maximum(others - 1, 0) // 2, others // 2
    # Without its own row, whatever stood behind it moves forward by one.
    low, high = low + (known & (low >= rank)), high + (known & (high >= rank))
    low, high = np.minimum(low, rows - 1), np.minimum(high, rows - 1)
    middle = (ranked[low, columns] + ranked[high, columns]) / 2
    return np.where(others >= WITNESSES_AT_LEAST, middle, np.nan).astype(np.float64)


def median_of(outputs: Outputs) -> Floats:
    """Return the median over rows, NaN where nobody reported, shape (slots,)."""
    return medians(outputs)[0]


def medians(rows: Outputs) -> tuple[Floats, Integers]:
    """Return the median over rows and how many reported, shape (slots,); NaN where nobody did."""
    ranked = np.sort(rows, axis=0)  # what is missing comes last
    counts = (~np.isnan(ranked)).sum(axis=0)
    slots = np.arange(rows.shape[1])
    low, high = np.maximum(counts - 1, 0) // 2, np.minimum(counts // 2, rows.shape[0] - 1)
    middle = (ranked[low, slots].astype(np.float64) + ranked[high, slots]) / 2
    return np.where(counts > 0, middle, np.nan), counts


def usual_ratio(output: Outputs, expected: Floats) -> float:
    """Return how a device that runs usually stands to what is expected of it; 1 where nothing tells."""
    both = (expected >= RATIO_FROM) & (output >= RATIO_FROM * expected) & ~np.isnan(output)
    if not both.any():
        return 1.0
    ratio = float(output[both].sum() / expected[both].sum())
    return float(np.clip(ratio, *RATIO_LIMITS))


def filled_by_time_of_day(slots: Floats, values: Floats) -> Floats:
    """Return values with each hole filled by the median of the same time of other days, where there is one.

    `slots` are the times of the values [s since 1970].
    """
    moments = np.round(slots % DAY_S)
    filled = values.copy()
    known = ~np.isnan(values)
    for moment in np.unique(moments[~known]):
        alike = values[known & (moments == moment)]
        if len(alike):
            filled[~known & (moments == moment)] = float(np.median(alike))
    return filled


def grouped_means(outputs: Outputs, groups: Sequence[Sequence[int]], rated: Floats) -> Floats:
    """Return the output of each group (rows of devices) as a fraction of what reports of it."""
    result = np.full((len(groups), outputs.shape[1]), np.nan)
    for number, members in enumerate(groups):
        rows = outputs[list(members)]
        weights = rated[list(members)][:, None] * ~np.isnan(rows)
        whole = weights.sum(axis=0)
        total = np.nansum(rows * weights, axis=0)
        result[number] = np.where(whole > 0, total / np.maximum(whole, 1e-9), np.nan)
    return result
