"""Samples and the list of quantities.

Owns what can be measured, under which name, in which unit and how it is kept. A sample holds only the
quantities that were measured: what is missing is absent, never zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

import pyarrow as pa


class QuantityKind(StrEnum):
    """How a quantity behaves over time, which decides how it may be aggregated."""

    GAUGE = "gauge"
    COUNTER = "counter"
    CODE = "code"
    WORDS = "words"


class DeviceState(IntEnum):
    """What a device says of itself, in our words; an unknown vendor code is UNKNOWN with its raw kept."""

    UNKNOWN = 0
    STANDBY = 1
    STARTING = 2
    RUNNING = 3
    DERATED = 4
    WARNING = 5
    FAULT = 6
    GRID_FAULT = 7
    STOPPED = 8


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing that can be measured: name with unit last, unit, kind and Chinese label."""

    name: str
    unit: str
    kind: QuantityKind
    label: str

    @property
    def arrow_type(self) -> pa.DataType:
        """Storage type: counters and bit words 64-bit integers, codes 32-bit, gauges double."""
        if self.kind in {QuantityKind.COUNTER, QuantityKind.WORDS}:
            return pa.int64()
        return pa.int32() if self.kind is QuantityKind.CODE else pa.float64()


def _quantities() -> tuple[Quantity, ...]:
    gauge, counter = QuantityKind.GAUGE, QuantityKind.COUNTER
    code, words = QuantityKind.CODE, QuantityKind.WORDS
    listed = [
        Quantity("generated_energy_wh", "Wh", counter, "累计发电量"),
        Quantity("exported_energy_wh", "Wh", counter, "累计上网电量"),
        Quantity("imported_energy_wh", "Wh", counter, "累计用网电量"),
        Quantity("generated_energy_today_wh", "Wh", gauge, "当日发电量（设备自报）"),
        Quantity("active_power_w", "W", gauge, "有功功率"),
        Quantity("reactive_power_var", "var", gauge, "无功功率"),
        Quantity("apparent_power_va", "VA", gauge, "视在功率"),
        Quantity("power_factor", "1", gauge, "功率因数"),
        Quantity("frequency_hz", "Hz", gauge, "频率"),
        *(Quantity(f"voltage_{phase}_v", "V", gauge, f"{phase.upper()} 相电压") for phase in "abc"),
        *(Quantity(f"voltage_{pair}_v", "V", gauge, f"{pair.upper()} 线电压") for pair in ("ab", "bc", "ca")),
        *(Quantity(f"current_{phase}_a", "A", gauge, f"{phase.upper()} 相电流") for phase in "abc"),
        Quantity("dc_power_w", "W", gauge, "直流功率"),
        *(Quantity(f"dc_voltage_{n}_v", "V", gauge, f"直流电压 {n}") for n in range(1, 5)),
        *(Quantity(f"dc_current_{n}_a", "A", gauge, f"直流电流 {n}") for n in range(1, 5)),
        Quantity("internal_temperature_c", "°C", gauge, "机内温度"),
        Quantity("insulation_resistance_ohm", "Ω", gauge, "绝缘电阻"),
        Quantity("irradiance_w_m2", "W/m²", gauge, "辐照度"),
        Quantity("ambient_temperature_c", "°C", gauge, "环境温度"),
        Quantity("module_temperature_c", "°C", gauge, "组件温度"),
        Quantity("state", "", code, "状态"),
        Quantity("state_raw", "", code, "厂家状态码"),
        Quantity("alarm_words_1", "", words, "告警字 1"),
        Quantity("alarm_words_2", "", words, "告警字 2"),
        Quantity("clock_skew_s", "s", gauge, "设备时钟偏差"),
    ]
    return tuple(listed)


QUANTITIES: Mapping[str, Quantity] = {quantity.name: quantity for quantity in _quantities()}
"""Every quantity by name, in storage order."""

SAMPLE_SCHEMA = pa.schema(
    [
        pa.field("device_id", pa.string(), nullable=False),
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("received_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("flags", pa.int32(), nullable=False),
        *(pa.field(quantity.name, quantity.arrow_type) for quantity in QUANTITIES.values()),
    ]
)
"""Columns of a batch of samples: key, time of receipt, quality flags (`store.quality`), quantities."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one device measured at one instant.

    `time` is the sample's key [UTC]; `received_at` is when we had it. `values` maps a quantity's name to
    its value in the quantity's unit and holds no entry for what is missing.
    """

    device_id: str
    time: datetime
    received_at: datetime
    values: Mapping[str, float | int] = field(default_factory=dict)
    flags: int = 0


def samples_to_table(samples: Sequence[Sample]) -> pa.Table:
    """Return samples as one Arrow table of SAMPLE_SCHEMA; raises KeyError for an unknown quantity."""
    for sample in samples:
        for name in sample.values:
            QUANTITIES[name]
    columns: dict[str, list[object]] = {
        "device_id": [sample.device_id for sample in samples],
        "time": [sample.time for sample in samples],
        "received_at": [sample.received_at for sample in samples],
        "flags": [sample.flags for sample in samples],
    }
    for quantity in QUANTITIES.values():
        whole = quantity.kind is not QuantityKind.GAUGE
        cells = [sample.values.get(quantity.name) for sample in samples]
        columns[quantity.name] = [
            None if cell is None else round(cell) if whole else float(cell) for cell in cells
        ]
    return pa.table(columns, schema=SAMPLE_SCHEMA)


def table_to_samples(table: pa.Table) -> list[Sample]:
    """Return the rows of a table (SAMPLE_SCHEMA, or a subset of its quantities) as samples."""
    names = [name for name in table.column_names if name in QUANTITIES]
    names = [name for name in names if table.column(name).null_count < table.num_rows]
    measured = [table.column(name).to_pylist() for name in names]
    device_ids, times = table.column("device_id").to_pylist(), table.column("time").to_pylist()
    present = set(table.column_names)
    received = table.column("received_at").to_pylist() if "received_at" in present else times
    flags = table.column("flags").to_pylist() if "flags" in present else [0] * len(times)
    cells = zip(*measured, strict=True) if measured else iter([()] * len(times))
    return [
        Sample(
            device_id,
            time,
            received_at or time,
            {name: value for name, value in zip(names, row, strict=True) if value is not None},
            flag or 0,
        )
        for device_id, time, received_at, flag, row in zip(
            device_ids, times, received, flags, cells, strict=True
        )
    ]
