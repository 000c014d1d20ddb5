"""The five books agree to the fen, level by level, and a page says what its Excel file says."""

import re
from datetime import UTC, datetime
from decimal import Decimal

from dashboards.filters import day
from distribution.books.figures import book
from distribution.statement.household import household_statement
from documents.reading import CellKind, read_sheets
from registry.actors import SYSTEM, Actor, Role

NOW = datetime(2026, 11, 25, 4, 30, tzinfo=UTC)
YEAR = "2026"


def reader(county) -> Actor:
    return Actor("u", "市级", Role.AUDITOR, county.villages[0][:4] + "0" * 8)


def test_cards_villages_townships_county_and_prefecture_add_up_to_the_same_fen(county):
    actor, first = reader(county), county.villages[0]
    with county.database.reading() as session:
        by_village = {}
        for village in county.villages:
            cards = [
                household_statement(session, SYSTEM, one.id, YEAR)
                for one in county.households
                if one.village_code == village
            ]
            found = book(session, actor, (village, YEAR), NOW)
            rows = {row.key: row.money for row in found.rows if row.number}
            for card in cards:
                shown = rows.get(card.household.id)
                assert (shown.households_fen if shown else 0) == card.total_fen
                assert (shown.paid_fen if shown else 0) == card.paid_fen
            assert sum(card.total_fen for card in cards) == found.total.households_fen
            assert sum(card.paid_fen for card in cards) == found.total.paid_fen
            assert found.difference_fen == 0
            by_village[village] = found
        townships = [
            book(session, actor, (code, YEAR), NOW)
            for code in sorted({v[:9] + "000" for v in county.villages})
        ]
        whole = book(session, actor, (first[:6] + "000000", YEAR), NOW)
        city = book(session, actor, (first[:4] + "00000000", YEAR), NOW)
    assert whole.total.households_fen > 0
    for name in ("households_fen", "collective_fen", "other_fen", "paid_fen", "total_fen"):
        sums = [
            sum(getattr(one.total, name) for one in books)
            for books in (by_village.values(), townships, [whole], [city])
        ]
        assert len(set(sums)) == 1, (name, sums)
    for upper in (*townships, whole, city):
        assert upper.difference_fen == 0
    people = [
        sum(getattr(one, name) for one in books)
        for name in ("households", "persons", "enrolled")
        for books in (by_village.values(), townships, [whole], [city])
    ]
    assert [people[place] for place in (0, 4, 8)] == [people[place] for place in (3, 7, 11)]
    assert whole.households == len([one for one in county.households if one.left_on is None])


def cells_of_page(text: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)
    found = []
    for row in rows:
        cells = re.findall(r'<td data-label="[^"]*"[^>]*>(.*?)</td>', row, re.DOTALL)
        if cells:
            found.append([re.sub(r"<[^>]+>", "", cell).strip() for cell in cells])
    return found


def exact(text: str) -> Decimal | str:
    plain = text.replace(",", "")
    return Decimal(plain) if re.fullmatch(r"-?\d{1,9}(\.\d+)?", plain) else plain


def test_a_page_of_a_book_holds_what_its_file_holds(county, browse):
    browser = browse("county")
    for code in (county.villages[0], county.villages[0][:9] + "000", county.villages[0][:6] + "000000"):
        page = cells_of_page(browser.get(f"/books/{code}?year={YEAR}").text)
        (sheet,) = read_sheets(browser.get(f"/books/{code}/xlsx?year={YEAR}").content, "book.xlsx")
        kept = [[cell.text for cell in row if cell.kind is not CellKind.EMPTY] for row in sheet.rows]
        kept = kept[next(place for place, row in enumerate(kept) if len(row) > 3) + 1 :]
        assert len(page) == len(kept) > 0
        for shown, row in zip(page, kept, strict=True):
            assert [exact(text) for text in shown if text not in {"", "—"}] == [exact(text) for text in row]


def test_a_card_and_its_file_hold_the_same_and_no_whole_number(county, browse):
    browser = browse("county")
    for home in county.households[:6]:
        text = browser.get(f"/households/{home.id}/card").text
        sheets = read_sheets(browser.get(f"/households/{home.id}/card/xlsx").content, "card.xlsx")
        words = {cell for row in cells_of_page(text) for cell in row}
        for sheet in sheets:
            header = next(place for place, row in enumerate(sheet.rows) if all(cell.text for cell in row))
            for row in sheet.rows[header + 1 :]:
                for cell in row:
                    if cell.kind is CellKind.TEXT:
                        assert cell.text in words, (sheet.name, cell.text)
                    if cell.kind is CellKind.DATE:
                        assert day(datetime.fromisoformat(cell.text).date()) in words
        everything = text + " ".join(c.text for s in sheets for r in s.rows for c in r)
        assert not re.search(r"(?<!\d)\d{17}[\dX](?!\d)", everything)
        assert "***" in everything


def test_a_book_outside_the_area_is_not_found(county, browse):
    own, other = county.villages[0], county.villages[1]
    browser = browse("village")
    assert browser.get(f"/books/{own}").status_code == 200
    assert browser.get("/books").status_code == 200
    for code in (other, other[:9] + "000", own[:6] + "000000", "x", "52"):
        assert browser.get(f"/books/{code}").status_code == 404, code
        assert browser.get(f"/books/{code}/xlsx").status_code == 404
    theirs = next(one for one in county.households if one.village_code == other)
    assert browser.get(f"/households/{theirs.id}/card").status_code == 404
    assert browser.get(f"/households/{theirs.id}/card/xlsx").status_code == 404
