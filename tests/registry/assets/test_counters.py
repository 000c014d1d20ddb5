"""Exchanges become the epochs of counters by themselves: by device, by area, with whole readings."""

from datetime import date, timedelta

from registry import stations
from registry.actors import Actor, Role
from registry.assets.counters import counter_epochs, energy_question
from registry.assets.replacements import Readings, exchange_device
from store.counters import CounterEpoch
from store.periods import Period, local_midnight
from tests.registry.conftest import CLERK, NOW, VILLAGES

ON = date(2026, 11, 1)
MORNING = local_midnight(ON)


def test_an_exchange_ends_one_counter_and_begins_another(filled_both):
    with filled_both.database.transaction() as session:
        new = stations.Device(
            "inv-new", "s1", "inverter", "新1号", "sungrow_sg_string", ON, rated_power_w=50_000
        )
        exchange_device(session, CLERK, "inv1", new, Readings("5403.25", "1.5", "质保更换", NOW))
        assert counter_epochs(session, CLERK, ["inv1", "inv-new", "nobody"]) == (
            CounterEpoch("inv1", MORNING + timedelta(days=1), 1_500, 5_403_250),
            CounterEpoch("inv-new", MORNING, 1_500),
        )
        assert [one.device_id for one in counter_epochs(session, CLERK, ["inv-new"])] == ["inv-new"]
        elsewhere = Actor("v", "村干部", Role.VILLAGE, VILLAGES[6])
        assert counter_epochs(session, elsewhere, ["inv1", "inv-new"]) == ()

        listed = [one for one in stations.devices(session, CLERK, "s1") if one.id == "inv-new"]
        question = energy_question(session, CLERK, (listed, [Period.parse("2026-11")]))
        assert (question.device_ids, question.rated_power_w) == (["inv-new"], {"inv-new": 50_000})
        assert [one.device_id for one in question.epochs] == ["inv-new"]
