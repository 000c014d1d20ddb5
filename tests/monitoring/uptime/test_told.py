"""What one sample says, alone or among many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.uptime.told import TOLD_WORDS, Rows, Told, idle_power_w, told, told_of
from store.samples import DeviceState, Sample
from tests.monitoring.conftest import NOON

RATED = 50_000.0


def _sample(**values):
    return Sample("d", NOON, NOON, values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"active_power_w": 30_000.0}, Told.PRODUCING),
        ({"active_power_w": 250.0}, Told.IDLE),
        ({"active_power_w": 251.0}, Told.PRODUCING),
        ({"active_power_w": 0.0, "state": DeviceState.RUNNING}, Told.IDLE),
        ({"active_power_w": 0.0, "state": DeviceState.FAULT}, Told.FAULT),
        ({"active_power_w": 9_000.0, "state": DeviceState.FAULT}, Told.WARNING),
        ({"active_power_w": 9_000.0, "alarm_words_2": 4}, Told.WARNING),
        ({"active_power_w": 9_000.0, "alarm_words_1": -(2**63)}, Told.WARNING),
        ({"active_power_w": 9_000.0, "state": DeviceState.DERATED}, Told.DERATED),
        ({"active_power_w": 0.0, "state": DeviceState.GRID_FAULT}, Told.GRID_FAULT),
        ({"active_power_w": 0.0, "state": DeviceState.FAULT, "voltage_a_v": 0.0}, Told.GRID_DEAD),
        ({"active_power_w": 0.0, "voltage_a_v": 0.0, "voltage_b_v": 231.0}, Told.IDLE),
        ({"active_power_w": 9_000.0, "voltage_a_v": 0.0}, Told.PRODUCING),
        ({"active_power_w": 0.0, "state": DeviceState.STOPPED}, Told.STOPPED),
        ({"state": DeviceState.RUNNING}, Told.MUTE),
        ({"state": DeviceState.STANDBY}, Told.IDLE),
        ({"state": DeviceState.FAULT}, Told.FAULT),
        ({"frequency_hz": 50.0}, Told.MUTE),
    ],
)
def test_what_a_sample_says(values, expected):
    assert told_of(_sample(**values), RATED) is expected


samples = st.fixed_dictionaries(
    {},
    optional={
        "active_power_w": st.sampled_from([0.0, 100.0, 20_000.0]),
        "state": st.sampled_from([int(state) for state in DeviceState]),
        "voltage_a_v": st.sampled_from([0.0, 230.0]),
        "voltage_ab_v": st.sampled_from([0.0, 400.0]),
        "alarm_words_1": st.sampled_from([0, 4]),
    },
)


@given(st.lists(samples, min_size=1, max_size=20))
def test_many_samples_say_what_each_says_alone(listed):
    def column(name):
        return np.array([values.get(name, np.nan) for values in listed], float)

    rows = Rows(
        column("active_power_w"),
        column("state"),
        idle_power_w(RATED),
        [column("voltage_a_v"), column("voltage_ab_v")],
        column("alarm_words_1") > 0,
    )
    assert told(rows).tolist() == [int(told_of(_sample(**values), RATED)) for values in listed]


def test_every_code_has_words():
    assert set(TOLD_WORDS) == set(Told)
