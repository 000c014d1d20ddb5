"""The demo county's people: made-up households with classes, accounts, enrolments and posts.

Owns a pure, seeded description. ID numbers carry a valid check digit but an area code and bank prefix that
no one has, so that no real person can be meant. It writes nothing.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
from stdnum import luhn
from stdnum.cn import ric

from api.demo import names
from api.demo.county import County
from api.demo.story import FactKind
from api.demo.weather import generator
from registry.enrolment import Attendance, Enrolment, Post
from registry.households import Household, HouseholdClass, LabourClass, NewMember, NewPayeeAccount
from store.periods import Period, local_date

COMPONENT = "households"
POST_KINDS = (("保洁员", 600), ("护路员", 600), ("电站看护员", 800), ("护林员", 700), ("照料护理员", 500))
_REGISTERED = date(2018, 1, 1)
_ENROLLED_SHARE = 0.35
_POST_PER_KW = 0.030
_CARD_PREFIX = "629999"


@dataclass(frozen=True, slots=True)
class Family:
    """A household with everything that is recorded about it."""

    household: Household
    members: tuple[NewMember, ...]
    classes: tuple[HouseholdClass, ...]
    account: NewPayeeAccount
    enrolment: Enrolment | None


@dataclass(frozen=True, slots=True)
class Departure:
    """A household that leaves the village on a day."""

    household_id: str
    on: date


@dataclass(frozen=True, slots=True)
class People:
    """Everybody in the demo county, their posts, and who leaves."""

    families: tuple[Family, ...]
    posts: tuple[Post, ...]
    departures: tuple[Departure, ...]

    def of_village(self, village_code: str) -> tuple[Family, ...]:
        """Return the families of a village, by number."""
        return tuple(one for one in self.families if one.household.village_code == village_code)

    def enrolled_in(self, village_code: str, member: int) -> Family:
        """Return one of the families of a village that take part in the distribution."""
        enrolled = [one for one in self.of_village(village_code) if one.enrolment is not None]
        return enrolled[member % len(enrolled)]


def build_people(county: County) -> People:
    """Return the households of a county; the same county always has the same people."""
    families: list[Family] = []
    posts: list[Post] = []
    total = len(county.village_codes)
    for place, village in enumerate(county.village_codes):
        rng = generator(county.seed, 50, place)
        count = county.size.households * (place + 1) // total - county.size.households * place // total
        own = [_family(rng, village, number) for number in range(1, count + 1)]
        families.extend(own)
        posts.extend(_posts(rng, county, village, own))
    departures = []
    for fact in county.story.of(FactKind.HOUSEHOLD_LEFT):
        everyone = People(tuple(families), (), ())
        leaving = everyone.enrolled_in(county.village_in(fact), fact.member)
        departures.append(Departure(leaving.household.id, local_date(fact.start)))
    gone = {departure.household_id for departure in departures}
    staying = tuple(post for post in posts if post.household_id not in gone)
    return People(tuple(families), staying, tuple(departures))


def attendance(people: People, seed: int, month: Period) -> tuple[Attendance, ...]:
    """Return what was served on every post in a month: mostly all of it, sometimes less."""
    rng = generator(seed, 52, month.start.toordinal())
    return tuple(
        Attendance(
            post_id=post.id,
            month=str(month),
            units=Decimal("0.5") if rng.random() < 0.03 else Decimal(1),  # noqa: PLR2004, seldom half a month
            coefficient=Decimal(int(rng.choice((100, 100, 100, 95, 90)))) / 100,
            document=f"{month.label}考勤表",
        )
        for post in people.posts
    )


def _family(rng: np.random.Generator, village: str, number: int) -> Family:
    household_id = f"household_{village[6:]}_{number:03d}"
    surname = str(rng.choice(list(names.SURNAMES)))
    size = int(rng.choice((1, 2, 2, 3, 3, 4, 4, 5, 6)))
    members = tuple(_member(rng, household_id, surname, place) for place in range(size))
    household = Household(
        id=household_id,
        village_code=village,
        number=f"{number:03d}",
        name=members[0].name,
        registered_on=_REGISTERED,
        village_group=names.VILLAGE_GROUPS[number % len(names.VILLAGE_GROUPS)],
    )
    document = "村民代表大会决议 2025年第1号"
    weight = {1: 2, 2: 2, 3: 3, 4: 3}.get(size, 4)
    classes = _classes(rng, household_id, members)
    # Money is for those in need and those who work for it; simple division among all is forbidden.
    needy = len(classes) > 1 or classes[0].class_name != "脱贫户"
    enrolment = Enrolment(household_id, village, COMPONENT, date(2025, 1, 1), weight, document=document)
    return Family(
        household=household,
        members=members,
        classes=classes,
        account=NewPayeeAccount(household_id, members[0].name, names.BANK, _card(rng), _REGISTERED),
        enrolment=enrolment if needy or rng.random() < _ENROLLED_SHARE else None,
    )


def _member(rng: np.random.Generator, household_id: str, surname: str, place: int) -> NewMember:
    born = date(1948, 1, 1) + timedelta(days=int(rng.integers(0, 18_000 if place < 2 else 25_000)))  # noqa: PLR2004, elders first
    other = str(rng.choice(list(names.SURNAMES))) if place == 1 else surname
    return NewMember(
        household_id=household_id,
        name=other + str(rng.choice(names.GIVEN)),
        id_number=id_number(born, int(rng.integers(1, 999))),
        valid_from=max(_REGISTERED, born),
        phone=f"1990000{int(rng.integers(0, 9999)):04d}" if place == 0 else "",
        is_head=place == 0,
        labour_class=_labour(2026 - born.year),
    )


def _labour(age: int) -> LabourClass:
    oldest_child, oldest_able, oldest_weak = 15, 59, 67
    if age <= oldest_child or age > oldest_weak:
        return LabourClass.UNABLE
    return LabourClass.ABLE if age <= oldest_able else LabourClass.WEAK


def id_number(born: date, sequence: int) -> str:
    """Return an 18-character ID number of nobody: made-up area code, right check digit."""
    body = f"{names.COUNTY[0]}{born:%Y%m%d}{sequence:03d}"
    return body + str(ric.calc_check_digit(body + "0"))


def _card(rng: np.random.Generator) -> str:
    body = f"{_CARD_PREFIX}{int(rng.integers(0, 10**12)):012d}"
    return body + str(luhn.calc_check_digit(body))


def _classes(
    rng: np.random.Generator, household_id: str, members: tuple[NewMember, ...]
) -> tuple[HouseholdClass, ...]:
    drawn = float(rng.random())
    first = "脱贫户" if drawn < 0.84 else "监测对象"  # noqa: PLR2004, most are out of poverty
    found = [HouseholdClass(household_id, first, _REGISTERED if first == "脱贫户" else date(2021, 6, 1))]
    unable = all(member.labour_class == LabourClass.UNABLE for member in members)
    if unable and len(members) == 1:
        found.append(HouseholdClass(household_id, "特困供养", date(2020, 1, 1)))
    elif unable or rng.random() < 0.08:  # noqa: PLR2004, some more on 低保
        found.append(HouseholdClass(household_id, "低保", date(2020, 1, 1)))
    return tuple(found)


def _posts(rng: np.random.Generator, county: County, village: str, own: list[Family]) -> list[Post]:
    """Give posts to families that can work, as many as the village's share of power can pay."""
    kw = village_kw(county, village)
    able = [one for one in own if any(member.labour_class != LabourClass.UNABLE for member in one.members)]
    count = min(max(1, round(kw * _POST_PER_KW)), 10, len(able))
    holders = rng.choice(len(able), size=count, replace=False)
    return [
        Post(
            id=f"post_{village[6:]}_{number:02d}",
            village_code=village,
            household_id=able[int(holder)].household.id,
            kind=kind,
            monthly_rate_fen=rate * 100,
            valid_from=date(2025, 1, 1),
            document="公益岗位聘用协议 2025",
        )
        for number, (holder, (kind, rate)) in enumerate(
            zip(holders, (POST_KINDS * 2)[:count], strict=True), start=1
        )
    ]


def village_kw(county: County, village: str) -> float:
    """Return the AC power [kW] behind a village's income: its own stations and its part of joint ones."""
    shares: dict[str, int] = {}
    for share in county.shares:
        shares[share.station_id] = shares.get(share.station_id, 0) + share.weight
    joint = sum(
        station.rated_power_w * share.weight / shares[station.id] / 1000
        for share in county.shares
        for station in county.stations
        if share.village_code == village and station.id == share.station_id
    )
    own = sum(
        station.rated_power_w / 1000
        for station in county.stations
        if station.division_code == village and station.id not in shares
    )
    return joint + own
