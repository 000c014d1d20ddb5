"""Exchanges become the epochs of counters by themselves: by device, by area, with whole readings."""

from datetime import date, timedelta

import pytest

from registry import stations
from registry.actors import Actor, Role
from registry.assets.counters import counter_epochs, energy_question
from registry.assets.replacements import Readings, exchange_device, exchange_slot, replacements
from store.counters import CounterEpoch
from store.periods import Period, local_midnight
from store.problem import ProblemsError
from tests.registry.conftest import CLERK, NOW, VILLAGES

ON = date(2026, 11, 1)
MORNING = local_midnight(ON)


def test_an_exchange_ends_one_counter_and_begins_another(filled_both):
    with filled_both.database.transaction() as session:
        new = stations.Device(
            "inv-new", "s1", "inverter", "新1号", "sungrow_sg_string", ON, rated_power_w=50_000
        )
        exchange_device(session, CLERK, "inv1", new, Readings("5403.25", "1.5", "质保更换", NOW))
        assert counter_epochs(session, CLERK) == (
            CounterEpoch("inv1", MORNING + timedelta(days=1), 1_500, 5_403_250),
            CounterEpoch("inv-new", MORNING, 1_500),
        )
        elsewhere = Actor("v", "村干部", Role.VILLAGE, VILLAGES[6])
        assert counter_epochs(session, elsewhere) == ()

        listed = [one for one in stations.devices(session, CLERK, "s1") if one.id == "inv-new"]
        question = energy_question(session, CLERK, (listed, [Period.parse("2026-11")]))
        assert (question.device_ids, question.rated_power_w) == (["inv-new"], {"inv-new": 50_000})
        assert [one.device_id for one in question.epochs] == ["inv-new"]


def test_the_form_of_an_exchange_keeps_the_slot_and_gives_the_same_epochs(filled_both):
    with filled_both.database.transaction() as session:
        old = stations.device(session, CLERK, "inv1")
        readings = Readings("5403.25", "0", "换机单 9", NOW)
        for number, on, says in (
            (" ", ON, "没有写序列号"),
            ("SN-2", old.installed_on, "不晚于"),
        ):
            with pytest.raises(ProblemsError, match=says):
                exchange_slot(session, CLERK, "inv1", (number, on), readings)
        exchange_slot(session, CLERK, "inv1", (" SN-2 ", ON), readings)
        (kept,) = replacements(session, CLERK, "s1")
        new = stations.device(session, CLERK, kept.new_id)
        assert (new.serial, new.installed_on, new.replaces) == ("SN-2", ON, "inv1")
        assert (new.profile, new.host, new.unit_id, new.position) == (
            old.profile,
            old.host,
            old.unit_id,
            old.position,
        )
        assert stations.device(session, CLERK, "inv1").removed_on == ON
        epochs = counter_epochs(session, CLERK)
        assert {one.device_id for one in epochs} == {"inv1", kept.new_id}
        with pytest.raises(LookupError):
            exchange_slot(session, CLERK, "inv1", ("SN-3", ON), readings)
