"""The published vector, the formulas, the words."""

from datetime import timedelta

import pytest

from monitoring.uptime.causes import Hours, added, availability, availability_sentence


def test_the_published_vector():
    hours = Hours(running=69, forced=4, grid=4, unknown=3, resolved=6)
    result = availability(hours)
    assert hours.use == 80
    assert 100 * result.equipment.value == pytest.approx(94.52, abs=0.005)
    assert 100 * result.equipment.low == pytest.approx(90.79, abs=0.005)
    assert 100 * result.equipment.high == pytest.approx(94.74, abs=0.005)
    assert 100 * result.all_causes.value == pytest.approx(89.61, abs=0.005)
    assert 100 * result.data == pytest.approx(88.75, abs=0.005)


def test_all_causes_counts_what_equipment_does_not():
    result = availability(Hours(running=8, planned=1, grid=1))
    assert result.equipment.value == 1.0
    assert result.all_causes.value == pytest.approx(0.8)


def test_without_data_there_is_no_availability():
    assert availability(Hours(unknown=5)).equipment.value is None
    assert availability(Hours(unknown=5)).data == 0.0
    assert availability(Hours(dark=24)).data is None


def test_the_figure_is_said_with_its_causes():
    words = availability_sentence(Hours(running=69 / 4, forced=1, grid=1, unknown=0.75, resolved=1.5))
    assert words == (
        "设备可用率 94.5 %（电网原因 1.0 台时，未知 0.8 台时，界限 90.8 %～94.7 %），数据完整率 88.8 %"
    )
    assert "没有数据" in availability_sentence(Hours(unknown=5))


def test_hours_can_be_weighted_and_added():
    total = added([Hours(running=2, forced=1).weighted(50), Hours(running=3).weighted(100)])
    assert (total.running, total.forced) == (400, 50)
    assert timedelta(hours=total.use) == timedelta(hours=450)
