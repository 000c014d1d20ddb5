"""One turn of telling people: compose what is due, claim messages, send them, note what became of them.

Owns the order: a message is claimed in one transaction, sent outside of any, and settled in another. Who
dies in between leaves it to be sent again under the same id.
"""

from dataclasses import dataclass
from typing import Protocol

import structlog

from api.notifications.errors import SendError
from api.notifications.worth import alarms_worth
from dashboards.web import Services
from monitoring.notifications.outbox import Message, claim, compose, failed, put_off, sent
from monitoring.notifications.policy import WAITS
from store.db import Database
from store.periods import Clock

logger = structlog.get_logger(__name__)


class Sender(Protocol):
    """What can send a message over its channel, and tell which server that needs."""

    def send(self, message: Message) -> None:
        """Send one message; raises SendError."""

    def server_of(self, message: Message) -> str:
        """Return which server a message needs."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a turn did: messages composed, sent, not sent."""

    composed: int
    sent: int
    failed: int


def deliver(database: Database, clock: Clock, sender: Sender) -> tuple[int, int]:
    """Send every message that is due; returns how many were sent, and how many were not.

    A server that does not answer is left alone for the rest of the turn.
    """
    with database.transaction() as session:
        messages = claim(session, clock())
    done, wrong = 0, 0
    silent: set[str] = set()
    for message in messages:
        server = sender.server_of(message)
        if server in silent:
            with database.transaction() as session:
                put_off(session, message, clock() + WAITS[0])
            continue
        try:
            sender.send(message)
        except SendError as error:
            wrong += 1
            silent |= {server} if error.unreachable else set()
            logger.warning("message not sent", message=message.id, why=str(error), attempt=message.attempts)
            with database.transaction() as session:
                failed(session, message, str(error), clock())
            continue
        with database.transaction() as session:
            sent(session, message, clock())
        done += 1
    return done, wrong


def tell(services: Services, sender: Sender) -> Delivered:
    """Compose what is due and send what is composed."""
    with services.database.transaction() as session:
        composed = compose(session, alarms_worth, services.site_name, services.clock())
    done, wrong = deliver(services.database, services.clock, sender)
    return Delivered(composed, done, wrong)
