"""The books over the API: the same sums as the pages, inside the area only, without names."""

from registry.households import households


def test_the_books_of_all_levels_agree_and_carry_no_name(county):
    program = county["county"]
    villages = [program.json(f"/api/v1/books/{code}?year=2026") for code in county.villages]
    whole = program.json(f"/api/v1/books/{county.villages[0][:6]}000000?year=2026")
    assert whole["total"]["total_fen"] == sum(one["total"]["total_fen"] for one in villages) > 0
    assert whole["difference_fen"] == 0
    with county.database.reading() as session:
        names = {one.name for one in households(session, county.actors["county"])}
    assert not any(name in str(villages) for name in names)


def test_a_book_outside_the_area_or_without_the_right_is_refused(county):
    own, other = county.villages[0], county.villages[1]
    assert county["village"].get(f"/api/v1/books/{own}?year=2026").status_code == 200
    assert county["village"].get(f"/api/v1/books/{other}?year=2026").status_code == 404
    assert county["maintenance"].get(f"/api/v1/books/{own}?year=2026").status_code == 403
    assert county["public"].get(f"/api/v1/books/{own}?year=2026").status_code == 401
    assert county["county"].get("/api/v1/books/12?year=2026").status_code == 422
