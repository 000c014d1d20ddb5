"""What of a personal field may be shown where.

Owns the masks and the table of fields by audience. Pure; it does not decide who asks.
"""

from collections.abc import Callable
from enum import StrEnum

_COMPOUND_SURNAMES = frozenset(
    {
        "欧阳", "太史", "端木", "上官", "司马", "东方", "独孤", "南宫", "万俟", "闻人", "夏侯", "诸葛",
        "尉迟", "公羊", "赫连", "澹台", "皇甫", "宗政", "濮阳", "公冶", "太叔", "申屠", "公孙", "慕容",
        "仲孙", "钟离", "长孙", "宇文", "司徒", "鲜于", "司空", "令狐", "百里", "呼延", "东郭", "南门",
        "羊舌", "微生", "梁丘", "左丘", "西门", "第五", "拓跋", "轩辕",
    }
)  # fmt: skip


class Audience(StrEnum):
    """Who reads: a sheet on the village board, the public web, an office's screen, a bank."""

    PAPER_NOTICE = "paper_notice"
    PUBLIC_PAGE = "public_page"
    OFFICE_SCREEN = "office_screen"
    BANK_FILE = "bank_file"


class PersonalField(StrEnum):
    """The personal fields that exist at all."""

    NAME = "name"
    ID_NUMBER = "id_number"
    BANK_ACCOUNT = "bank_account"
    PHONE = "phone"
    CLASS = "class"


def mask_name(name: str) -> str:
    """Return a name with all but the surname and the last character hidden: 张*明, 张*, 欧阳*.

    A name of one character is hidden whole. Source: the state's rule that published personal
    information is de-identified (政务公开工作要点 2018), with the forms that villages use.
    """
    name = name.strip()
    surname = 2 if len(name) > 2 and name[:2] in _COMPOUND_SURNAMES else 1  # noqa: PLR2004, characters
    given = len(name) - surname
    if given <= 0:
        return "*"
    if given == 1:
        return name[:surname] + "*"
    return name[:surname] + "*" * (given - 1) + name[-1]


def mask_id_number(id_number: str) -> str:
    """Return an 18-digit ID number as `520***********123X`; anything else is hidden whole."""
    if len(id_number) != 18:  # noqa: PLR2004, GB 11643
        return "*" * len(id_number)
    return id_number[:3] + "*" * 11 + id_number[-4:]


def mask_account(last4: str) -> str:
    """Return a bank account as `**** 1234`; takes the last four digits, or the whole number."""
    return f"**** {last4[-4:]}" if len(last4) >= 4 else "****"  # noqa: PLR2004, the shown tail


def mask_phone(phone: str) -> str:
    """Return a mobile number as `138****5678`; any other number keeps only its last two digits."""
    if len(phone) == 11 and phone.isdigit():  # noqa: PLR2004, a mobile number
        return phone[:3] + "****" + phone[-4:]
    return "*" * max(len(phone) - 2, 0) + phone[-2:] if len(phone) > 4 else "*" * len(phone)  # noqa: PLR2004


def shown(field: PersonalField, value: str, audience: Audience, *, full_name_on_paper: bool = False) -> str:
    """Return what an audience may see of a personal field; the empty text means nothing at all.

    `full_name_on_paper` is the county's choice for the sheet on the village board. The class of a
    household (低保, 脱贫, illness …) is shown on the office's screen only. An ID number in a bank file
    is the exporter's decision, where the bank demands it, and is not given here.
    """
    full_name = audience in {Audience.OFFICE_SCREEN, Audience.BANK_FILE} or (
        audience is Audience.PAPER_NOTICE and full_name_on_paper
    )
    if field is PersonalField.NAME and value:
        return value if full_name else mask_name(value)
    if field is PersonalField.BANK_ACCOUNT and audience is Audience.BANK_FILE:
        return value
    if audience is not Audience.OFFICE_SCREEN or not value:
        return ""
    return _OFFICE_MASKS[field](value)


_OFFICE_MASKS: dict[PersonalField, Callable[[str], str]] = {
    PersonalField.ID_NUMBER: mask_id_number,
    PersonalField.BANK_ACCOUNT: mask_account,
    PersonalField.PHONE: mask_phone,
    PersonalField.CLASS: str,
}
