"""How fast a county's households are paid: the split alone, and the whole allocation with explanations.

Run with `make bench-allocation`. Beside our figures stand, measured in the same run on the same weights,
django-hordak's `ratio_split` (in an environment of its own), and what people would write instead: a pandas
one-liner that rounds each row, and an integer loop in the manner of ledgers that leave splitting to the
client. Each is shown with the number of splits that it gets wrong.
"""

import gc
import json
import platform
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pandas as pd

from distribution.money import split
from distribution.plans.allocation import allocate
from distribution.plans.document import Plan, load_plan
from distribution.plans.templates import template_path
from distribution.types import Component, EnrolmentInput, HouseholdInput, IncomePart, PayeeKind, PlanInput
from tests.bench.peers import peer_python

HOUSEHOLDS = 50_000
NATION = 4_000_000
VILLAGE = 400
SEED = 20_261_125
TOTAL_FEN = 1_234_567_891
HORDAK = "django-hordak==2.0.0"
ONE_VILLAGE = "520499101201"
SPLIT_LIMIT_S, ALLOCATION_LIMIT_S = 0.1, 1.5
NATION_LIMIT_S, NATION_LIMIT_MB = 120, 1024


def households(count: int, chooser: random.Random, village: str) -> tuple[HouseholdInput, ...]:
    """Return made-up households with an enrolment of weight 1 to 5 each."""
    weights = [Fraction(number) for number in range(1, 6)]
    return tuple(
        HouseholdInput(
            f"h{number:07d}", village, enrolments=(EnrolmentInput("households", chooser.choice(weights)),)
        )
        for number in range(count)
    )


def inputs(count: int, total_fen: int, chooser: random.Random, village: str) -> PlanInput:
    """Return the input of one month with one receipt."""
    income = IncomePart(Component.ELECTRICITY, total_fen, pd.Timestamp("2026-10-20").date(), "bench")
    return PlanInput(village, "2026-10", (income,), households=households(count, chooser, village))


def plan() -> Plan:
    """Return the county's default plan."""
    return load_plan(template_path("default_county"))


def pandas_split(total: int, weights: list[int]) -> list[int]:
    """The one-liner of an analyst: every row rounded by itself, in floating point."""
    frame = pd.Series(weights)
    return (total * frame / frame.sum()).round().astype("int64").tolist()


def integer_split(total: int, weights: list[int]) -> list[int]:
    """The integer loop of a ledger's client: cut down, then one unit each from the top of the list."""
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    for index in range(total - sum(shares)):
        shares[index] += 1
    return shares


def hordak_splits(cases: list[tuple[int, list[int]]]) -> list[tuple[list[int], float]]:
    """Return what django-hordak makes of every case: the shares [fen] and its processor time [s]."""
    python = peer_python("hordak", HORDAK)
    script = Path(__file__).with_name("peer_hordak.py")
    done = subprocess.run(
        [python, script], input=json.dumps(cases), text=True, capture_output=True, check=True
    )
    return [(shares, seconds) for shares, seconds in json.loads(done.stdout)]


def best_of(count: int, work: Callable[[], object]) -> float:
    """Return the shortest of several runs [s of processor time]: the machine may be shared."""
    times = []
    for _ in range(count):
        gc.collect()
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def random_cases(chooser: random.Random, count: int = 500) -> list[tuple[int, list[int]]]:
    """Return totals [fen] with the weights that they are split by."""
    return [
        (chooser.randrange(1, 10**9), [chooser.randrange(1, 50) for _ in range(chooser.randrange(2, 40))])
        for _ in range(count)
    ]


def is_wrong(total: int, weights: list[int], shares: list[int]) -> bool:
    """Tell whether a split does not sum up, or is off an exact share by a fen or more."""
    whole = sum(weights)
    exact = (Fraction(total * weight, whole) for weight in weights)
    return sum(shares) != total or any(abs(a - b) >= 1 for a, b in zip(shares, exact, strict=True))


def say(text: str) -> None:
    """Print one line of the report."""
    sys.stdout.write(text + "\n")


def tell(name: str, seconds: float, shares: list[int], wrong: int) -> None:
    """Print what a way of splitting needs and what it gets wrong."""
    gap = sum(shares) - TOTAL_FEN
    say(f"{name:28} {seconds * 1000:9.1f} ms   sum off by {gap:6d} fen   {wrong:3d} of 500 wrong")


def compare_splits(chooser: random.Random) -> float:
    """Measure every way of splitting 50 000 weights, and return our time [s]."""
    weights = [chooser.randrange(1, 6) for _ in range(HOUSEHOLDS)]
    keys = [f"{chooser.getrandbits(64):016x}" for _ in weights]
    cases = random_cases(chooser)
    methods: list[tuple[str, Callable[[int, list[int]], list[int]]]] = [
        ("sunledger split", lambda fen, parts: split(fen, parts, keys[: len(parts)])),
        ("pandas one-liner", pandas_split),
        ("integer loop, list order", integer_split),
    ]
    results = []
    for name, method in methods:
        seconds = best_of(5, lambda method=method: method(TOTAL_FEN, weights))
        results.append(seconds)
        wrong = sum(is_wrong(*case, method(*case)) for case in cases)
        tell(name, seconds, method(TOTAL_FEN, weights), wrong)
    (shares, seconds), *answers = hordak_splits([(TOTAL_FEN, weights), *cases])
    wrong = sum(is_wrong(*case, answer) for case, (answer, _) in zip(cases, answers, strict=True))
    tell(f"{HORDAK}", seconds, shares, wrong)
    say(f"django-hordak needs {seconds / results[0]:.0f} times as long (at least 20 wanted)")
    return results[0]


def nation(document: Plan, chooser: random.Random, villages: int) -> tuple[float, int]:
    """Pay `villages` different villages one after the other; nothing is kept.

    Returns the processor time of the allocations [s], without making their inputs, and the lines paid.
    """
    spent, lines = 0.0, 0
    for number in range(villages):
        code = f"{110_000_000_000 + number * 1_000 + 201}"
        month = inputs(VILLAGE, 4_000_001 + number, chooser, code)
        start = time.process_time()
        lines += sum(line.payee_kind is PayeeKind.HOUSEHOLD for line in allocate(document, month).lines)
        spent += time.process_time() - start
    return spent, lines


def main() -> int:
    """Measure and report; nothing is asserted, for machines are noisy."""
    chooser = random.Random(SEED)
    say(f"{platform.machine()}, Python {platform.python_version()}, seed {SEED}; processor time")
    split_s = compare_splits(chooser)
    document = plan()
    county = inputs(HOUSEHOLDS, 1_234_567_891, chooser, ONE_VILLAGE)
    allocation_s = best_of(3, lambda: allocate(document, county))
    say(f"{HOUSEHOLDS} households with explanations: {allocation_s:.2f} s (limit {ALLOCATION_LIMIT_S} s)")
    say(f"{HOUSEHOLDS} weights, split alone: {split_s:.3f} s (limit {SPLIT_LIMIT_S} s)")
    nation_s, lines = nation(document, chooser, NATION // VILLAGE)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(f"{lines} households, village by village: {nation_s:.0f} s (limit {NATION_LIMIT_S} s)")
    say(f"peak memory {peak_mb:.0f} MB (limit {NATION_LIMIT_MB} MB)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
