"""One step of the watch on the small county, with the figures of its rules."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from monitoring.alarms.reads import Alarm, AlarmFilter, alarms
from monitoring.alarms.watch import QUIETLY, Manner, watch_present
from store.samples import DeviceState, Sample
from tests.monitoring.conftest import CLERK, NOON, County, bell

ALL = ("s1i1", "s1i2", "s2i1", "s2i2", "s3i1", "s3i2")


@dataclass
class Watcher:
    """Writes samples of every inverter and looks, minute by minute, as the service does."""

    county: County
    now: datetime = NOON
    manner: Manner = QUIETLY

    def write(self, silent=(), **wrong):
        """Write one sample of every inverter that is not silent; `wrong` are values by device."""
        samples = []
        for device_id in ALL:
            if device_id in silent:
                continue
            values = {
                "active_power_w": bell(self.now),
                "state": int(DeviceState.RUNNING),
                "voltage_a_v": 230.0,
                "frequency_hz": 50.0,
            }
            values.update(wrong.get(device_id, {}))
            samples.append(Sample(device_id, self.now, self.now, values))
        self.county.write(samples)

    def look(self):
        return watch_present(self.county.database, self.county.series, self.now, self.manner)

    def run(self, minutes, step=5, silent=(), **wrong):
        """Go on for some minutes in steps; returns everything that changed."""
        changes = []
        end = self.now + timedelta(minutes=minutes)
        while self.now < end:
            self.now += timedelta(minutes=step)
            self.write(silent, **wrong)
            changes += self.look()
        return changes

    def alarms(self, only: AlarmFilter | None = None) -> tuple[Alarm, ...]:
        with self.county.database.reading() as session:
            return alarms(session, CLERK, only or AlarmFilter(open_only=True))


FAULT = {"active_power_w": 0.0, "state": int(DeviceState.FAULT)}
IDLE = {"active_power_w": 0.0, "state": int(DeviceState.STANDBY)}
DEAD_GRID = {"active_power_w": 0.0, "state": int(DeviceState.STANDBY), "voltage_a_v": 0.0}


@pytest.fixture
def watcher(running: County) -> Watcher:
    return Watcher(running)
