"""The demo's registry at work: station files, a review under way, points, a comparison, a changed account.

Owns what the played office has recorded beyond the first registration, so that every page of the registry
has something to show. Each step is left out where it was done before.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.demo.county import County
from api.demo.names import BANK, COMPANY, PAYEE
from api.demo.office import Office
from api.demo.people import Family, id_number
from documents.writing import Column, SheetContent, write_xlsx
from registry.account_changes import WantedAccount, request_change
from registry.assets.fields import fitted
from registry.assets.tables import ArchiveEntryRow
from registry.households import Disclosure
from registry.roll.exchange import DepartmentList, compare
from registry.roll.measures import Measure, record_measure
from registry.roll.reviews import (
    NewFinding,
    Review,
    keep_the_rest,
    open_review,
    record_finding,
    review_items,
    sign_village,
)
from registry.roll.tables import ReviewRow
from registry.secrets import KeyRing, open_key_ring
from registry.stations import Station
from store.db import new_id
from store.periods import Period, local_date, local_midnight

_POINTED_VILLAGES = 2
_NAME_SLIP = 3


def keep_roll(office: Office, now: datetime) -> None:
    """Record what the office has done with the roll until `now`; repeating it changes nothing."""
    ring = open_key_ring(office.data_dir)
    with office.database.transaction() as session:
        if session.scalar(select(ArchiveEntryRow.id).limit(1)) is None:
            for station in office.county.stations:
                _file(session, office, station)
        if session.scalar(select(ReviewRow.id).limit(1)) is not None:
            return
        begun = now - timedelta(days=20)
        _points(session, office, begun)
        _review(session, office, begun)
        _account_change(session, office, ring, now - timedelta(days=1))
        _comparison(session, office, ring, now - timedelta(days=2))


def _file(session: Session, office: Office, station: Station) -> None:
    now = local_midnight(office.county.story.epoch)
    connected = station.grid_connected_on or date(2018, 6, 30)
    kilowatts = station.rated_power_w // 1000
    values: Mapping[str, str] = {
        "module_count": str(kilowatts * 3),
        "module_power": "340",
        "install_site": "地面",
        "started_on": (connected - timedelta(days=120)).isoformat(),
        "accepted_on": (connected + timedelta(days=30)).isoformat(),
        "connected_on": connected.isoformat(),
        "vested_on": (connected + timedelta(days=90)).isoformat(),
        "investment": str(kilowatts * 6500),
        "fund_source": "财政专项扶贫资金",
        "ownership": "村集体",
        "subsidy_status": "国家目录",
        "subsidy_batch": station.subsidy_list_status or "第一批",
        "tariff_zone": station.tariff_zone or "III",
        "on_grid_mode": "全额上网",
        "transfer_agency": PAYEE,
        "payee": PAYEE,
        "maintenance_contractor": COMPANY,
        "maintenance_contract": "运维 2025-01",
        "maintenance_from": "2025-01-01",
        "maintenance_until": "2029-12-31",
        "insured_type": "财产一切险",
    }
    session.add_all(
        ArchiveEntryRow(
            id=new_id("archive"),
            station_id=station.id,
            field=field,
            value=fitted(field, value),
            document="电站建档表",
            valid_from=connected,
            valid_to=None,
            recorded_at=now,
            recorded_by="demo_clerk",
        )
        for field, value in values.items()
    )


def _points(session: Session, office: Office, now: datetime) -> None:
    month = str(Period.month_of(local_date(now)).previous())
    for village in office.county.village_codes[:_POINTED_VILLAGES]:
        for place, family in enumerate(office.people.of_village(village)):
            value = Decimal(6 + place * 7 % 15)
            record = Measure(family.household.id, village, "points", month, value, "积分评议表")
            record_measure(session, office.actor("demo_clerk"), record, now)


def _review(session: Session, office: Office, now: datetime) -> None:
    county: County = office.county
    today = local_date(now)
    clerk = office.actor("demo_clerk")
    title = f"云泽县{today.year}年年度核查"
    review = Review(
        new_id("review"),
        "yearly",
        str(today.year),
        county.code,
        title,
        f"云帮扶〔{today.year}〕12号",
        today,
        today + timedelta(days=30),
    )
    open_review(session, clerk, review, now)
    for place, village in enumerate(county.village_codes[:3]):
        cadre = office.village_actor(village)
        found = now + timedelta(days=3 + place)
        for item in review_items(session, clerk, review.id, village)[:4]:
            record_finding(session, cadre, NewFinding(review.id, item.household_id, "keep"), found)
        enrolled = [one for one in review_items(session, clerk, review.id, village) if one.enrolments]
        part = enrolled[place % len(enrolled)].enrolments[0]
        changed = NewFinding(
            review.id,
            enrolled[place % len(enrolled)].household_id,
            "change",
            part.component,
            (part.weight or 1) + 1,
            date(today.year + 1, 1, 1),
            "村民代表会议记录",
            "家庭人口增加",
        )
        record_finding(session, cadre, changed, found + timedelta(minutes=5))
        if place == 0:
            keep_the_rest(session, cadre, (review.id, village), "", found + timedelta(minutes=9))
            minutes = f"村民代表会议记录 {local_date(found)}"
            sign_village(session, cadre, (review.id, village), minutes, found + timedelta(hours=1))


def _account_change(session: Session, office: Office, ring: KeyRing, now: datetime) -> None:
    family = office.people.enrolled_in(office.county.village_codes[0], 1)
    home = family.household
    wanted = WantedAccount(home.id, home.name, BANK, "6299990000000000018")
    why = Disclosure("原卡遗失，本人申请", now)
    request_change(session, office.actor("demo_clerk"), ring, wanted, why)


def _comparison(session: Session, office: Office, ring: KeyRing, now: datetime) -> None:
    village = office.county.village_codes[0]
    families = office.people.of_village(village)
    listed = [one for one in families if any(part.class_name == "低保" for part in one.classes)]
    fresh = [one for one in families if one not in listed][:2]
    rows = [_line(one, place) for place, one in enumerate([*listed[1:], *fresh])]
    rows.append(("赵不在", id_number(date(1950, 1, 1), 123), "2026-07-01"))
    columns = (Column("姓名"), Column("身份证号"), Column("起始日期"))
    content = write_xlsx([SheetContent("低保", "低保对象名单", columns, rows)])
    source = DepartmentList("dibao", "云泽县民政局", local_date(now), "低保对象名单.xlsx", content)
    compare(session, office.actor("demo_clerk"), ring, source, now)


def _line(family: Family, place: int) -> tuple[str, str, str]:
    head = family.members[0]
    name = f"{head.name[:-1]}某" if place == _NAME_SLIP else head.name
    return name, head.id_number, "2026-07-01"
