"""SunSpec models as they are written, made into fields with offsets.

Owns the SunSpec point types: how many registers, which pattern means not implemented. Where the models of
one device stand is found by `discovery`.

Source: SunSpec Device Information Model Specification (types and not-implemented values).
"""

from collector.profile.document import ProfileDocument, SunSpecModelEntry, SunSpecPoint
from collector.profile.types import Field, Kind, ReadGroup, SunSpecModel
from collector.profile.units import BASE_UNITS
from store.samples import QUANTITIES

_TYPES: dict[str, tuple[Kind, int, tuple[int, ...]]] = {
    "int16": (Kind.S16, 1, (0x8000,)),
    "uint16": (Kind.U16, 1, (0xFFFF,)),
    "count": (Kind.U16, 1, (0xFFFF,)),
    "acc16": (Kind.U16, 1, (0,)),
    "int32": (Kind.S32, 2, (0x8000_0000,)),
    "uint32": (Kind.U32, 2, (0xFFFF_FFFF,)),
    "acc32": (Kind.U32, 2, (0,)),
    "int64": (Kind.S64, 4, (0x8000_0000_0000_0000,)),
    "uint64": (Kind.U64, 4, (0xFFFF_FFFF_FFFF_FFFF,)),
    "acc64": (Kind.U64, 4, (0,)),
    "float32": (Kind.F32, 2, ()),
    "enum16": (Kind.ENUM, 1, (0xFFFF,)),
    "bitfield16": (Kind.BITS16, 1, (0xFFFF,)),
    "bitfield32": (Kind.BITS32, 2, (0xFFFF_FFFF,)),
    "string": (Kind.TEXT, 8, ()),
    "sunssf": (Kind.S16, 1, (0x8000,)),
    "ipaddr": (Kind.U32, 2, (0,)),
    "pad": (Kind.U16, 1, (0x8000,)),
}


def _field(point: SunSpecPoint, needed: frozenset[str]) -> Field:
    kind, count, sentinels = _TYPES[point.type]
    unit, factor = BASE_UNITS[point.unit]
    if point.quantity and not unit:
        unit = QUANTITIES[point.quantity].unit
    used = bool(point.quantity) or point.type in {"sunssf", "count"} or point.name in needed
    group = ReadGroup.ONCE if point.identity else ReadGroup.CYCLE if used else ReadGroup.EXTRA
    return Field(
        name=point.name,
        function_code=3,
        address=point.offset,
        count=point.length or count,
        kind=kind,
        document=point.offset,
        numerator=factor.numerator,
        denominator=factor.denominator,
        unit=unit,
        quantity=point.quantity,
        identity=point.identity,
        group=group,
        sentinels=frozenset(sentinels),
        scale_name=point.scale_factor,
        ratio_or_percent=point.quantity == "power_factor",
    )


def _model(entry: SunSpecModelEntry, needed: frozenset[str]) -> SunSpecModel:
    return SunSpecModel(
        ids=frozenset(entry.ids),
        label=entry.label,
        fields=tuple(_field(point, needed) for point in entry.points),
        group_fields=tuple(_field(point, needed) for point in entry.group_points),
        fixed_length=entry.fixed_length,
        group_length=entry.group_length,
        count_name=entry.count_point,
    )


def compile_models(document: ProfileDocument) -> tuple[SunSpecModel, ...]:
    """Return the SunSpec models of a profile, offsets not yet bound to a device."""
    needed = {word.register_name for word in document.alarm_words}
    if document.state:
        needed.add(document.state.register_name)
    return tuple(_model(entry, frozenset(needed)) for entry in document.models)
