"""From one cell to one value, or to the reason why not.

Owns what each kind of column accepts and what is said when it does not. Pure; nothing is repaired that
Excel has already damaged: a long number in a numeric cell is refused, never guessed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from documents.cells import half_width
from documents.reading import Cell, CellKind
from registry.actors import CODE_LENGTH
from store.problem import Problem, ProblemsError

ID_LENGTH = 18
_ACCOUNT = re.compile(r"^\d{8,32}$")
_PHONE = re.compile(r"^(1\d{10}|0\d{2,3}-?\d{7,8}|\d{7,8})$")
_DATE = re.compile(r"^(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?: 0{1,2}:00(?::00)?)?$")
_MONTH = re.compile(r"^(20\d\d)(?:[-/.年]?)(\d{1,2})月?$")
_COMPACT_DATE = re.compile(r"^(\d{4})(\d{2})(\d{2})$")
_EARLIEST, _LATEST = date(1900, 1, 1), date(2100, 1, 1)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_TEXT_CELL = "把整列设为“文本”格式后重新录入；不要只改格式，已丢失的末位数字不会回来"


class UnfitError(ValueError):
    """A cell does not hold what its column asks for: what is wrong, and how to mend it."""

    def __init__(self, what: str, how_to_fix: str) -> None:
        self.what = what
        self.how_to_fix = how_to_fix
        super().__init__(f"{what}。{how_to_fix}")


Parser = Callable[[Cell], object]


def text(cell: Cell, limit: int = 100) -> str:
    """Return a text of one line; raises UnfitError for an error cell, control characters, or too much."""
    if cell.kind is CellKind.ERROR:
        raise UnfitError(f"单元格是公式错误 {cell.text}", "改正公式，或粘贴为数值")
    if cell.kind is CellKind.LOSSY:
        raise UnfitError(f"“{cell.text}”是被 Excel 改成数字的长编号，末位已丢失", _TEXT_CELL)
    if _CONTROL.search(cell.text):
        raise UnfitError("含有换行或不可见字符", "删去换行和不可见字符")
    if len(cell.text) > limit:
        raise UnfitError(f"有 {len(cell.text)} 个字，超过 {limit} 个", "写短一些")
    return cell.text


def name(cell: Cell) -> str:
    """Return the name of a person; raises UnfitError for digits, or what could be a formula."""
    found = text(cell, 50)
    if re.search(r"[0-9０-９=+@<>{}\[\]|\\/]", found):
        raise UnfitError(f"“{found}”不像姓名", "只写汉字或字母，少数民族姓名用间隔号“·”")
    return found


def long_number(cell: Cell, what: str) -> str:
    """Return the digits of a number that must not have been a numeric cell."""
    if cell.kind in {CellKind.NUMBER, CellKind.LOSSY}:
        raise UnfitError(f"{what}是数字格式的单元格，末位数字可能已被 Excel 改成 0", _TEXT_CELL)
    return re.sub(r"[\s-]", "", half_width(text(cell)))


def id_number(cell: Cell) -> str:
    """Return an 18-digit ID number with a right check digit and a real date of birth.

    Source: GB 11643-1999.
    """
    number = long_number(cell, "身份证号").upper()
    if not re.fullmatch(r"\d{17}[\dX]", number):
        raise UnfitError(f"身份证号应为 18 位，这里是 {len(number)} 位或含有其他字符", "对照证件逐位核对")
    if number[-1] != ric.calc_check_digit(number):
        raise UnfitError("身份证号的校验位不对，有数字录错或颠倒", "对照证件逐位核对")
    try:
        born = ric.get_birth_date(number)
    except ValidationError as error:
        raise UnfitError("身份证号里的出生日期不存在", "对照证件核对第 7 到 14 位") from error
    if not _EARLIEST <= born < _LATEST:
        raise UnfitError("身份证号里的出生日期不可能", "对照证件核对第 7 到 14 位")
    return number


def typed_id_number(written: str) -> str:
    """Return an ID number that a person typed into a form; raises ProblemsError with what is wrong."""
    try:
        return id_number(Cell(written.strip(), CellKind.TEXT, ""))
    except UnfitError as error:
        raise ProblemsError([Problem("身份证号", error.what, error.how_to_fix)]) from error


def account(cell: Cell) -> str:
    """Return the digits of a bank card or passbook."""
    number = long_number(cell, "银行账号")
    if not _ACCOUNT.match(number):
        raise UnfitError("银行账号应为 8 到 32 位数字", "对照银行卡或存折核对")
    return number


def luhn_holds(number: str) -> bool:
    """Tell whether a card number passes the Luhn check; passbooks often do not, so it is only a hint."""
    doubled = [int(digit) * 2 for digit in number[-2::-2]]
    kept = [int(digit) for digit in number[-1::-2]]
    return (sum(kept) + sum(value - 9 if value > 9 else value for value in doubled)) % 10 == 0  # noqa: PLR2004


def phone(cell: Cell) -> str:
    """Return a telephone number; eleven digits fit into a numeric cell without loss."""
    number = re.sub(r"\s", "", half_width(text(cell)))
    if not _PHONE.match(number):
        raise UnfitError("电话号码不对", "写 11 位手机号，或区号加座机号")
    return number


def division_code(cell: Cell) -> str:
    """Return a 12-digit division code; twelve digits fit into a numeric cell without loss."""
    code = half_width(text(cell))
    if not re.fullmatch(r"\d{12}", code):
        raise UnfitError(f"“{code}”不是 {CODE_LENGTH} 位区划代码", "从区划代码表复制村的 12 位代码")
    return code


def grid_account(cell: Cell) -> str:
    """Return a 户号; refused as a number where leading zeros may have been lost."""
    if cell.kind in {CellKind.NUMBER, CellKind.LOSSY}:
        raise UnfitError("户号是数字格式的单元格，开头的 0 可能已丢失", _TEXT_CELL)
    number = half_width(text(cell, 30))
    if not re.fullmatch(r"[0-9A-Za-z-]{4,30}", number):
        raise UnfitError(f"“{number}”不像户号", "照供电公司结算单上的户号填写")
    return number


def household_number(cell: Cell) -> str:
    """Return the number of a household in its village, as text."""
    number = half_width(text(cell, 30))
    if not re.fullmatch(r"[0-9A-Za-z-]{1,30}", number):
        raise UnfitError(f"户编号“{number}”只能用数字、字母和横线", "改用村内的户编号，如 001")
    return number


def day(cell: Cell) -> date:
    """Return a day written as a date cell, 2026-10-05, 2026/10/5, 2026.10.5, 2026年10月5日 or 20261005."""
    written = half_width(text(cell))
    match = _DATE.match(written) or _COMPACT_DATE.match(written)
    if match is None:
        raise UnfitError(f"“{written}”不是日期", "写成 2026-10-05")
    try:
        found = date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError as error:
        raise UnfitError(f"“{written}”这一天不存在", "写成 2026-10-05") from error
    if not _EARLIEST <= found < _LATEST:
        raise UnfitError(f"“{written}”不在 1900 至 2100 年之间", "检查年份")
    return found


def decimal(cell: Cell, low: str, high: str) -> Decimal:
    """Return an exact figure between two bounds, thousands separators allowed."""
    written = half_width(text(cell)).replace(",", "")
    try:
        found = Decimal(written)
    except InvalidOperation as error:
        raise UnfitError(f"“{cell.text}”不是数", "只写数字，单位写在表头") from error
    if not found.is_finite() or not Decimal(low) <= found <= Decimal(high):
        raise UnfitError(f"{written} 不在 {low} 至 {high} 之间", "检查小数点和单位")
    return found


def scaled(cell: Cell, factor: int, bounds: tuple[str, str], unit: str) -> int:
    """Return a figure as an integer of a smaller unit (kW to W, yuan to fen), exactly."""
    found = decimal(cell, *bounds)
    small = found * factor
    if small != small.to_integral_value():
        raise UnfitError(f"{found} 精确不到 {unit}", "减少小数位数")
    return int(small)


def watts(cell: Cell) -> int:
    """Return a power written in kW as W."""
    return scaled(cell, 1000, ("0.001", "100000"), "瓦")


def fen(cell: Cell) -> int:
    """Return an amount written in yuan as fen."""
    return scaled(cell, 100, ("0", "10000000"), "分")


def weight(cell: Cell) -> int:
    """Return a positive integer weight."""
    return scaled(cell, 1, ("1", "1000000000"), "整数")


def latitude(cell: Cell) -> float:
    """Return a latitude in China [degrees]."""
    return float(decimal(cell, "3", "54"))


def longitude(cell: Cell) -> float:
    """Return a longitude in China [degrees]."""
    return float(decimal(cell, "73", "136"))


@dataclass(frozen=True, slots=True)
class Choice:
    """A parser that takes one of given Chinese words and gives its identifier."""

    words: Mapping[str, str]

    def __call__(self, cell: Cell) -> str:
        """Return the identifier; raises UnfitError with the words that may stand there."""
        written = text(cell)
        if written not in self.words:
            raise UnfitError(f"“{written}”不在可选项之内", f"只能填：{'、'.join(self.words)}")
        return self.words[written]


def choice(words: Mapping[str, str]) -> Choice:
    """Return a parser that takes one of given Chinese words and gives its identifier."""
    return Choice(words)


def month(cell: Cell) -> str:
    """Return a month written as 2026-10, 2026年10月, 202610, or as any day of it, as `2026-10`."""
    written = half_width(text(cell))
    match = _MONTH.match(written)
    if match is not None and 1 <= int(match[2]) <= 12:  # noqa: PLR2004, months
        return f"{match[1]}-{int(match[2]):02d}"
    found = day(cell)
    return f"{found:%Y-%m}"


def figure(cell: Cell) -> Decimal:
    """Return a non-negative figure of at most three decimal places."""
    found = decimal(cell, "0", "10000000000")
    if (found * 1000) % 1:
        raise UnfitError(f"{found} 超过三位小数", "最多写三位小数")
    return found


def reading(cell: Cell) -> str:
    """Return what a meter shows, as exact decimal text."""
    return f"{decimal(cell, '0', '999999999999'):f}"


def words_list(cell: Cell) -> tuple[str, ...]:
    """Return several short words separated by 、 ， ； or blanks, in order and without repetition."""
    found = [part for part in re.split(r"[、，,；;\s/]+", text(cell)) if part]
    return tuple(dict.fromkeys(found))
