"""Notices, statements and household sheets as PDF.

Owns what stands on the paper; fonts, compilation and time stamp are `documents.pdf`'s. The notice is
printed from the list that was frozen when it opened, so paper, page and hash are the same list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from distribution.approval.noticing.notices import Notice, NoticeList
from distribution.exports.sheets import household_notes
from distribution.money import uppercase, yuan
from distribution.statement.records import HouseholdStatement, VillageStatement
from documents.pdf import render_pdf
from documents.qr import qr_svg
from store.canonical import content_hash
from store.periods import Period

_FOLDER = Path(__file__).parent
_SHORT_NOTE = 4
FONTS = ("Noto Serif SC", "Noto Serif CJK SC", "Noto Sans SC", "Noto Sans CJK SC")


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What a county prints around its papers: who issues, whom to call, where the QR code leads.

    `link` is the address of the public page of the same notice; empty for no code.
    """

    village_name: str
    contacts: tuple[str, ...] = ()
    link: str = ""
    watermark: str = ""
    fonts: tuple[str, ...] = FONTS


def notice_pdf(content: NoticeList, notice: Notice | None, head: Letterhead) -> bytes:
    """Return the public notice on A4; `notice` is None for a draft that is not posted yet.

    Raises FileRefusedError when a name has a character without a glyph.
    """
    label = Period.parse(content.period).label
    income = sum(amount for _name, amount in content.income)
    spent = sum(amount for _name, amount in content.deductions)
    changes = content.kind == "correction"
    carried = f"，上期结转 {yuan(content.carried_in_fen)} 元" if content.carried_in_fen else ""
    data: dict[str, object] = {
        "title": f"关于{head.village_name}光伏电站{label}",
        "subject": f"{content.kind_name}的公示",
        "has_notes": any(len(line.note) > _SHORT_NOTE for line in content.lines),
        "preface": f"根据分配方案（{content.plan}）和村民代表会议决议，"
        f"现将{label}光伏{content.kind_name}情况予以公示，接受监督。{content.explanation}",
        "window": "张贴后填写" if notice is None else _window(notice),
        "number": content.number,
        "fingerprint": (content_hash(content) if notice is None else notice.list_hash)[:16],
        "sums": [
            {
                "title": "一、收入增减" if changes else "一、收入",
                "text": f"{'' if changes else '到账 '}{yuan(income)} 元{_among(content.income)}{carried}。",
            },
            {
                "title": "二、支出增减" if changes else "二、支出",
                "text": f"{yuan(spent)} 元{_among(content.deductions)}。",
            },
            {
                "title": "三、可分配增减" if changes else "三、可分配",
                "text": f"{yuan(content.distributable_fen)} 元{_among(content.purses)}；到户明细如下。",
            },
        ],
        "rows": [
            {
                "number": str(number),
                "group": line.village_group,
                "name": line.name,
                "item": line.item,
                "basis": line.basis,
                "amount": yuan(line.amount_fen),
                "note": line.note,
            }
            for number, line in enumerate(content.lines, start=1)
        ],
        "total": yuan(content.total_fen),
        "uppercase": uppercase(content.total_fen),
        "netted": content.netting_words,
        "contacts": list(head.contacts) or ["村务监督委员会　　　　　　乡镇纪委　　　　　　县农业农村局"],
        "issuer": f"{head.village_name}村民委员会",
        "issued": _chinese_date(notice.opens_on) if notice else "　　年　　月　　日",
        "qr": qr_svg(head.link) if head.link else "",
        "watermark": head.watermark,
        "fonts": list(head.fonts),
    }
    return render_pdf(_FOLDER / "notice.typ", data)


def _chinese_date(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"


def _window(notice: Notice) -> str:
    days = (notice.closes_on - notice.opens_on).days + 1
    return f"{_chinese_date(notice.opens_on)}至{_chinese_date(notice.closes_on)}（{days}日）"


def _among(parts: Sequence[tuple[str, int]]) -> str:
    return f"，其中{'、'.join(f'{name} {yuan(amount)} 元' for name, amount in parts)}" if parts else ""


def statement_pdf(statement: VillageStatement, head: Letterhead) -> bytes:
    """Return a village statement on A4, every figure as on the page."""
    sums = [(one.label, one.amount_fen, one.clause) for one in statement.income]
    sums += [(f"减：{one.label}", -one.amount_fen, one.clause) for one in statement.deductions]
    if statement.carried_in is not None:
        sums.append((f"加：{statement.carried_in.label}", statement.carried_in.amount_fen, ""))
    sums.append(("可分配", statement.distributable.amount_fen, ""))
    sums += [(f"其中：{one.label}", one.amount_fen, "") for one in statement.purses]
    rows = [
        [
            str(number),
            line.village_group,
            line.name,
            line.item,
            line.basis,
            yuan(line.amount_fen),
            line.payout_state,
        ]
        for number, line in enumerate(statement.lines, start=1)
    ]
    columns = (("序号", 0), ("组", 0), ("户主", 0), ("项目", 0), ("依据", 2), ("金额（元）", 1), ("发放", 0))
    data = _statement_data(columns, rows, head) | {
        "title": f"{statement.village_name}{statement.period_label}光伏收益分配",
        "notes": [
            f"分配方案：{statement.plan_title}（{statement.plan_source}）",
            f"第 {statement.run.version} 版　{statement.run.state_name}　制表：{statement.made_by}",
            *_further_notes(statement),
        ],
        "sums": [
            {"label": label, "amount": yuan(amount), "clause": clause} for label, amount, clause in sums
        ],
        "footer": f"指纹 {statement.fingerprint}　账簿第 {statement.head.seq} 号 {statement.head.hash[:8]}",
        "total": yuan(statement.total_fen),
        "uppercase": statement.total_uppercase,
    }
    return render_pdf(_FOLDER / "statement.typ", data)


def _further_notes(statement: VillageStatement) -> list[str]:
    notes = [
        f"另有{one.kind_name}第 {one.run.version} 版 {yuan(one.amount_fen)} 元（{one.run.state_name}）"
        for one in statement.further
    ]
    if statement.recoverable_fen:
        notes.append(f"本村目前待收回多发款 {yuan(statement.recoverable_fen)} 元")
    return notes


def household_pdf(statement: HouseholdStatement, head: Letterhead) -> bytes:
    """Return a household's sheet on A4 with the arithmetic of every amount."""
    return render_pdf(_FOLDER / "statement.typ", _household_data(statement, head))


def household_sheets_pdf(statements: Sequence[HouseholdStatement], head: Letterhead) -> bytes:
    """Return many households' sheets in one file, each beginning a page of its own."""
    sheets = [_household_data(one, head) for one in statements]
    return render_pdf(
        _FOLDER / "household_sheets.typ",
        {"sheets": sheets, "watermark": head.watermark, "fonts": list(head.fonts)},
    )


def _household_data(statement: HouseholdStatement, head: Letterhead) -> dict[str, object]:
    rows = [
        [line.period, line.item, "；".join(line.steps), yuan(line.amount_fen), line.payout_state]
        for line in statement.booked
    ]
    columns = (("月份", 0), ("项目", 0), ("怎样算出", 2), ("金额（元）", 1), ("发放", 0))
    return _statement_data(columns, rows, head) | {
        "title": f"{statement.village_name} {statement.household.name}户 {statement.period_label}光伏收益",
        "notes": list(household_notes(statement)),
        "sums": [],
        "footer": statement.village_name,
        "total": yuan(statement.total_fen),
        "uppercase": statement.total_uppercase,
    }


def _statement_data(
    columns: Sequence[tuple[str, int]], rows: list[list[str]], head: Letterhead
) -> dict[str, object]:
    return {
        "columns": [{"title": title, "money": kind == 1, "wide": kind == 2} for title, kind in columns],  # noqa: PLR2004, the two marks
        "rows": rows,
        "watermark": head.watermark,
        "fonts": list(head.fonts),
    }
