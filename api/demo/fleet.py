"""Inverters and meters of the demo's stations.

Owns which models stand in a station, how they are reached (their own port, a gateway with several unit
ids, or MQTT) and what their counters showed when the demo's history begins.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np

from api.demo.plant import Machine
from api.demo.weather import generator
from registry.stations import Device, DeviceKind, RevenueMeter, Station, StationKind

FIRST_PORT = 15_020
CYCLE_SECONDS = 60
METER_UNIT = 101
_HOURS_PER_YEAR = 1230
_MQTT_EVERY = 7
_DIRECT_EVERY = 9


@dataclass(frozen=True, slots=True)
class Model:
    """One inverter model: our profile, its name on the plate, its AC rating [kW], its counter's step [Wh]."""

    profile: str
    name: str
    rated_kw: int
    resolution_wh: int


MODELS = (
    Model("sungrow_sg_string", "SG50CX", 50, 1000),
    Model("sungrow_sg_string", "SG110CX", 110, 1000),
    Model("goodwe_mt_smt", "GW60KS-MT", 60, 100),
    Model("goodwe_mt_smt", "GW80K-MT", 80, 100),
    Model("huawei_sun2000", "SUN2000-40KTL", 40, 10),
    Model("huawei_sun2000", "SUN2000-60KTL", 60, 10),
    Model("huawei_sun2000", "SUN2000-100KTL", 100, 10),
    Model("growatt_max_mid", "MID 25KTL3", 25, 100),
    Model("growatt_max_mid", "MAX 80KTL3", 80, 100),
    Model("growatt_max_mid", "MAX 100KTL3", 100, 100),
)
MQTT_MAPPING = "sunledger"
METER_PROFILE = "acrel_dtsd1352"
METER_RESOLUTION_WH = 1000


@dataclass(frozen=True, slots=True)
class Fleet:
    """Devices, revenue meters and machines of all stations, in the same order."""

    devices: tuple[Device, ...]
    meters: tuple[RevenueMeter, ...]
    machines: tuple[Machine, ...]


@dataclass(frozen=True, slots=True)
class _Reach:
    """How a station's devices are reached: transport, first port, and whether units share the port."""

    transport: str
    port: int
    shared: bool


def build_fleet(seed: int, stations: tuple[Station, ...], epoch: date) -> Fleet:
    """Return the devices of the stations with counters as at `epoch`."""
    devices: list[Device] = []
    meters: list[RevenueMeter] = []
    machines: list[Machine] = []
    port = FIRST_PORT
    for number, station in enumerate(stations):
        rng = generator(seed, 31, number)
        models = _combination(rng, station)
        reach = _reach(number, port)
        port += 0 if reach.transport == "mqtt" else 1 if reach.shared else len(models) + 1
        years = (epoch - (station.grid_connected_on or epoch)).days / 365.25
        for place, model in enumerate(models, start=1):
            device = _inverter(station, model, place, reach)
            devices.append(device)
            past = years * _HOURS_PER_YEAR * model.rated_kw * 1000 * float(rng.uniform(0.93, 1.0))
            machines.append(_machine(device, model.resolution_wh, station, past))
        exported = sum(machine.initial_wh for machine in machines[-len(models) :])
        meter = _meter(station, len(models) + 1, reach)
        devices.append(meter)
        machines.append(_machine(meter, METER_RESOLUTION_WH, station, exported * 0.984))
        meters.append(_revenue_meter(rng, station, meter))
    return Fleet(tuple(devices), tuple(meters), tuple(machines))


def _combination(rng: np.random.Generator, station: Station) -> list[Model]:
    """Choose one to six inverters whose ratings come nearest to the station's, seldom of two brands."""
    wanted = station.rated_power_w // 1000
    if station.kind == StationKind.HOUSEHOLD_GROUP:
        small = next(model for model in MODELS if model.rated_kw == 25)  # noqa: PLR2004, the roof size
        return [small] * min(6, max(1, wanted // small.rated_kw))
    options = [
        [first] * count + [second] * extra
        for first in MODELS
        for second in MODELS
        for count in range(1, 7)
        for extra in range(3)
        if count + extra <= 6 and first.rated_kw * count + second.rated_kw * extra == wanted  # noqa: PLR2004
        if extra == 0 or first is not second
    ]
    if not options:
        raise ValueError(f"no inverters add up to {wanted} kW")
    single = [option for option in options if len({model.profile for model in option}) == 1]
    chosen = single if single and rng.random() < 0.8 else options  # noqa: PLR2004, mostly one brand
    return chosen[int(rng.integers(0, len(chosen)))]


def _reach(number: int, port: int) -> _Reach:
    if number % _MQTT_EVERY == _MQTT_EVERY - 2:
        return _Reach("mqtt", 0, shared=False)
    return _Reach("modbus-tcp", port, shared=number % _DIRECT_EVERY != 0)


def _address(place: int, reach: _Reach) -> dict[str, object]:
    if reach.transport == "mqtt":
        return {"transport": "mqtt", "host": "", "port": 0, "unit_id": place}
    offset = 0 if reach.shared else place - 1
    return {"transport": "modbus-tcp", "host": "127.0.0.1", "port": reach.port + offset, "unit_id": place}


def _inverter(station: Station, model: Model, place: int, reach: _Reach) -> Device:
    device_id = f"{station.id}_inverter_{place}"
    return Device(
        id=device_id,
        station_id=station.id,
        kind=DeviceKind.INVERTER,
        name=f"{place}号逆变器 {model.name}",
        profile=MQTT_MAPPING if reach.transport == "mqtt" else model.profile,
        installed_on=station.grid_connected_on or date(2018, 1, 1),
        topic=f"sunledger/{device_id}" if reach.transport == "mqtt" else "",
        cycle_seconds=CYCLE_SECONDS,
        rated_power_w=model.rated_kw * 1000,
        serial=f"DEMO{station.id[-3:]}{place:02d}A0",
        position=place,
        **_address(place, reach),  # type: ignore[arg-type]
    )


def _meter(station: Station, place: int, reach: _Reach) -> Device:
    device_id = f"{station.id}_meter"
    address = _address(place, reach)
    unit = METER_UNIT if reach.shared else address["unit_id"]
    return Device(
        id=device_id,
        station_id=station.id,
        kind=DeviceKind.METER,
        name="并网计量表",
        profile=MQTT_MAPPING if reach.transport == "mqtt" else METER_PROFILE,
        installed_on=station.grid_connected_on or date(2018, 1, 1),
        topic=f"sunledger/{device_id}" if reach.transport == "mqtt" else "",
        cycle_seconds=CYCLE_SECONDS,
        rated_power_w=station.rated_power_w,
        serial=f"DEMO{station.id[-3:]}M1",
        position=place,
        **(address | {"unit_id": unit}),  # type: ignore[arg-type]
    )


def _machine(device: Device, resolution_wh: int, station: Station, past_wh: float) -> Machine:
    share = device.rated_power_w / station.rated_power_w
    is_meter = device.kind == DeviceKind.METER
    return Machine(
        device_id=device.id,
        station_id=station.id,
        is_meter=is_meter,
        rated_power_w=device.rated_power_w,
        dc_power_w=0 if is_meter else round((station.dc_power_w or station.rated_power_w) * share),
        initial_wh=round(past_wh),
        resolution_wh=resolution_wh,
    )


def _revenue_meter(rng: np.random.Generator, station: Station, device: Device) -> RevenueMeter:
    # 400 V with current transformers: 5 A secondary, ratio by the station's current.
    current = station.rated_power_w / (400 * 3**0.5)
    multiplier = next(ratio for ratio in (20, 30, 40, 60, 80, 100, 120, 160, 200) if ratio * 5 > current)
    return RevenueMeter(
        id=f"revenue_meter_{station.id[-3:]}",
        station_id=station.id,
        meter_number=f"3330{int(rng.integers(10**7, 10**8 - 1))}",
        meter_multiplier=multiplier,
        installed_on=station.grid_connected_on or date(2018, 1, 1),
        device_id=device.id,
    )
