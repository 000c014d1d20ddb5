"""A device profile as it is written in TOML.

Owns the schema (pydantic) and the JSON Schema for editors. Names, defaults and meanings are explained for
authors in `docs/profile-format.md`. It compiles nothing: that is `compilation`.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from collector.profile.types import Kind, ReadGroup

SCHEMA = "sunledger-device-profile/1"

Word = Annotated[int, Field(ge=0, le=0xFFFF)]
FunctionCode = Literal[1, 2, 3, 4]
WordOrder = Literal["high", "low"]
StateName = Literal[
    "unknown", "standby", "starting", "running", "derated", "warning", "fault", "grid_fault", "stopped"
]
Severity = Literal["major", "minor", "warning"]
SentinelKey = Literal["u16", "s16", "u32", "s32", "u64", "s64", "enum16", "f32"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ConfidenceEntry(_Strict):
    """How sure one group of points is, and on what it rests."""

    group: str
    level: Literal["vendor", "dump", "community", "guess"]
    note: str = ""


class ConditionEntry(_Strict):
    """The register applies only while another single-word register shows one of these raw values."""

    register_name: str = Field(alias="register")
    values: tuple[Word, ...]


class QuantityBy(_Strict):
    """The quantity depends on the raw value (written as text, decimal or 0x…) of another register."""

    register_name: str = Field(alias="register")
    quantities: dict[str, str]


class RegisterEntry(_Strict):
    """One value of the device."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_{}]*$")
    document: NonNegativeInt = Field(description="number printed in the manual")
    wire: Word | None = Field(None, description="address on the wire where the rule of [addressing] fails")
    function_code: FunctionCode | None = None
    type: Kind
    length: PositiveInt | None = Field(None, description="registers of a text, hex or clock value")
    scale: Decimal | int = 1
    offset: int = Field(0, description="added to the raw value before scaling")
    unit: str = ""
    quantity: str = Field("", description="name of the stored quantity")
    quantity_by: QuantityBy | None = None
    identity: Literal["", "serial", "model", "firmware", "rated_power_w"] = ""
    word_order: WordOrder | None = None
    sentinels: tuple[NonNegativeInt, ...] | None = None
    optional: bool = False
    magnitude: bool = False
    ratio: tuple[Literal["pt", "ct"], ...] = ()
    scale_register: str = ""
    valid_when: ConditionEntry | None = None
    clock: Literal["", "local", "utc"] = ""
    read: ReadGroup | None = None
    note: str = ""


class RepeatEntry(RegisterEntry):
    """A row of equal registers: `{n}` in name and quantity runs over `n`, `step` registers apart."""

    step: PositiveInt
    n: tuple[PositiveInt, PositiveInt]


class StateEntry(_Strict):
    """One code of the state register."""

    code: NonNegativeInt
    state: StateName
    zh: str
    en: str


class StateTable(_Strict):
    """The state register and its codes; a code outside the table is unknown and keeps its raw value."""

    register_name: str = Field(alias="register")
    codes: tuple[StateEntry, ...] = ()


class AlarmBit(_Strict):
    """One bit of an alarm word."""

    bit: int = Field(ge=0, le=63)
    code: str = ""
    severity: Severity = "major"
    zh: str
    en: str


class AlarmWordEntry(_Strict):
    """A register of alarm bits, and where it is kept: `alarm_words_1` or `alarm_words_2`, shifted."""

    register_name: str = Field(alias="register")
    quantity: Literal["alarm_words_1", "alarm_words_2"]
    shift: int = Field(0, ge=0, le=47)
    bits: tuple[AlarmBit, ...] = ()


class AlarmCodeEntry(_Strict):
    """Numbers (`2,3,14-15`) with one meaning."""

    codes: str = Field(pattern=r"^\d+(-\d+)?(,\d+(-\d+)?)*$")
    severity: Severity = "major"
    zh: str
    en: str


class AlarmNumberEntry(_Strict):
    """A register that shows the number of one alarm."""

    register_name: str = Field(alias="register")
    quantity: Literal["alarm_words_1", "alarm_words_2"]
    codes: tuple[AlarmCodeEntry, ...] = ()


class DerivedEntry(_Strict):
    """A quantity that the device does not give, as the sum of products of pairs of registers."""

    quantity: str
    sum_of_products: tuple[tuple[str, str], ...]


class ModelEntry(_Strict):
    """A type code of the family."""

    code: Word
    name: str
    trackers: PositiveInt | None = None


class DetectionEntry(_Strict):
    """How a probe knows the family."""

    register_name: str = Field("", alias="register")
    text: str = ""
    models: tuple[ModelEntry, ...] = ()


class AddressingEntry(_Strict):
    """From the printed number to the wire, and the order of words."""

    function_code: FunctionCode = 3
    wire_offset: int = Field(0, description="wire address = printed number + wire_offset")
    word_order: WordOrder = "high"
    word_order_by_type: dict[SentinelKey, WordOrder] = {}


class ForbiddenRange(_Strict):
    """Wire addresses that no request may touch."""

    function_code: FunctionCode
    first: Word
    last: Word


class ReadingEntry(_Strict):
    """What the device can bear."""

    max_block: int = Field(100, ge=1, le=125)
    max_gap: int = Field(16, ge=0, le=124)
    split_before: tuple[Word, ...] = Field((), description="printed numbers that begin a new block")
    forbidden: tuple[ForbiddenRange, ...] = ()
    request_gap_s: Decimal | int = 0
    connect_delay_s: Decimal | int = 0
    timeout_s: Decimal | int = 3
    single_client: bool = True
    unit_ids: tuple[Annotated[int, Field(ge=0, le=255)], ...] = (1,)
    port: int = Field(502, ge=1, le=65535)


class SunSpecPoint(_Strict):
    """One point of a SunSpec model; `offset` counts from the register that holds the model's number."""

    name: str
    offset: NonNegativeInt
    type: Literal[
        "int16", "uint16", "count", "acc16", "int32", "uint32", "acc32", "int64", "uint64", "acc64",
        "float32", "enum16", "bitfield16", "bitfield32", "string", "sunssf", "ipaddr", "pad",
    ]  # fmt: skip
    length: PositiveInt | None = None
    scale_factor: str = ""
    unit: str = ""
    quantity: str = ""
    identity: Literal["", "serial", "model", "firmware", "rated_power_w"] = ""


class SunSpecModelEntry(_Strict):
    """One SunSpec model, or several with the same layout."""

    ids: tuple[PositiveInt, ...]
    label: str
    points: tuple[SunSpecPoint, ...]
    group_points: tuple[SunSpecPoint, ...] = ()
    fixed_length: NonNegativeInt = 0
    group_length: NonNegativeInt = 0
    count_point: str = ""


class MeterItemEntry(_Strict):
    """One data item of a DL/T 645 meter: BCD digits, low byte first on the wire."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    identifier: str = Field(pattern=r"^[0-9A-F]{8}$", description="DI3 DI2 DI1 DI0")
    length: int = Field(ge=1, le=8, description="bytes of the value")
    decimals: int = Field(0, ge=0, le=6)
    signed: bool = False
    unit: str = ""
    quantity: str = ""
    identity: Literal["", "serial"] = ""
    ratio: tuple[Literal["pt", "ct"], ...] = ()
    read: ReadGroup | None = None


class ProfileDocument(_Strict):
    """A whole profile file."""

    format: Literal["sunledger-device-profile/1"] = Field(alias="schema")
    vendor: str
    vendor_zh: str
    kind: Literal["inverter", "meter", "logger", "sensor"]
    products: str
    protocol: Literal["modbus", "sunspec", "dlt645"] = "modbus"
    confidence: tuple[ConfidenceEntry, ...]
    gaps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    addressing: AddressingEntry = AddressingEntry()
    reading: ReadingEntry = ReadingEntry()
    sentinels: dict[SentinelKey, tuple[NonNegativeInt, ...]] = {}
    detection: DetectionEntry = DetectionEntry()
    registers: tuple[RegisterEntry, ...] = ()
    repeats: tuple[RepeatEntry, ...] = ()
    state: StateTable | None = None
    alarm_words: tuple[AlarmWordEntry, ...] = ()
    alarm_numbers: tuple[AlarmNumberEntry, ...] = ()
    derived: tuple[DerivedEntry, ...] = ()
    night_null: tuple[str, ...] = ()
    model_bases: tuple[Word, ...] = ()
    models: tuple[SunSpecModelEntry, ...] = ()
    items: tuple[MeterItemEntry, ...] = ()


def profile_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a profile, for editors that check TOML while typing."""
    schema = ProfileDocument.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def known_keys() -> tuple[str, ...]:
    """Return every key that a profile may hold anywhere, to name the one that was meant."""
    schema = ProfileDocument.model_json_schema(by_alias=True)
    tables = (schema, *schema["$defs"].values())
    return tuple({key for table in tables for key in table.get("properties", {})})
