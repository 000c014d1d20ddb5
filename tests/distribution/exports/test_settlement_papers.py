"""Random months of settlement: page, Excel, CSV and PDF show the same figures, and they are the right ones.

What is expected is added up here from the random figures themselves, by no code of the product.
"""

import csv
import hashlib
import io
import os
import random
import re
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pypdf
import pytest

from dashboards.web import _ENVIRONMENT
from distribution.exports.papers import paper_csv, paper_pdf, paper_xlsx, sealed
from distribution.exports.settlement_sheets import (
    VillageEntry,
    account_paper,
    ageing_paper,
    bank_paper,
    county_paper,
    national_paper,
    subsidy_paper,
    transit_paper,
)
from distribution.settlement.bank.reads import BankLine
from distribution.settlement.receivables.owed import OwedItem
from distribution.settlement.receivables.transit import HeldMoney
from distribution.types import Component, Settlement, SettlementLine
from documents.reading import read_sheets
from registry.stations import Station

SOAK = bool(os.environ.get("SUNLEDGER_SOAK"))
MONTHS = 10_000 if SOAK else 100
SEED = 20261125
NAMES = ["石坝村电站", "=上坪村1号站", "联村电站（二期）", "+下坪", "大河 站", "@云山"]
KINDS = (Component.ELECTRICITY, Component.SUBSIDY, Component.LOCAL_SUBSIDY)
PAGE = _ENVIRONMENT.from_string("{% import 'parts.html' as parts %}{{ parts.sheet(sheet) }}")


def yuan(fen):
    return Decimal(fen) / 100


def kwh(wh):
    return Decimal(f"{wh / 1000:.3f}".rstrip("0").rstrip(".")) if wh else Decimal(0)


class Month:
    """A random month: stations with bills in one or two lines, what arrived of them, and what was lost."""

    def __init__(self, seed):
        self.dice = dice = random.Random(seed)
        year, number = dice.randint(2016, 2026), dice.randint(1, 12)
        self.month = f"{year}-{number:02d}"
        self.on = date(year, number, 28) + timedelta(days=dice.randint(0, 1500))
        self.bills, self.owed, self.places = [], [], []
        for index in range(dice.randint(1, 6)):
            self._station(index)

    def fen(self, most=10**9):
        return self.dice.choice([0, 1, 99, 100, self.dice.randint(0, 10**4), self.dice.randint(0, most)])

    def _station(self, index):
        dice = self.dice
        name, account = dice.choice(NAMES) + str(index), f"{dice.randint(0, 10**13):013d}"
        self.places.append(
            Station(f"s{index}", name, "village", "520499101201", dice.randint(1, 10**7), 26.0, 106.0,
                    account_number=account, subsidy_list_status=dice.choice(["", "国家目录第一批"]))
        )  # fmt: skip
        lines = tuple(
            SettlementLine(account, f"M{index}", dice.choice([1, 40, 100]), Decimal(dice.randint(0, 10**6)),
                           Decimal(dice.randint(0, 10**6)) / 100, dice.randint(0, 10**11), Decimal("0.3844"),
                           self.fen(), Decimal("0.4656"), self.fen(), self.fen(10**6), self.fen(10**5),
                           dice.choice([0, -self.fen(10**5), self.fen(10**5)]), dice.choice(["", "峰", "谷"]))
            for _ in range(dice.randint(1, 2))
        )  # fmt: skip
        sums = [
            sum(one.electricity_fen + one.adjustment_fen - one.tax_fen for one in lines),
            sum(one.subsidy_fen for one in lines),
            sum(one.local_subsidy_fen for one in lines),
        ]
        energy = sum(one.exported_energy_wh for one in lines)
        self.bills.append(Settlement(f"b{index}", f"s{index}", self.month, 1, lines, *sums, energy, ""))
        for kind, whole in zip(KINDS, sums, strict=True):
            lost = dice.choice([0, 0, min(3, max(whole, 0))])
            came = dice.choice([0, max(whole, 0) - lost, dice.randint(0, max(whole - lost, 0))])
            status = self.places[-1].subsidy_list_status
            self.owed.append(
                OwedItem(f"s{index}", name, account, status, self.month, kind, f"b{index}", whole, came, lost)
            )

    def of(self, index, kind):
        return next(one for one in self.owed if (one.station_id, one.component) == (f"s{index}", kind))


def open_fen(one):
    return one.owed_fen - one.received_fen - one.written_off_fen


def county(month):
    rows = []
    for index, bill in enumerate(month.bills):
        power, extra, local = (month.of(index, kind) for kind in KINDS)
        owed = [power.owed_fen, extra.owed_fen, local.owed_fen]
        rest = [power.received_fen, extra.received_fen + local.received_fen]
        rest += [sum(one.written_off_fen for one in (power, extra, local)), open_fen(power)]
        rest += [open_fen(extra) + open_fen(local)]
        rows.append([kwh(bill.exported_energy_wh), *(yuan(one) for one in [*owed, sum(owed), *rest])])
    return county_paper(month.month, month.bills, month.owed), rows


def account(month):
    bill, owed = month.bills[0], [one for one in month.owed if one.station_id == "s0"]
    rows = []
    for line in bill.lines:
        tail = [line.subsidy_fen, line.local_subsidy_fen, line.tax_fen, line.adjustment_fen]
        whole = line.electricity_fen + line.subsidy_fen + line.local_subsidy_fen
        whole += line.adjustment_fen - line.tax_fen
        energy, fee = kwh(line.exported_energy_wh), yuan(line.electricity_fen)
        rows.append([energy, fee, *(yuan(one) for one in [*tail, whole])])
    return account_paper(month.places[0], [bill], owed), rows


def ageing(month):
    ends = [0, 30, 90, 180, 365, 730, 1095]
    year, number = int(month.month[:4]), int(month.month[5:])
    last = date(year + number // 12, number % 12 + 1, 1) - timedelta(days=1)
    days = max(0, (month.on - last).days)
    place = next((at for at, most in enumerate(ends[1:]) if days <= most), 6)
    rows = []
    for one in month.owed:
        if open_fen(one):
            ages = [0] * 7
            ages[place] = open_fen(one)
            rows.append([yuan(amount) for amount in [*ages, open_fen(one)]])
    return ageing_paper(month.on, month.owed), rows


def subsidy(month):
    wanted = [one for one in month.owed if one.component is not Component.ELECTRICITY and open_fen(one)]
    energy = {(bill.station_id, bill.month): bill.exported_energy_wh for bill in month.bills}
    rows = [
        [
            kwh(energy[(one.station_id, one.month)]),
            yuan(one.owed_fen),
            yuan(one.received_fen),
            yuan(open_fen(one)),
        ]
        for one in wanted
    ]
    places = {one.id: one for one in month.places}
    return subsidy_paper(month.month, month.owed, places, energy), rows


def national(month):
    figures = [[month.fen() for _ in range(9)] for _ in month.places]
    entries = [VillageEntry(f"52049910120{at}", f"村{at}", *row) for at, row in enumerate(figures)]
    return national_paper(month.month, entries), [[kwh(row[0]), *map(yuan, row[1:])] for row in figures]


def bank(month):
    lines, rows = [], []
    for at in range(len(month.places)):
        whole = month.fen() + 1
        part = month.dice.randint(0, whole)
        state = "matched" if part == whole else "partly" if part else "open"
        said = ("=付款人", f"BK{at:020d}", "+备注", "", "")
        lines.append(BankLine(f"l{at}", "520499000000", month.on, whole, *said, part, 0, state))
        rows.append([yuan(whole), yuan(part), yuan(0), yuan(whole - part)])
    return bank_paper(month.month, lines), rows


def transit(month):
    held, rows = [], []
    for at in range(len(month.places)):
        came = month.fen()
        went = month.dice.randint(0, came)
        there = month.dice.randint(0, went)
        held.append(HeldMoney(f"52049910120{at}", came, went, there, month.on, 3, 30, 0))
        rows.append([yuan(one) for one in (came, went, came - went, went - there, there)])
    return transit_paper(month.on, held, {}), rows


MAKERS = (county, account, ageing, subsidy, national, bank, transit)


def summed(content):
    """Return the places of the columns that are added up: money and energy."""
    columns = enumerate(content.sheet.columns)
    return [at for at, column in columns if column.kind == "money" or "电量" in column.title]


def plain(text):
    return Decimal(text.replace(",", ""))


def of_page(content, places):
    html = PAGE.render(sheet=content.sheet)
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)[1:]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[plain(re.sub("<[^>]*>", "", row[at])) for at in places] for row in cells]


def of_csv(made, places):
    content = paper_csv(made)
    assert content.startswith(b"\xef\xbb\xbf")
    figures, _, tail = content.rstrip(b"\r\n").rpartition(b"\r\n")
    assert hashlib.sha256(figures + b"\r\n").hexdigest() == made.fingerprint
    assert tail.decode().endswith(made.fingerprint)
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))[1:-1]
    return [[Decimal(row[at]) for at in places] for row in rows]


def of_xlsx(made, places):
    content = paper_xlsx(made)
    [sheet] = read_sheets(content, "表.xlsx")
    texts = [[cell.text for cell in row] for row in sheet.rows]
    header = next(at for at, row in enumerate(texts) if row[0] == made.sheet.columns[0].title)
    assert any(made.fingerprint in cell for row in texts[:header] for cell in row)
    return [[Decimal(row[at]) for at in places] for row in texts[header + 1 :]]


def figures_of_pdf(made):
    pages = pypdf.PdfReader(io.BytesIO(paper_pdf(made))).pages
    text = "\n".join(page.extract_text() for page in pages)
    assert made.fingerprint in re.sub(r"\s", "", text)
    body = text.split("控制合计")[0]
    energies = Counter(re.findall(r"(?<![\d.,])\d+(?:\.\d{1,3})?(?![\d.,])", body))
    return energies + Counter(re.findall(r"(?<![\d.,])-?\d{1,3}(?:,\d{3})*\.\d{2}(?!\d)", body))


def check(seed):
    month = Month(seed)
    content, rows = MAKERS[seed % len(MAKERS)](month)
    made = sealed(content, "表")
    if not rows:
        assert content.sheet.rows == []
        return
    places = summed(content)
    total = [sum(column) for column in zip(*rows, strict=True)]
    for shown in (of_page(content, places), of_csv(made, places), of_xlsx(made, places)):
        assert sorted(shown[:-1]) == sorted(rows)
        assert shown[-1] == total
    columns = [content.sheet.columns[at] for at in places]
    wanted = Counter(
        f"{figure:,.2f}" if column.kind == "money" else str(figure)
        for row in [*rows, total]
        for figure, column in zip(row, columns, strict=True)
    )
    found = figures_of_pdf(made)
    assert not wanted - found, (wanted - found, seed)


@pytest.mark.soak
@pytest.mark.parametrize("share", range(10))
def test_random_months_are_the_same_on_page_excel_csv_and_pdf(share):
    count = MONTHS // 10
    print(f"\nseeds {SEED + share * count} to {SEED + (share + 1) * count - 1}: {count} months")
    for seed in range(SEED + share * count, SEED + (share + 1) * count):
        check(seed)


def test_no_cell_of_a_paper_is_a_formula_and_control_totals_agree():
    month = Month(SEED)
    content, _rows = bank(month)
    made = sealed(content, "表")
    [sheet] = read_sheets(paper_xlsx(made), "表.xlsx")
    assert any(cell.text == "=付款人" for row in sheet.rows for cell in row)
    assert "'=付款人" in paper_csv(made).decode("utf-8-sig")
    whole = sum(row[4] for row in content.sheet.rows)
    assert f"到账 {yuan(whole):,.2f} 元" in made.control_text
