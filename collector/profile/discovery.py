"""Where the models of one SunSpec device stand.

Owns the walk along the chain of models, as a generator that asks for blocks and is sent their words, so
that the poller, the probe and the decoder of dumps share it without any input or output here.

Source: SunSpec Device Information Model Specification: marker “SunS”, then (number, length, registers)
until the number 0xFFFF.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from collector.profile.types import Block, Field, Profile, SunSpecModel, Words
from store.problem import Problem, ProblemsError
from store.samples import QUANTITIES

MARKER = (0x5375, 0x6E53)
_END = 0xFFFF
_FUNCTION_CODE = 3
_MAX_MODELS = 100
_HEADER = 2
_ADDRESSES = 0x10000

Discovery = Generator[Block, Sequence[int] | None, Profile]
"""Yields a block to read, is sent its words (None when it cannot be read), returns the bound profile."""


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """One model of a device: its number, the address of that number, and its length [registers]."""

    number: int
    address: int
    length: int


def discover(profile: Profile) -> Discovery:
    """Walk the device's chain of models and return the profile bound to it.

    Raises ProblemsError when no marker is found.
    """
    for base in profile.model_bases:
        words = yield Block(_FUNCTION_CODE, base, len(MARKER))
        if words is not None and tuple(words) == MARKER:
            places = yield from _walk(base + len(MARKER))
            return bind(profile, places)
    raise ProblemsError(
        [
            Problem(
                f"档案 {profile.name}",
                "没有找到 SunSpec 标识",
                "检查设备是否打开 SunSpec、站号是否正确（SMA 为 126）",
            )
        ]
    )


def _walk(address: int) -> Generator[Block, Sequence[int] | None, list[ModelPlace]]:
    places: list[ModelPlace] = []
    while len(places) < _MAX_MODELS and address + _HEADER <= _ADDRESSES:
        header = yield Block(_FUNCTION_CODE, address, _HEADER)
        if header is None or len(header) < _HEADER or header[0] == _END:
            break
        places.append(ModelPlace(header[0], address, header[1]))
        address += _HEADER + header[1]
    return places


def _placed(
    field: Field, address: int, *, prefix: str = "", suffix: str = "", local: frozenset[str] = frozenset()
) -> Field:
    """Return a field of a model at its address on one device, named with its model and repetition."""
    scale = field.scale_name
    if scale:
        scale = f"{prefix}{scale}{suffix if scale in local else ''}"
    return replace(
        field,
        name=f"{prefix}{field.name}{suffix}",
        address=address + field.address,
        document=address + field.address,
        scale_name=scale,
    )


def _model_fields(model: SunSpecModel, place: ModelPlace, prefix: str) -> list[Field]:
    end = _HEADER + place.length
    fields = [
        _placed(field, place.address, prefix=prefix)
        for field in model.fields
        if field.address + field.count <= end
    ]
    if model.group_length:
        local = frozenset(field.name for field in model.group_fields)
        repetitions = max(0, (end - model.fixed_length) // model.group_length)
        for index in range(repetitions):
            start = place.address + model.fixed_length + index * model.group_length
            fields += [
                _repeated(_placed(field, start, prefix=prefix, suffix=f"_{index + 1}", local=local), index)
                for field in model.group_fields
            ]
    return fields


def _repeated(field: Field, index: int) -> Field:
    """Return a field of a repeating group with `{n}` of its quantity filled in; none beyond storage."""
    quantity = field.quantity.replace("{n}", str(index + 1))
    return replace(field, quantity=quantity if quantity in QUANTITIES else "")


def bind(profile: Profile, places: Sequence[ModelPlace]) -> Profile:
    """Return the profile with the fields of one device's models at their addresses.

    A model that the profile does not know is skipped by its length; a second instance of a model gets
    its number in the names.
    """
    fields: list[Field] = []
    seen: dict[int, int] = {}
    renamed: dict[str, str] = {}
    for place in places:
        model = next((item for item in profile.models if place.number in item.ids), None)
        if model is None:
            continue
        seen[place.number] = seen.get(place.number, 0) + 1
        again = f"_{seen[place.number]}" if seen[place.number] > 1 else ""
        prefix = f"m{place.number}{again}_"
        added = _model_fields(model, place, prefix)
        if not again:
            for field in added:
                renamed.setdefault(field.name.removeprefix(prefix), field.name)
        fields.extend(added)
    return _rename(profile, tuple(fields), renamed)


def _rename(profile: Profile, fields: tuple[Field, ...], renamed: dict[str, str]) -> Profile:
    """Point the profile's state, alarms and night rule at the names that the fields have on this device."""
    return replace(
        profile,
        fields=fields,
        state_field=renamed.get(profile.state_field, ""),
        alarm_words=tuple(
            replace(word, field_name=renamed[word.field_name])
            for word in profile.alarm_words
            if word.field_name in renamed
        ),
        night_null=tuple(renamed[name] for name in profile.night_null if name in renamed),
    )


def _lengths(model: SunSpecModel) -> tuple[int, int]:
    """Return the shortest and the longest length [registers] that a model may announce, groups apart."""
    used = max(field.address + field.count for field in model.fields) - _HEADER
    return used, used + 1


def _is_header(profile: Profile, number: int, length: int) -> bool:
    for model in profile.models:
        if number in model.ids:
            if model.group_length:
                return length % model.group_length == (model.fixed_length - _HEADER) % model.group_length
            return length in _lengths(model)
    return False


def headers_in(profile: Profile, words: Words) -> list[ModelPlace]:
    """Return where known models begin in words that hold only a part of a map, by number and length."""
    places: list[ModelPlace] = []
    end = -1
    for code, address in sorted(words):
        length = words.get((code, address + 1))
        if code != _FUNCTION_CODE or address < end or length is None:
            continue
        if _is_header(profile, words[code, address], length):
            places.append(ModelPlace(words[code, address], address, length))
            end = address + _HEADER + length
    return places


def bind_from_words(profile: Profile, words: Words) -> Profile:
    """Return the profile bound to the models found in words: by the chain, else by their headers.

    Raises ProblemsError when there are none.
    """
    try:
        return _follow(profile, words)
    except ProblemsError:
        places = headers_in(profile, words)
        if not places:
            raise
        return bind(profile, places)


def _follow(profile: Profile, words: Words) -> Profile:
    walk = discover(profile)
    block = next(walk)
    while True:
        raw = [words.get((block.function_code, block.address + index)) for index in range(block.count)]
        present = [word for word in raw if word is not None]
        try:
            block = walk.send(present if len(present) == len(raw) else None)
        except StopIteration as found:
            return found.value if isinstance(found.value, Profile) else profile
