"""Any order of hands: a work order always is what its log says, and rights hold."""

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from api.schema import all_tables
from monitoring.work_orders.orders import Entry, WorkOrderError, act
from monitoring.work_orders.reads import log_of, punctuality, work_order, work_orders
from monitoring.work_orders.states import ENDED, Action, OrderState
from registry.actors import NotPermittedError
from store.db import Base, open_database
from tests.monitoring.work_orders.conftest import (
    CADRE,
    CLERK,
    LEADER,
    NOW,
    OFFICER,
    STRANGER,
    WORKER,
    Orders,
    register,
)

PEOPLE = (OFFICER, LEADER, CLERK, WORKER, STRANGER, CADRE)
MAY = {
    Action.ACCEPT: {OFFICER, LEADER, WORKER},
    Action.NOTE: {OFFICER, LEADER, WORKER},
    Action.FINISH: {OFFICER, LEADER, WORKER},
    Action.EXTEND: {OFFICER, LEADER},
    Action.SEND_BACK: {OFFICER, LEADER},
    Action.CLOSE: {OFFICER, LEADER},
    Action.CANCEL: {OFFICER, LEADER},
}
LEADS = {
    OrderState.DISPATCHED: {
        Action.ACCEPT: OrderState.ACCEPTED,
        Action.FINISH: OrderState.DONE,
        Action.CANCEL: OrderState.CANCELLED,
    },
    OrderState.ACCEPTED: {Action.FINISH: OrderState.DONE, Action.CANCEL: OrderState.CANCELLED},
    OrderState.SENT_BACK: {
        Action.ACCEPT: OrderState.ACCEPTED,
        Action.FINISH: OrderState.DONE,
        Action.CANCEL: OrderState.CANCELLED,
    },
    OrderState.DONE: {Action.SEND_BACK: OrderState.SENT_BACK, Action.CLOSE: OrderState.CLOSED},
}
STAYS = {Action.NOTE, Action.EXTEND}


class Life(RuleBasedStateMachine):
    """Two orders in the hands of six people; the model is written apart from the code."""

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        all_tables()
        self.database = open_database(f"sqlite:///{Path(self.folder.name) / 'life.sqlite3'}")
        Base.metadata.create_all(self.database.engine)
        register(self.database)
        made = Orders(self.database)
        self.orders = [made.open(), made.open(title="另一张")]
        self.state = dict.fromkeys(self.orders, OrderState.DISPATCHED)
        self.due = dict.fromkeys(self.orders, NOW + timedelta(hours=72))
        self.done = dict.fromkeys(self.orders)
        self.finishers = {one: set() for one in self.orders}
        self.entries = dict.fromkeys(self.orders, 1)
        self.now = NOW

    @rule(
        place=st.integers(0, 1),
        who=st.sampled_from(PEOPLE),
        action=st.sampled_from(sorted(MAY)),
        hours=st.integers(1, 40),
        worded=st.booleans(),
    )
    def hand(self, place, who, action, hours, worded):
        order_id = self.orders[place]
        self.now += timedelta(hours=hours)
        new_due = self.due[order_id] + timedelta(hours=24)
        entry = Entry(
            action, "情况说明" if worded else "", due_at=new_due if action is Action.EXTEND else None
        )
        try:
            with self.database.transaction() as session:
                act(session, who, order_id, entry, self.now)
        except (WorkOrderError, NotPermittedError, LookupError):
            assert not self.allowed(order_id, who, action, worded, new_due)
            return
        assert self.allowed(order_id, who, action, worded, new_due)
        self.note(order_id, who, action, new_due)

    def allowed(self, order_id, who, action, worded, new_due):
        state = self.state[order_id]
        if who not in MAY[action] or state in ENDED:
            return False
        fits = state is not OrderState.DONE if action in STAYS else action in LEADS[state]
        if action is Action.EXTEND and new_due <= self.now:
            return False
        if action is Action.CLOSE and who.user_id in self.finishers[order_id]:
            return False
        return fits and (worded or action in {Action.ACCEPT, Action.CLOSE})

    def note(self, order_id, who, action, new_due):
        self.entries[order_id] += 1
        if action not in STAYS:
            self.state[order_id] = LEADS[self.state[order_id]][action]
        if action is Action.EXTEND:
            self.due[order_id] = new_due
        if action is Action.FINISH:
            self.done[order_id] = self.now
            self.finishers[order_id].add(who.user_id)
        if action is Action.SEND_BACK:
            self.done[order_id] = None

    @invariant()
    def is_what_its_log_says(self):
        with self.database.reading() as session:
            for order_id in self.orders:
                found, log = work_order(session, OFFICER, order_id), log_of(session, OFFICER, order_id)
                assert (found.state, found.due_at) == (self.state[order_id], self.due[order_id])
                assert found.done_at == self.done[order_id]
                assert [one.seq for one in log] == list(range(1, self.entries[order_id] + 1))
                assert log[-1].state == found.state
                closers = {one.by_id for one in log if one.action is Action.CLOSE}
                assert not closers & {one.by_id for one in log if one.action is Action.FINISH}
            result = punctuality(work_orders(session, OFFICER), self.now)
            expected = [self.counted(one) for one in self.orders]
            assert result.due == sum(verdict is not None for verdict in expected)
            assert result.in_time == sum(verdict is True for verdict in expected)

    def counted(self, order_id):
        if self.state[order_id] is OrderState.CANCELLED:
            return None
        if self.done[order_id] is not None:
            return self.done[order_id] <= self.due[order_id]
        return False if self.now > self.due[order_id] else None

    def teardown(self):
        if hasattr(self, "database"):
            self.database.close()
            self.folder.cleanup()


Life.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
TestLife = Life.TestCase
