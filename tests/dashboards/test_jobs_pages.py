"""Long work on pages: queued once, told how far it is, carried on after a restart, its file handed out."""

import io
from datetime import timedelta

import pypdf
import pytest

from api.tasks import handlers
from dashboards.pages.deciding import work
from registry.actors import SYSTEM
from registry.households import households
from store.jobs import claim, find, run_next
from store.jobs import progress as note

MONTH = "2026-10"


def work_off(county):
    while run_next(county.database, "worker", county.services.clock, handlers(county.services)):
        pass


def ask_for_sheets(browser, village):
    page = f"/villages/{village}/statements/{MONTH}"
    return browser.post(f"/villages/{village}/household-sheets", page, period=MONTH).headers["location"]


@pytest.fixture(autouse=True)
def later(county):
    """Each test in a minute of its own, as the keys of jobs are."""
    county.clock[0] += timedelta(minutes=5)


def test_the_sheets_of_a_village_are_made_once_and_handed_out(county, browse):
    village, browser = county.villages[0], browse("village")
    address = ask_for_sheets(browser, village)
    assert ask_for_sheets(browser, village) == address
    waiting = browser.get(address).text
    assert "排队中" in waiting
    assert 'http-equiv="refresh" content="3"' in waiting
    assert "可以关闭本页" in waiting
    work_off(county)
    done = browser.get(address).text
    assert "已完成" in done
    assert "refresh" not in done
    answer = browser.get(f"{address}/file")
    with county.database.reading() as session:
        people = households(session, SYSTEM, village)
    reader = pypdf.PdfReader(io.BytesIO(answer.content))
    assert len(reader.pages) >= len(people) > 0
    text = "".join(page.extract_text() for page in reader.pages).replace("\n", "")
    assert all(one.name in text for one in people)
    assert "明白单" in browser.get("/jobs").text
    assert browse("second").get(address).status_code == 404
    assert browse("second").get(f"{address}/file").status_code == 404
    assert browse("county").get(address).status_code == 200


def test_a_county_is_closed_as_a_job_that_tells_how_far_it_is(county, browse, monkeypatch):
    monkeypatch.setattr(work, "AT_ONCE", 1)
    browser = browse("county")
    answer = browser.post(f"/work/{MONTH}/close", "/work")
    address = answer.headers["location"]
    assert address.startswith("/jobs/close-")
    work_off(county)
    with county.database.reading() as session:
        job = find(session, address.rpartition("/")[2])
    assert (job.done, job.total) == (len(county.villages), len(county.villages))
    assert f"{len(county.villages)} 个村" in browser.get(address).text


def test_a_job_that_a_restart_cut_off_is_carried_on_and_says_so(county, browse):
    village, browser = county.villages[1], browse("county")
    address = ask_for_sheets(browser, village)
    with county.database.transaction() as session:
        job = claim(session, "worker that dies", county.clock[0])
        note(session, job, (132, 486), county.clock[0])
    county.clock[0] += timedelta(seconds=60)
    shown = browser.get(address).text
    assert "132 / 486" in shown
    assert "约剩 161 秒" in shown
    county.clock[0] += timedelta(minutes=3)
    work_off(county)
    shown = browser.get(address).text
    assert "已完成" in shown
    assert "中断过 1 次" in shown


def test_what_cannot_be_done_says_why(county, browse, monkeypatch):
    village, browser = county.villages[0], browse("county")
    address = ask_for_sheets(browser, village)
    monkeypatch.setattr("api.tasks.household_statements", lambda *_: ())
    work_off(county)
    shown = browser.get(address).text
    assert "没有完成" in shown
    assert "没有农户" in shown
    assert browser.get(f"{address}/file").status_code == 404
