"""What the demo's machines show survives the way over the registers of their family."""

from datetime import UTC, date, datetime, timedelta

import pytest

from api.demo.county import FULL, build_county
from collector.encode import encode
from collector.profile import decode, load_profile
from store.samples import DeviceState

COUNTY = build_county(20_260_101, FULL, date(2026, 11, 25))
PLANT = COUNTY.plant()
POLLED = [device for device in COUNTY.devices if device.transport == "modbus-tcp"]
NOON = datetime(2025, 11, 9, 4, 17, 33, tzinfo=UTC)


@pytest.mark.parametrize("profile_name", sorted({device.profile for device in POLLED}))
def test_counters_arrive_exactly_and_power_within_a_step(profile_name: str) -> None:
    profile = load_profile(profile_name)
    for device in [device for device in POLLED if device.profile == profile_name]:
        for at in (NOON, NOON + timedelta(hours=8, minutes=3)):
            shown = PLANT.values(device.id, at)
            if shown is None:
                continue
            got = decode(profile, encode(profile, shown, at=at)).values
            counter = "exported_energy_wh" if device.kind == "meter" else "generated_energy_wh"
            assert got[counter] == shown[counter], device.id
            assert got["active_power_w"] == pytest.approx(shown["active_power_w"], abs=110), device.id


def test_states_arrive_as_states() -> None:
    seen = set()
    for device in POLLED:
        shown = PLANT.values(device.id, NOON)
        if device.kind != "inverter" or device.profile in seen or shown is None:
            continue
        seen.add(device.profile)
        profile = load_profile(device.profile)
        for state in (DeviceState.FAULT, DeviceState.RUNNING, DeviceState.STANDBY):
            words = encode(profile, {**shown, "state": int(state)}, at=NOON)
            assert decode(profile, words).state == state, device.profile
    assert len(seen) == 4
