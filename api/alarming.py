"""Alarms as the running service makes them: the watch with the vendors' texts, and the outbox behind it.

Owns the join of monitoring with the device profiles of the collector, and the three pulses. What is wrong is
decided in `monitoring.alarms`.
"""

from collections.abc import Mapping
from functools import cache

from api.notifications.channels import Channels
from api.notifications.delivery import tell
from api.scheduler import Pulse
from collector.profile.decoding import explain
from collector.profile.library import load_profile
from collector.profile.types import Profile
from dashboards.web import Services
from monitoring.alarms.conditions.momentary import VendorAlarm
from monitoring.alarms.watch import Manner, estimate_losses, watch_days, watch_present
from monitoring.notifications.outbox import queue
from store.problem import ProblemsError

ALARM_SECONDS, LOSS_SECONDS, NOTIFY_SECONDS = 60, 600, 30
_WORDS = ("alarm_words_1", "alarm_words_2")


@cache
def _profile(name: str) -> Profile | None:
    try:
        return load_profile(name)
    except ProblemsError:
        # A device whose profile is gone still stands still or runs; only its alarm words have no meaning.
        return None


def vendor_alarms(profile: str, values: Mapping[str, float | int]) -> tuple[VendorAlarm, ...]:
    """Return the alarms that a sample's alarm words mean under a profile; none where nothing is known."""
    known = _profile(profile)
    if known is None:
        return ()
    _state, shown = explain(known, None, {name: int(values.get(name, 0)) for name in _WORDS})
    return tuple(VendorAlarm(one.code, one.severity == "major", one.chinese) for one in shown)


MANNER = Manner(explain=vendor_alarms, tell=queue)
"""As the service watches: with the vendors' texts, telling whoever subscribed."""


def watch_once(services: Services) -> str:
    """Look at the present once; returns what changed in words."""
    changes = watch_present(services.database, services.series, services.clock(), MANNER)
    return f"{len(changes)} 处告警变化"


def watch_days_once(services: Services) -> str:
    """Look at the closed days once; returns what changed in words."""
    changes = watch_days(services.database, services.series, services.clock(), MANNER)
    return f"{len(changes)} 处按日告警变化"


def alarm_pulses(services: Services, channels: Channels) -> tuple[Pulse, ...]:
    """Return what is done by itself all the time: look, estimate the losses, tell people."""

    def losses() -> str:
        count = estimate_losses(services.database, services.series, services.clock())
        return f"{count} 条告警的损失更新"

    def notify() -> str:
        done = tell(services, channels)
        return f"{done.composed} 条通知成文，{done.sent} 条送出，{done.failed} 条没有送出"

    return (
        Pulse("alarms", ALARM_SECONDS, lambda: watch_once(services)),
        Pulse("alarm-losses", LOSS_SECONDS, losses),
        Pulse("notifications", NOTIFY_SECONDS, notify),
    )
