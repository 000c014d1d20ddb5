"""Logs: structured lines on standard error, without personal data.

Owns the form of a log line; `store.redaction` keeps identity, card and telephone numbers out of it, and the
names of secrets are known here. Who did what is the audit trail's (`registry.audit`), not the log's.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from store.redaction import HIDDEN, redact

_SECRET_KEYS = re.compile(r"password|token|secret|authorization|cookie", re.IGNORECASE)
# Libraries that tell at a lower level what we tell ourselves, in our words and where a person looks.
_QUIET = {
    "apscheduler": logging.ERROR,
    "pymodbus": logging.CRITICAL,
    "amqtt": logging.CRITICAL,
    "transitions": logging.CRITICAL,
    "alembic": logging.WARNING,
    "httpx": logging.WARNING,
    "uvicorn.access": logging.WARNING,
}


def _redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if _SECRET_KEYS.search(key):
            event[key] = HIDDEN
        elif isinstance(value, str):
            event[key] = redact(value)
    return event


def configure_logs(level: str) -> None:
    """Send every log line of the program and its libraries to standard error, redacted."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _redact_event,
                structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(logging.getLevelName(level), least))
