"""What must hold in a plan input beyond its shape: ids, dates, units, and hours that can exist.

Owns the checks of one input by itself. Its reading is for `inputs`, its money for `allocation`.
"""

from collections.abc import Iterator
from fractions import Fraction

from distribution.money import yuan
from distribution.plans.notation.values import number_text
from distribution.plans.primitives.base import Dated, months_of
from distribution.plans.primitives.book import prefix_of
from distribution.types import PlanInput
from store.periods import Period, PeriodKind
from store.problem import Problem

# The sun is up for half of a year anywhere, and for at most sixteen hours a day where stations stand.
SUN_HOURS_PER_DAY = 16
SUN_HOURS_PER_DAY_OF_A_YEAR = 12
HALF_YEAR_DAYS = 181
HALF = Fraction(1, 2)
# Far above any tariff of village stations, 0.98 yuan with the local subsidies of early years.
HIGHEST_PRICE_FEN = 200


def check_input(inputs: PlanInput, origin: str = "输入") -> list[Problem]:
    """Return what cannot be in an input: double ids, people that do not exist, impossible hours."""
    try:
        period = Period.parse(inputs.period)
    except (ValueError, OverflowError):
        what = f"“{inputs.period}”不是期间"
        return [Problem(f"{origin} period", what, "写成 2026-10、2026-Q4、2026-H2 或 2026")]
    if period.kind is PeriodKind.DAY:
        what = f"“{inputs.period}”是一天，收益按月、季、半年或年分"
        return [Problem(f"{origin} period", what, "写成 2026-10、2026-Q4、2026-H2 或 2026")]
    problems = [
        Problem(f"{origin} {name}", f"编号 {double} 出现两次", "一个编号只写一次")
        for name, ids in (
            ("households", [item.id for item in inputs.households]),
            ("posts", [item.id for item in inputs.posts]),
            ("stations", [item.id for item in inputs.stations]),
            ("divisions", [item.code for item in inputs.divisions]),
            ("spendings", [item.id for item in inputs.spendings]),
        )
        for double in _doubles(ids)
    ]
    known = {item.id for item in inputs.households}
    problems += [
        Problem(
            f"{origin} posts.{post.id}",
            f"户 {post.household_id} 不在 households 中",
            "补上这一户，或改正编号",
        )
        for post in inputs.posts
        if post.household_id and post.household_id not in known
    ]
    return [
        *problems,
        *_outside(inputs, origin),
        *_turned_dates(inputs, origin),
        *_impossible_hours(inputs, period, origin),
        *_impossible_service(inputs, period, origin),
    ]


def _turned_dates(inputs: PlanInput, origin: str) -> Iterator[Problem]:
    """Find ranges of days that end before they begin."""
    for household in inputs.households:
        entries: tuple[tuple[str, Dated], ...] = (
            ("", household),
            *((f".classes.{entry.name}", entry) for entry in household.classes),
            *((f".enrolments.{entry.component}", entry) for entry in household.enrolments),
        )
        for name, entry in entries:
            if entry.valid_from and entry.valid_to and entry.valid_to < entry.valid_from:
                yield Problem(
                    f"{origin} households.{household.id}{name}",
                    f"valid_to {entry.valid_to} 早于 valid_from {entry.valid_from}",
                    "日期半开：valid_from 是首日，valid_to 是不再有效的第一天",
                )


def _impossible_service(inputs: PlanInput, period: Period, origin: str) -> Iterator[Problem]:
    """Find posts that would have served longer than the period lasts."""
    longest = {"day": (period.day_count, "天"), "hour": (24 * period.day_count, "小时")}
    for post in inputs.posts:
        limit, word = longest.get(post.rate_unit, (0, ""))
        if word and post.units > limit:
            yield Problem(
                f"{origin} posts.{post.id}",
                f"出勤 {number_text(post.units)} {word}，而 {inputs.period} 只有 {limit} {word}",
                "核对出勤数；units 是每人的数，人数写在 headcount",
            )


def unusual_figures(inputs: PlanInput) -> Iterator[str]:
    """Yield what is possible but so unusual that a unit may be wrong: prices per kWh, months served."""
    period = Period.parse(inputs.period)
    paid: dict[str, int] = {}
    for part in inputs.income:
        paid[part.station_id] = paid.get(part.station_id, 0) + part.amount_fen
    for station in inputs.stations:
        kwh = Fraction(station.exported_energy_wh or 0, 1000)
        amount = paid.get(station.id, 0)
        if kwh and amount > kwh * HIGHEST_PRICE_FEN:
            yield (
                f"电站 {station.id} 到账 {yuan(amount)} 元 ÷ {number_text(kwh)} 千瓦时 = 每千瓦时超过 "
                f"{yuan(HIGHEST_PRICE_FEN)} 元，核对单位（分、元；瓦时、千瓦时），或是几个月的钱一起到账"
            )
    for post in inputs.posts:
        if post.rate_unit == "month" and post.units > months_of(period):
            yield (
                f"岗位 {post.id} 发 {number_text(post.units)} 个月，而 {inputs.period} 只有 "
                f"{months_of(period)} 个月，核对是否补发"
            )


def _outside(inputs: PlanInput, origin: str) -> list[Problem]:
    """Find households of villages that lie outside the division of the run."""
    prefix = prefix_of(inputs.village_code)
    strangers = [item for item in inputs.households if not item.village_code.startswith(prefix)]
    return [
        Problem(
            f"{origin} households.{item.id}",
            f"这一户属于 {item.village_code}，不在本次分配的 {inputs.village_code} 内",
            "从输入中去掉，或改正区划代码",
        )
        for item in strangers
    ]


def _doubles(ids: list[str]) -> list[str]:
    if len(set(ids)) == len(ids):
        return []
    seen: set[str] = set()
    return sorted({item for item in ids if item in seen or seen.add(item)})  # type: ignore[func-returns-value]


def _impossible_hours(inputs: PlanInput, period: Period, origin: str) -> list[Problem]:
    """Find stations whose energy would need more hours of full power than the sun shines in the period."""
    days = period.day_count
    limit = days * (SUN_HOURS_PER_DAY_OF_A_YEAR if days >= HALF_YEAR_DAYS else SUN_HOURS_PER_DAY)
    problems = []
    for station in inputs.stations:
        energy = station.exported_energy_wh
        if energy is not None and energy > station.rated_power_w * limit:
            hours = Fraction(energy, station.rated_power_w) if station.rated_power_w else Fraction(0)
            kwh, kw = number_text(Fraction(energy, 1000)), number_text(Fraction(station.rated_power_w, 1000))
            problems.append(
                Problem(
                    f"{origin} stations.{station.id}",
                    f"{kwh} 千瓦时 ÷ {kw} 千瓦 = {int(hours + HALF)} 小时满发，而这一期日照最多 {limit} 小时",
                    "检查单位（瓦、千瓦；瓦时、千瓦时）",
                )
            )
    return problems
