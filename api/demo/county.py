"""The shape of the demo county: divisions, stations, devices, meters, and who plays which part.

Owns a pure, seeded description built from `names`, `story` and a size. It writes nothing (that is
`api.demo.registration`) and knows no household (that is `api.demo.people`).
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np

from api.demo import names
from api.demo.fleet import build_fleet
from api.demo.plant import Disturbance, Effect, Machine, Plant
from api.demo.sky import Site
from api.demo.story import Fact, FactKind, Story, tell
from api.demo.weather import generator
from registry.divisions import Division, DivisionLevel
from registry.stations import Device, DeviceKind, RevenueMeter, Station, StationKind, StationShare
from store.periods import Period, local_date

SINCE = date(2016, 1, 1)
_VILLAGES_PER_TOWNSHIP = 8


@dataclass(frozen=True, slots=True)
class CountySize:
    """How large a demo county is: villages (at most 40), joint stations, households, months of history."""

    villages: int = 40
    joint_stations: int = 5
    households: int = 1200
    months: int = 12


FULL = CountySize()
SMALL = CountySize(villages=4, joint_stations=1, households=24, months=2)


@dataclass(frozen=True)
class County:
    """The whole registry side of the demo, as records of `registry`, and its story."""

    seed: int
    size: CountySize
    story: Story
    divisions: tuple[Division, ...]
    stations: tuple[Station, ...]
    shares: tuple[StationShare, ...]
    devices: tuple[Device, ...]
    meters: tuple[RevenueMeter, ...]
    sites: tuple[Site, ...]
    machines: tuple[Machine, ...]

    @cached_property
    def village_codes(self) -> tuple[str, ...]:
        """The codes of the villages, in order."""
        return tuple(one.code for one in self.divisions if one.level == DivisionLevel.VILLAGE)

    @cached_property
    def township_codes(self) -> tuple[str, ...]:
        """The codes of the townships, in order."""
        return tuple(one.code for one in self.divisions if one.level == DivisionLevel.TOWNSHIP)

    @property
    def code(self) -> str:
        """The county's own 12-digit code."""
        return names.COUNTY[0].ljust(12, "0")

    def station_in(self, fact: Fact) -> Station:
        """Return the station that plays a fact's part."""
        order = generator(self.seed, 40).permutation(len(self.stations))
        return self.stations[int(order[fact.slot % len(self.stations)])]

    def village_in(self, fact: Fact) -> str:
        """Return the code of the village that plays a fact's part."""
        order = generator(self.seed, 41).permutation(len(self.village_codes))
        return self.village_codes[int(order[fact.slot % len(order)])]

    def plant(self) -> Plant:
        """Return the county's machines with everything that happens to them."""
        disturbances = [one for fact in self.story.facts for one in self.disturbances(fact)]
        return Plant(self.seed, self.sites, self.machines, disturbances, epoch=self.story.epoch)

    def disturbances(self, fact: Fact) -> list[Disturbance]:
        """Return what a fact does to machines; nothing where it is about money or people."""
        effect = _EFFECTS.get(fact.kind)
        if effect is None:
            return []
        return [Disturbance(effect, self.concerned(fact), fact.start, fact.end, fact.share)]

    def concerned(self, fact: Fact) -> tuple[str, ...]:
        """Return the ids of the devices that a fact is about."""
        if fact.kind is FactKind.TOWNSHIP_OUTAGE:
            stations = {s.id for s in self.stations if s.division_code[:9] == self.township_codes[0][:9]}
        else:
            stations = {self.station_in(fact).id}
        own = [device for device in self.devices if device.station_id in stations]
        if fact.kind in _WITH_METER:
            return tuple(device.id for device in own)
        inverters = [device for device in own if device.kind == DeviceKind.INVERTER]
        if fact.kind in _ONE_INVERTER:
            first = [device for device in inverters if device.replaces is None]
            return (first[fact.member % len(first)].id,)
        return tuple(device.id for device in inverters)


_EFFECTS = {
    FactKind.STATION_DOWN: Effect.STOPPED,
    FactKind.INVERTER_DOWN: Effect.STOPPED,
    FactKind.INVERTER_REPLACED: Effect.STOPPED,
    FactKind.COMMUNICATION_GAP: Effect.SILENT,
    FactKind.COUNTER_RESET: Effect.COUNTER_RESET,
    FactKind.WEAK_INVERTER: Effect.WEAK,
    FactKind.GRID_OUTAGE: Effect.GRID_OUTAGE,
    FactKind.TOWNSHIP_OUTAGE: Effect.GRID_OUTAGE,
    FactKind.CURTAILED: Effect.CURTAILED,
}
_WITH_METER = {FactKind.COMMUNICATION_GAP}
_ONE_INVERTER = {
    FactKind.INVERTER_DOWN,
    FactKind.INVERTER_REPLACED,
    FactKind.COUNTER_RESET,
    FactKind.WEAK_INVERTER,
}


def build_county(seed: int, size: CountySize, anchor: date) -> County:
    """Return the county of a seed and size whose demo is first made on `anchor`."""
    epoch = Period.month_of(anchor)
    for _ in range(size.months):
        epoch = epoch.previous()
    story = tell(anchor, epoch.start)
    divisions = _divisions(size)
    villages = tuple(one for one in divisions if one.level == DivisionLevel.VILLAGE)
    stations, shares, sites = _stations(seed, size, villages)
    fleet = build_fleet(seed, stations, epoch.start)
    bare = County(
        seed, size, story, divisions, stations, shares, fleet.devices, fleet.meters, sites, fleet.machines
    )
    return _with_replacements(bare)


def _divisions(size: CountySize) -> tuple[Division, ...]:
    def division(code: str, name: str, level: DivisionLevel, parent: str) -> Division:
        full, above = code.ljust(12, "0"), parent.ljust(12, "0") if parent else ""
        return Division(f"division_{full}", full, name, level, above, SINCE)

    county = names.COUNTY[0]
    listed = [
        division(*names.PROVINCE, DivisionLevel.PROVINCE, ""),
        division(*names.PREFECTURE, DivisionLevel.PREFECTURE, names.PROVINCE[0]),
        division(*names.COUNTY, DivisionLevel.COUNTY, names.PREFECTURE[0]),
    ]
    per_township = min(_VILLAGES_PER_TOWNSHIP, -(-size.villages // 2))
    left = size.villages
    for number, (township, villages) in enumerate(zip(names.TOWNSHIPS, names.VILLAGES, strict=True)):
        taken = villages[: min(per_township, left)]
        if not taken:
            break
        code = f"{county}{100 + number:03d}"
        listed.append(division(code, township, DivisionLevel.TOWNSHIP, county))
        for place, village in enumerate(taken):
            listed.append(division(f"{code}{201 + place}", village, DivisionLevel.VILLAGE, code))
        left -= len(taken)
    return tuple(listed)


_RATED_KW = (60, 80, 100, 100, 120, 160, 180, 200, 200, 220, 240, 240, 300, 300, 320, 400, 440, 500)


def _stations(
    seed: int, size: CountySize, villages: tuple[Division, ...]
) -> tuple[tuple[Station, ...], tuple[StationShare, ...], tuple[Site, ...]]:
    """Place stations: one in most villages, joint ones where villages have none, one 户用, one 农光互补.

    The last village of each joint group has no station of its own, so that it lives by its share alone.
    """
    rng = generator(seed, 30)
    stations: list[Station] = []
    shares: list[StationShare] = []
    groups = [villages[n :: size.joint_stations] for n in range(size.joint_stations)]
    landless = {group[-1].code for group in groups}
    for village in villages:
        if village.code not in landless:
            name, kind = f"{village.name}光伏电站", StationKind.VILLAGE
            rated = int(rng.choice(_RATED_KW)) * 1000
            stations.append(_station(rng, len(stations) + 1, village, (name, kind, rated)))
    for number, group in enumerate(groups):
        host = group[0]
        name, kind = f"{host.name[:-1]}联村光伏电站", StationKind.JOINT
        station = _station(rng, len(stations) + 1, host, (name, kind, (440 if number % 2 else 500) * 1000))
        stations.append(station)
        partners = sorted({host.code, group[len(group) // 2].code, group[-1].code})
        weights = (40, 35, 25) if len(partners) == 3 else (60, 40)  # noqa: PLR2004, two or three partners
        for partner, weight in zip(partners, weights, strict=True):
            shares.append(StationShare(station.id, partner, weight, station.grid_connected_on or SINCE))
    roofs = villages[len(villages) // 3]
    fields = villages[-2]
    for village, name, kind, rated in (
        (roofs, "户用光伏集中并网点", StationKind.HOUSEHOLD_GROUP, 150),
        (fields, "农光互补电站", StationKind.AGRI_PV, 360),
        *((v, "二期光伏电站", StationKind.VILLAGE, 80) for v in villages[1 : len(villages) // 16 + 1]),
    ):
        described = (f"{village.name}{name}", kind, rated * 1000)
        stations.append(_station(rng, len(stations) + 1, village, described))
    townships = {code: n for n, code in enumerate(sorted({one.code[:9] for one in villages}))}
    sites = tuple(_site(rng, station, townships[station.division_code[:9]]) for station in stations)
    return tuple(stations), tuple(shares), sites


def _station(
    rng: np.random.Generator, number: int, village: Division, described: tuple[str, StationKind, int]
) -> Station:
    name, kind, rated_power_w = described
    township = int(village.code[6:9]) - 100
    connected = date(2017, 6, 1) + timedelta(days=int(rng.integers(0, 900)))
    listed = "国家目录第三批" if connected.year == 2017 or rng.random() < 0.8 else "地方参照"  # noqa: PLR2004
    return Station(
        id=f"station_{number:03d}",
        name=name,
        kind=kind,
        division_code=village.code,
        rated_power_w=rated_power_w,
        latitude=round(31.18 + 0.08 * township + float(rng.uniform(0, 0.09)), 5),
        longitude=round(115.62 + 0.07 * (township % 3) + float(rng.uniform(0, 0.12)), 5),
        dc_power_w=round(rated_power_w * float(rng.uniform(1.06, 1.24)) / 340) * 340,
        account_number=f"34990{number:04d}{int(rng.integers(1000, 9999))}",
        grid_connected_on=connected,
        tariff_zone="III",
        on_grid_mode="surplus" if kind is StationKind.HOUSEHOLD_GROUP else "full",
        subsidy_list_status=listed,
        maintenance_company=names.COMPANY,
        maintenance_phone="0557-5550100",
        payee=names.PAYEE,
    )


def _site(rng: np.random.Generator, station: Station, township: int) -> Site:
    eastward_km = (station.longitude - 115.75) * 95
    return Site(
        station_id=station.id,
        latitude=station.latitude,
        longitude=station.longitude,
        altitude_m=round(float(rng.uniform(80, 520))),
        township=township,
        # A front that crosses the county from the west at about 30 km/h.
        wind_delay_min=eastward_km * 2.0,
        tilt_deg=round(float(rng.normal(25, 2)), 1),
        azimuth_deg=round(float(rng.normal(181, 8)), 1),
        horizon_deg=(round(float(rng.uniform(2, 11)), 1), round(float(rng.uniform(2, 11)), 1)),
        cleaning_day=int(rng.integers(1, 29)),
    )


def _with_replacements(county: County) -> County:
    """Let each replaced inverter end on its day, and its successor begin with a counter at zero."""
    from dataclasses import replace

    devices, machines = list(county.devices), list(county.machines)
    for fact in county.story.of(FactKind.INVERTER_REPLACED):
        (old_id,) = county.concerned(fact)
        day = local_date(fact.end)
        place = next(n for n, device in enumerate(devices) if device.id == old_id)
        old = devices[place]
        new = replace(old, id=f"{old.id}_b", serial=f"{old.serial[:-2]}R1", installed_on=day, replaces=old.id)
        devices[place] = replace(old, removed_on=day)
        devices.insert(place + 1, new)
        at = next(n for n, machine in enumerate(machines) if machine.device_id == old_id)
        machine = machines[at]
        machines[at] = replace(machine, removed_on=day)
        machines.insert(at + 1, replace(machine, device_id=new.id, initial_wh=0, installed_on=day))
    return replace(county, devices=tuple(devices), machines=tuple(machines))
