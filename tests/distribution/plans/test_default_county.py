"""The default county plan against a calculation written apart from it, by hand and with fractions."""

import hashlib
from datetime import date, timedelta
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from distribution.plans.allocation import allocate
from distribution.plans.document import load_plan
from distribution.plans.templates import template_path
from distribution.types import (
    Component,
    CostItem,
    EnrolmentInput,
    HouseholdInput,
    IncomePart,
    PlanInput,
    PostInput,
    PurseBalance,
    StationInput,
    YearToDate,
)

PLAN = load_plan(template_path("default_county"))
VILLAGE, MONTH, FIRST, DAYS = "520499101201", "2026-10", date(2026, 10, 1), 31


def shared(total, parts):
    """Largest remainder by sorting: parts are (key, weight); ties go to the smaller key."""
    whole = sum(weight for _, weight in parts)
    exact = {key: total * Fraction(weight) / whole for key, weight in parts}
    cut = {key: int(value) for key, value in exact.items()}
    order = sorted(exact, key=lambda key: (-(exact[key] - cut[key]), key))
    for key in order[: total - sum(cut.values())]:
        cut[key] += 1
    return cut


def half_up(value):
    return int(value + Fraction(1, 2))


def opaque(purse, household):
    return hashlib.sha256(f"{VILLAGE}|{MONTH}|{purse}|{household}".encode()).hexdigest()[:16]


def by_hand(month):
    """Return every amount by (purse, payee), as a careful clerk would work it out."""
    income = sum(part.amount_fen for part in month.income)
    left = income
    costs = {
        kind: sum(item.amount_fen for item in month.costs if item.kind == kind)
        for kind in ("land_rent", "maintenance")
    }
    left -= min(left, costs["land_rent"])
    earlier = sum(item.amount_fen for item in month.year_to_date)
    cap = max(0, sum(station.rated_power_w for station in month.stations) * 3 - earlier)
    left -= min(left, costs["maintenance"], cap)
    left -= min(left, half_up(Fraction(income * 2, 100)))
    purses = (
        shared(left, [("posts", 3), ("collective", 1), ("households", 1)])
        if left
        else dict.fromkeys(("posts", "collective", "households"), 0)
    )
    for entry in month.opening:
        purses[entry.purse] += entry.amount_fen
    result = {("collective", VILLAGE): purses["collective"]}
    pay = {post.household_id: half_up(post.rate_fen * post.units * post.coefficient) for post in month.posts}
    if sum(pay.values()) > purses["posts"]:
        exact = {post.id: post.rate_fen * post.units * post.coefficient for post in month.posts}
        cut = shared(purses["posts"], list(exact.items()))
        pay = {post.household_id: cut[post.id] for post in month.posts}
    result |= {("posts", household): amount for household, amount in pay.items()}
    result["posts", "posts"] = purses["posts"] - sum(pay.values())
    weights = []
    for household in month.households:
        entry = household.enrolments[0]
        days = sum(entry.valid_from <= FIRST + timedelta(day) < entry.valid_to for day in range(DAYS))
        weights.append((household.id, entry.weight * days))
    if purses["households"] and any(weight for _, weight in weights):
        keyed = {opaque("households", household): household for household, _ in weights}
        cut = shared(
            purses["households"], [(opaque("households", household), weight) for household, weight in weights]
        )
        result |= {("households", keyed[key]): amount for key, amount in cut.items()}
    else:
        result["households", "households"] = purses["households"]
    return {key: amount for key, amount in result.items() if amount}


@st.composite
def months(draw):
    fen = st.integers(0, 3_000_000)
    count = draw(st.integers(0, 8))

    def household(number):
        first, last = sorted((draw(st.integers(-5, DAYS + 5)), draw(st.integers(-5, DAYS + 5))))
        entry = EnrolmentInput(
            "households",
            Fraction(draw(st.integers(0, 6)), draw(st.integers(1, 3))),
            None,
            FIRST + timedelta(first),
            FIRST + timedelta(last),
        )
        return HouseholdInput(f"h{number}", VILLAGE, enrolments=(entry,))

    return PlanInput(
        VILLAGE,
        MONTH,
        income=(
            IncomePart(Component.ELECTRICITY, draw(fen), FIRST, "a"),
            IncomePart(Component.SUBSIDY, draw(fen), FIRST, "b"),
        ),
        costs=(
            CostItem("land_rent", draw(st.integers(0, 200_000)), "c"),
            CostItem("maintenance", draw(st.integers(0, 200_000)), "d"),
        ),
        stations=(StationInput("s", draw(st.integers(1, 60_000))),),
        households=tuple(household(number) for number in range(count)),
        posts=tuple(
            PostInput(
                f"p{number}",
                f"h{number}",
                "保洁",
                draw(st.integers(0, 90_000)),
                Fraction(draw(st.integers(0, 4)), 2),
                coefficient=Fraction(draw(st.integers(0, 10)), 10),
                evidence="e",
            )
            for number in range(draw(st.integers(0, count)))
        ),
        opening=(
            PurseBalance("posts", draw(st.integers(0, 100_000))),
            PurseBalance("households", draw(st.integers(0, 10_000))),
        ),
        year_to_date=(YearToDate("maintenance", draw(st.integers(0, 150_000))),),
    )


@settings(max_examples=150, deadline=None)
@given(months())
def test_the_default_plan_gives_what_a_careful_clerk_works_out(month):
    lines: dict[tuple[str, str], int] = {}
    for line in allocate(PLAN, month).lines:
        key = (line.purse, line.payee_id)
        lines[key] = lines.get(key, 0) + line.amount_fen
    assert {key: amount for key, amount in lines.items() if amount} == by_hand(month)
