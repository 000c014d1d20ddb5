"""Today's energy: what is not known is not zero."""

from datetime import timedelta

from monitoring.energy import refresh_daily_energy
from monitoring.overview import county_overview
from monitoring.snapshot import station_view

from .conftest import CLERK, NOON, readings


def test_a_station_that_was_silent_all_day_has_no_energy_of_today(county) -> None:
    for device_id in ("s1i1", "s1i2", "s2i1", "s2i2"):
        county.write(readings(device_id, NOON - timedelta(days=2), NOON))
    for device_id in ("s3i1", "s3i2"):
        county.write(readings(device_id, NOON - timedelta(days=2), NOON - timedelta(hours=26)))
    with county.database.transaction() as session:
        refresh_daily_energy(session, county.series, NOON)
    with county.database.reading() as session:
        silent = station_view(session, county.series, CLERK, "s3", NOON)
        overview = county_overview(session, county.series, CLERK, NOON)
    assert silent is not None
    assert silent.today_wh is None
    heard = [one for one in overview.stations if one.station_id != "s3"]
    assert overview.today_wh == sum(one.today_wh for one in heard)
    assert overview.yesterday_same_time_wh == sum(one.yesterday_same_time_wh for one in heard)
