"""Every page of the registry over the seeded county: Chinese, scoped, and its forms work to the end."""

import re

import pytest

from tests.dashboards.test_pages import NAMES_OF_THINGS, read


def addresses(county) -> list[str]:
    village, home = county.villages[0], county.households[0]
    station = county.stations[0]
    return [
        "/registry/import",
        "/registry/import?kind=members&done=taken",
        f"/books/{village}",
        f"/books/{village[:9]}000",
        f"/books/{village[:6]}000000",
        f"/books/{village}?year=2026&known=2026-10-01",
        f"/households/{home.id}/card",
        f"/households/{home.id}/card?known=2026-10-01",
        f"/households/{home.id}/changes",
        "/reviews",
        "/exchanges",
        "/account-changes",
        f"/account-changes/new?household={home.id}",
        f"/stations/{station.id}/archive",
        f"/stations/{station.id}/archive?known=2026-10-01",
    ]


def test_every_page_is_chinese_without_inline_code_and_its_links_lead_somewhere(county, browse):
    browser = browse("county")
    links: set[str] = set()
    for path in addresses(county):
        answer = browser.get(path)
        assert answer.status_code == 200, (path, answer.text[:300])
        reader = read(answer)
        assert reader.refused == [], path
        text = " ".join(NAMES_OF_THINGS.sub(" ", word) for word in reader.words)
        english = re.findall(r"[A-Za-z]{3,}", text)
        assert english == [], (path, english[:5])
        assert "None" not in text, path
        links |= set(reader.links)
    for link in sorted(links):
        assert browser.get(link).status_code == 200, link


@pytest.mark.parametrize("role", ["village", "township", "finance", "maintenance", "public"])
def test_only_who_keeps_the_registry_reaches_its_forms(county, browse, role):
    browser = browse(role)
    home = county.households[0]
    for path in ("/registry/import", f"/households/{home.id}/changes", "/exchanges", "/account-changes/new"):
        assert browser.get(path).status_code in {303, 403}, (role, path)
