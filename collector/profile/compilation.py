"""From a profile as it is written to a profile that can be run.

Owns the check of everything that the schema alone cannot see (units against quantities, names that refer
to other registers, overlapping numbers) and the expansion of repeats. It reads no file.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from collector.profile.document import (
    AddressingEntry,
    AlarmCodeEntry,
    MeterItemEntry,
    ProfileDocument,
    ReadingEntry,
    RegisterEntry,
    RepeatEntry,
)
from collector.profile.layouts import compile_models
from collector.profile.types import (
    Alarm,
    AlarmCodes,
    AlarmWord,
    Condition,
    Confidence,
    Detection,
    Field,
    Kind,
    MeterItem,
    ModelName,
    Profile,
    QuantityChoice,
    ReadGroup,
    ReadRules,
    StateCode,
    SumOfProducts,
)
from collector.profile.units import BASE_UNITS
from store.problem import Problem, ProblemsError
from store.samples import QUANTITIES, DeviceState

_LENGTHS = {
    Kind.U16: 1,
    Kind.S16: 1,
    Kind.ENUM: 1,
    Kind.BITS16: 1,
    Kind.U32: 2,
    Kind.S32: 2,
    Kind.F32: 2,
    Kind.BITS32: 2,
    Kind.U64: 4,
    Kind.S64: 4,
    Kind.CLOCK_WORDS: 6,
    Kind.CLOCK_BYTES: 3,
}
_DETECTION = "detection"
_FREE_LENGTH = {Kind.TEXT, Kind.HEX}
_NO_SENTINEL = {Kind.BITS16, Kind.BITS32, Kind.TEXT, Kind.HEX, Kind.CLOCK_WORDS, Kind.CLOCK_BYTES}


def _expanded(document: ProfileDocument) -> list[RegisterEntry]:
    entries = list(document.registers)
    for repeat in document.repeats:
        entries.extend(_row(repeat))
    return entries


def _row(repeat: RepeatEntry) -> Iterable[RegisterEntry]:
    for index in range(repeat.n[0], repeat.n[1] + 1):
        shift = repeat.step * (index - repeat.n[0])
        quantity = repeat.quantity.replace("{n}", str(index))
        yield repeat.model_copy(
            update={
                "name": repeat.name.replace("{n}", str(index)),
                "document": repeat.document + shift,
                "wire": None if repeat.wire is None else repeat.wire + shift,
                # Storage has room for the first few trackers; the others are decoded and shown.
                "quantity": quantity if quantity in QUANTITIES else "",
            }
        )


def _wire(entry: RegisterEntry, addressing: AddressingEntry) -> int:
    return entry.document + addressing.wire_offset if entry.wire is None else entry.wire


def _low_word_first(entry: RegisterEntry, addressing: AddressingEntry) -> bool:
    by_type: Mapping[str, str] = {str(kind): order for kind, order in addressing.word_order_by_type.items()}
    return (entry.word_order or by_type.get(entry.type.value, addressing.word_order)) == "low"


def _sentinels(entry: RegisterEntry, document: ProfileDocument) -> frozenset[int]:
    if entry.sentinels is not None:
        return frozenset(entry.sentinels)
    if entry.type in _NO_SENTINEL:
        return frozenset()
    table: Mapping[str, tuple[int, ...]] = {str(kind): raws for kind, raws in document.sentinels.items()}
    fallback = table.get("u16", ()) if entry.type is Kind.ENUM else ()
    return frozenset(table.get(entry.type.value, fallback))


def _group(entry: RegisterEntry, document: ProfileDocument, needed: frozenset[str]) -> ReadGroup:
    if entry.read is not None:
        return entry.read
    if entry.identity:
        return ReadGroup.ONCE
    if entry.quantity or entry.quantity_by or entry.clock or entry.name in needed:
        return ReadGroup.CYCLE
    return ReadGroup.ONCE if entry.name == document.detection.register_name else ReadGroup.EXTRA


def _field(entry: RegisterEntry, document: ProfileDocument, needed: frozenset[str]) -> Field:
    unit, factor = BASE_UNITS[entry.unit]
    if entry.quantity and not unit:
        unit = QUANTITIES[entry.quantity].unit
    scaled = Fraction(entry.scale) * factor
    choice = entry.quantity_by
    return Field(
        name=entry.name,
        function_code=entry.function_code or document.addressing.function_code,
        address=_wire(entry, document.addressing),
        count=entry.length or _LENGTHS[entry.type],
        kind=entry.type,
        document=entry.document,
        low_word_first=_low_word_first(entry, document.addressing),
        numerator=scaled.numerator,
        denominator=scaled.denominator,
        offset=entry.offset,
        unit=unit,
        quantity=entry.quantity,
        identity=entry.identity,
        group=_group(entry, document, needed),
        sentinels=_sentinels(entry, document),
        optional=entry.optional,
        magnitude=entry.magnitude,
        ratio=tuple(entry.ratio),
        scale_name=entry.scale_register,
        valid_when=Condition(entry.valid_when.register_name, frozenset(entry.valid_when.values))
        if entry.valid_when
        else None,
        choice=QuantityChoice(
            choice.register_name, {int(code, 0): name for code, name in choice.quantities.items()}
        )
        if choice
        else None,
        clock=entry.clock,
    )


def _references(document: ProfileDocument, entries: list[RegisterEntry]) -> dict[str, str]:
    """Return the names of registers that others refer to, each with the place that refers to it."""
    named: dict[str, str] = {}
    if document.detection.register_name and document.protocol == "modbus":
        named[document.detection.register_name] = _DETECTION
    for entry in entries:
        for name in (
            entry.scale_register,
            entry.valid_when.register_name if entry.valid_when else "",
            entry.quantity_by.register_name if entry.quantity_by else "",
        ):
            if name:
                named[name] = f"registers.{entry.name}"
    if document.state:
        named[document.state.register_name] = "state"
    named.update({word.register_name: "alarm_words" for word in document.alarm_words})
    named.update({number.register_name: "alarm_numbers" for number in document.alarm_numbers})
    for derived in document.derived:
        for pair in derived.sum_of_products:
            named.update(dict.fromkeys(pair, f"derived.{derived.quantity}"))
    return named


def _register_problems(entry: RegisterEntry, document: ProfileDocument) -> Iterable[tuple[str, str]]:
    if entry.unit not in BASE_UNITS:
        yield f"单位 “{entry.unit}” 不认识", "单位只能是 " + "、".join(unit for unit in BASE_UNITS if unit)
        return
    if (entry.type in _FREE_LENGTH) != (entry.length is not None):
        yield "length 与 type 不符", "str、hex 必须写 length（寄存器个数），其他类型不写"
    if not 0 <= _wire(entry, document.addressing) <= 0xFFFF:  # noqa: PLR2004, the Modbus address space
        yield "线上地址不在 0–65535 之内", "检查 document 与 addressing.wire_offset"
    for quantity in (entry.quantity, *(entry.quantity_by.quantities.values() if entry.quantity_by else ())):
        if quantity and quantity not in QUANTITIES:
            yield f"没有名为 “{quantity}” 的量", "见 store/samples.py 的量表"
        elif quantity and entry.unit and BASE_UNITS[entry.unit][0] != QUANTITIES[quantity].unit:
            yield f"单位 {entry.unit} 不能用于 {quantity}", f"应能换算为 {QUANTITIES[quantity].unit}"
    if entry.identity == "rated_power_w" and BASE_UNITS[entry.unit][0] not in {"W", "VA"}:
        yield "额定功率的单位不是功率", "写 W、kW、VA 或 kVA"


def _problems(name: str, document: ProfileDocument, entries: list[RegisterEntry]) -> list[Problem]:
    found = [
        Problem(f"{name}.toml registers.{entry.name}", what, how)
        for entry in entries
        for what, how in _register_problems(entry, document)
    ]
    names = [entry.name for entry in entries]
    found += [
        Problem(f"{name}.toml registers.{twice}", "名称重复", "每个寄存器取不同的名称")
        for twice in sorted({item for item in names if names.count(item) > 1})
    ]
    known = set(names)
    found += [
        Problem(f"{name}.toml {place}", f"引用的寄存器 “{target}” 不存在", "改为本文件中的寄存器名称")
        for target, place in _references(document, entries).items()
        if target not in known and document.protocol == "modbus"
    ]
    if document.protocol == "sunspec" and not (document.models and document.model_bases):
        found.append(Problem(f"{name}.toml", "SunSpec 档案缺少 models 或 model_bases", "两者都要写"))
    for item in document.items:
        if item.unit not in BASE_UNITS or (
            item.quantity
            and (
                item.quantity not in QUANTITIES or BASE_UNITS[item.unit][0] != QUANTITIES[item.quantity].unit
            )
        ):
            found.append(
                Problem(f"{name}.toml items.{item.name}", "单位与量不符", "见 store/samples.py 的量表")
            )
    if document.protocol == "dlt645" and not document.items:
        found.append(Problem(f"{name}.toml", "DL/T 645 档案没有 items", "至少写一个数据标识"))
    if document.protocol == "modbus" and not entries:
        found.append(Problem(f"{name}.toml", "没有任何寄存器", "至少写一个 [[registers]]"))
    return found


def _numbers(codes: str) -> Iterable[int]:
    for part in codes.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _alarm_table(entries: tuple[AlarmCodeEntry, ...]) -> dict[int, Alarm]:
    return {
        number: Alarm(str(number), entry.severity, entry.zh, entry.en)
        for entry in entries
        for number in _numbers(entry.codes)
    }


def _rules(reading: ReadingEntry, addressing: AddressingEntry) -> ReadRules:
    return ReadRules(
        max_block=reading.max_block,
        max_gap=reading.max_gap,
        split_before=frozenset(number + addressing.wire_offset for number in reading.split_before),
        forbidden=tuple((item.function_code, item.first, item.last + 1) for item in reading.forbidden),
        request_gap_s=float(reading.request_gap_s),
        connect_delay_s=float(reading.connect_delay_s),
        timeout_s=float(reading.timeout_s),
        single_client=reading.single_client,
        unit_ids=tuple(reading.unit_ids),
        port=reading.port,
    )


def _alarm_words(document: ProfileDocument) -> tuple[AlarmWord, ...]:
    return tuple(
        AlarmWord(
            word.register_name,
            word.quantity,
            word.shift,
            {bit.bit: Alarm(bit.code or f"bit{bit.bit}", bit.severity, bit.zh, bit.en) for bit in word.bits},
        )
        for word in document.alarm_words
    )


def _item(entry: MeterItemEntry) -> MeterItem:
    unit, factor = BASE_UNITS[entry.unit]
    scaled = factor / 10**entry.decimals
    group = ReadGroup.ONCE if entry.identity else ReadGroup.CYCLE if entry.quantity else ReadGroup.EXTRA
    return MeterItem(
        name=entry.name,
        identifier=entry.identifier,
        length=entry.length,
        numerator=scaled.numerator,
        denominator=scaled.denominator,
        signed=entry.signed,
        unit=unit,
        quantity=entry.quantity,
        identity=entry.identity,
        ratio=tuple(entry.ratio),
        group=entry.read or group,
    )


def compile_profile(name: str, document: ProfileDocument) -> Profile:
    """Return the profile ready to run; raises ProblemsError with everything that does not fit."""
    entries = _expanded(document)
    problems = _problems(name, document, entries)
    if problems:
        raise ProblemsError(problems)
    references = _references(document, entries)
    needed = frozenset(target for target, place in references.items() if place != _DETECTION)
    codes = document.state.codes if document.state else ()
    return Profile(
        name=name,
        vendor=document.vendor,
        vendor_chinese=document.vendor_zh,
        device_kind=document.kind,
        products=document.products,
        protocol=document.protocol,
        fields=tuple(_field(entry, document, needed) for entry in entries),
        rules=_rules(document.reading, document.addressing),
        detection=Detection(
            document.detection.register_name,
            tuple(ModelName(item.code, item.name, item.trackers) for item in document.detection.models),
            document.detection.text,
        ),
        confidence=tuple(Confidence(item.group, item.level, item.note) for item in document.confidence),
        gaps=document.gaps,
        notes=document.notes,
        state_field=document.state.register_name if document.state else "",
        states={
            item.code: StateCode(item.code, DeviceState[item.state.upper()], item.zh, item.en)
            for item in codes
        },
        alarm_words=_alarm_words(document),
        alarm_codes=tuple(
            AlarmCodes(item.register_name, item.quantity, _alarm_table(item.codes))
            for item in document.alarm_numbers
        ),
        derived=tuple(SumOfProducts(item.quantity, item.sum_of_products) for item in document.derived),
        night_null=document.night_null,
        models=compile_models(document),
        model_bases=document.model_bases,
        items=tuple(_item(item) for item in document.items),
    )
