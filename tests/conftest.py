"""Fixtures that more than one suite needs: databases, and free ports."""

import importlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.db import Base, Database, open_database

TABLE_MODULES = (
    "store.energy",
    "store.events",
    "store.jobs",
    "registry.divisions",
    "registry.stations",
    "registry.households",
    "registry.enrolment",
    "registry.users",
    "registry.audit",
    "registry.parameters",
    "registry.intake",
    "monitoring.tables",
    "distribution.settlement.tables",
    "distribution.approval.tables",
    "distribution.ledger.tables",
    "distribution.payout.tables",
)


def load_tables() -> None:
    for name in TABLE_MODULES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    load_tables()
    opened = open_database(f"sqlite:///{tmp_path / 'test.sqlite3'}")
    Base.metadata.create_all(opened.engine)
    yield opened
    opened.close()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
