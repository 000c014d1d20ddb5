"""Every table of the program, and whether a database has them in the present form.

Owns the list of table modules, which is handed to the migrations, so that `store` need not know them.
"""

import importlib

from sqlalchemy import MetaData

from store import migrations
from store.db import Base, Database

TABLE_MODULES = (
    "store.energy",
    "store.events",
    "store.jobs",
    "store.seals",
    "registry.divisions",
    "registry.stations",
    "registry.households",
    "registry.enrolment",
    "registry.companies",
    "registry.contacts",
    "registry.users",
    "registry.audit",
    "registry.parameters",
    "registry.intake",
    "registry.account_changes",
    "registry.assets.tables",
    "registry.roll.tables",
    "collector.reports",
    "monitoring.tables",
    "monitoring.work_orders.tables",
    "monitoring.alarms.tables",
    "monitoring.notifications.tables",
    "distribution.settlement.tables",
    "distribution.settlement.bank.tables",
    "distribution.settlement.receivables.tables",
    "distribution.settlement.spending.tables",
    "distribution.settlement.metering.tables",
    "distribution.settlement.intake.tables",
    "distribution.settlement.matching.tables",
    "distribution.plans.tables",
    "distribution.approval.tables",
    "distribution.approval.voting.tables",
    "distribution.approval.noticing.tables",
    "distribution.ledger.tables",
    "distribution.payout.tables",
)


def all_tables() -> MetaData:
    """Return the metadata with every table of the program."""
    for name in TABLE_MODULES:
        importlib.import_module(name)
    return Base.metadata


def migrate(database: Database) -> str:
    """Bring a database to the present schema; returns its version. Running it again changes nothing."""
    return migrations.upgrade(database, all_tables()) or ""


def require_current_schema(database: Database) -> None:
    """Raise ProblemsError unless the database has exactly the schema of this program."""
    all_tables()
    migrations.check(database)
