"""Frozen records of device profiles and of what decoding them gives; no logic.

Owns the compiled form of a profile (`Profile`, `Field`) that poller, decoder and simulator share. How a
profile is written in TOML is in `document`; how it is compiled is in `compilation`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from store.samples import DeviceState

Words = Mapping[tuple[int, int], int]
"""Raw 16-bit words by function code and wire address."""


class Kind(StrEnum):
    """How the words of a field are read."""

    U16 = "u16"
    S16 = "s16"
    U32 = "u32"
    S32 = "s32"
    U64 = "u64"
    S64 = "s64"
    F32 = "f32"
    ENUM = "enum16"
    BITS16 = "bits16"
    BITS32 = "bits32"
    TEXT = "str"
    HEX = "hex"
    CLOCK_WORDS = "clock_words"
    CLOCK_BYTES = "clock_bytes"


class Missing(StrEnum):
    """Why a point has no value."""

    NOT_READ = "not_read"
    REFUSED = "refused"
    DAMAGED = "damaged"
    NOT_AVAILABLE = "not_available"
    PARTIAL = "partial"
    NO_SCALE = "no_scale"
    NOT_APPLICABLE = "not_applicable"
    UNREADABLE = "unreadable"


class ReadGroup(StrEnum):
    """When a field is read: every cycle, once after connecting, or only by probe and decode."""

    CYCLE = "cycle"
    ONCE = "once"
    EXTRA = "extra"


@dataclass(frozen=True, slots=True)
class Condition:
    """A field applies only while another, single-word field shows one of some raw values."""

    field_name: str
    values: frozenset[int]


@dataclass(frozen=True, slots=True)
class QuantityChoice:
    """Which quantity a field is depends on the raw value of another, single-word field."""

    field_name: str
    quantities: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a device: where it stands and how its words become a number.

    value [unit] = (raw + offset) x numerator / denominator, further multiplied by the ratios of the
    instrument transformers named in `ratio` (`pt`, `ct` or both) and by 10 to the power of the field
    `scale_name`. `sentinels` are raw unsigned patterns that mean “not available”. An `optional` field may
    not exist on every model: any all-ones word in it makes it not available. A `ratio_or_percent` is a power
    factor that some makers send as a ratio and others in percent. `keys` are the words that it needs.
    """

    name: str
    function_code: int
    address: int
    count: int
    kind: Kind
    document: int
    low_word_first: bool = False
    numerator: int = 1
    denominator: int = 1
    offset: int = 0
    unit: str = ""
    quantity: str = ""
    identity: str = ""
    group: ReadGroup = ReadGroup.EXTRA
    sentinels: frozenset[int] = frozenset()
    optional: bool = False
    magnitude: bool = False
    ratio: tuple[str, ...] = ()
    scale_name: str = ""
    valid_when: Condition | None = None
    choice: QuantityChoice | None = None
    clock: str = ""
    ratio_or_percent: bool = False
    keys: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        code, first = self.function_code, self.address
        object.__setattr__(self, "keys", tuple((code, first + n) for n in range(self.count)))


@dataclass(frozen=True, slots=True)
class StateCode:
    """One vendor code of the state field: our state, and the vendor's meaning in two languages."""

    code: int
    state: DeviceState
    chinese: str
    english: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm that a device shows: vendor's code, severity (`major`, `minor`, `warning`), meaning."""

    code: str
    severity: str
    chinese: str
    english: str


@dataclass(frozen=True, slots=True)
class AlarmWord:
    """Where the bits of one alarm field stand in an `alarm_words_…` quantity, and what each bit means."""

    field_name: str
    quantity: str
    shift: int
    bits: Mapping[int, Alarm]


@dataclass(frozen=True, slots=True)
class AlarmCodes:
    """A field that shows the number of one alarm, 0 when there is none."""

    field_name: str
    quantity: str
    codes: Mapping[int, Alarm]


@dataclass(frozen=True, slots=True)
class SumOfProducts:
    """A quantity that the device does not give: the sum of products of pairs of fields."""

    quantity: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ReadRules:
    """What a device can bear: block size and bridged holes [registers], pauses and time-out [s].

    No block runs across the wire addresses in `split_before` or touches the half-open ranges of
    `forbidden` (function code, first, end).
    """

    max_block: int = 100
    max_gap: int = 16
    split_before: frozenset[int] = frozenset()
    forbidden: tuple[tuple[int, int, int], ...] = ()
    request_gap_s: float = 0.0
    connect_delay_s: float = 0.0
    timeout_s: float = 3.0
    single_client: bool = True
    unit_ids: tuple[int, ...] = (1,)
    port: int = 502


@dataclass(frozen=True, slots=True)
class ModelName:
    """A type code of the family: product name and, where known, the number of trackers."""

    code: int
    name: str
    trackers: int | None = None


@dataclass(frozen=True, slots=True)
class Detection:
    """How a probe knows the family: a field read from the device, and which raw values or text fit.

    `models` names the type codes; `text` is a part of the text that must be found; with neither, an
    answer of the field alone is a weak sign.
    """

    field_name: str = ""
    models: tuple[ModelName, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure one group of points is (`vendor`, `dump`, `community`, `guess`), and on what it rests."""

    group: str
    level: str
    note: str


@dataclass(frozen=True, slots=True)
class SunSpecModel:
    """Layout of one SunSpec model: offsets count from the register that holds the model's number.

    The fields' addresses are offsets. A repeating group starts after `fixed_length` registers and is
    `group_length` long; the field `count_name` tells how many of its fields are in use.
    """

    ids: frozenset[int]
    label: str
    fields: tuple[Field, ...]
    group_fields: tuple[Field, ...] = ()
    fixed_length: int = 0
    group_length: int = 0
    count_name: str = ""


@dataclass(frozen=True, slots=True)
class MeterItem:
    """One data item of a DL/T 645 meter: identifier (8 hex digits, DI3 first) and how its digits are read.

    value [unit] = digits x numerator / denominator; the top bit of a `signed` item is its sign.
    """

    name: str
    identifier: str
    length: int
    numerator: int
    denominator: int
    signed: bool = False
    unit: str = ""
    quantity: str = ""
    identity: str = ""
    ratio: tuple[str, ...] = ()
    group: ReadGroup = ReadGroup.EXTRA


@dataclass(frozen=True, slots=True)
class Profile:
    """A device family, compiled: everything that poller, decoder, simulator and probe need."""

    name: str
    vendor: str
    vendor_chinese: str
    device_kind: str
    products: str
    protocol: str
    fields: tuple[Field, ...]
    rules: ReadRules
    detection: Detection = Detection()
    confidence: tuple[Confidence, ...] = ()
    gaps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    state_field: str = ""
    states: Mapping[int, StateCode] = field(default_factory=dict)
    alarm_words: tuple[AlarmWord, ...] = ()
    alarm_codes: tuple[AlarmCodes, ...] = ()
    derived: tuple[SumOfProducts, ...] = ()
    night_null: tuple[str, ...] = ()
    models: tuple[SunSpecModel, ...] = ()
    model_bases: tuple[int, ...] = ()
    items: tuple[MeterItem, ...] = ()
    by_name: Mapping[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {item.name: item for item in self.fields})

    def field_named(self, name: str) -> Field | None:
        """Return the field of a name, or None."""
        return self.by_name.get(name)


@dataclass(frozen=True, slots=True)
class Ratios:
    """Ratios of the voltage (pt) and current (ct) transformers in front of a meter; 1 when direct."""

    pt: int = 1
    ct: int = 1


DIRECT = Ratios()


@dataclass(frozen=True, slots=True)
class Point:
    """One decoded value: number, text or None with the reason, and the words that it came from.

    `quantity` is the name of the stored quantity, or empty for a point that is only shown; `address` is
    the wire address, `document` the number printed in the manual.
    """

    name: str
    quantity: str
    value: float | int | str | None
    missing: Missing | None
    unit: str
    function_code: int
    address: int
    document: int
    raw: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device says of itself; empty or None where it does not."""

    serial: str = ""
    model: str = ""
    firmware: str = ""
    rated_power_w: int | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """Everything that one set of words gives.

    `points` is empty where only a sample was asked for. `values` holds the quantities of a sample
    (`store.samples.QUANTITIES`), nothing for what is missing; `device_clock` is the device's own time,
    aware, or None.
    """

    points: tuple[Point, ...]
    values: Mapping[str, float | int]
    state: DeviceState | None
    state_text: str
    alarms: tuple[Alarm, ...]
    identity: Identity
    device_clock: datetime | None


@dataclass(frozen=True, slots=True)
class Block:
    """One read request: function code, first wire address and number of registers."""

    function_code: int
    address: int
    count: int
