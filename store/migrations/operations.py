"""The operation `op.guard`: triggers of a table, written into a version for both databases.

Owns how guards (`store.db.guard`) get from the metadata into a generated version.
"""

from collections.abc import Sequence
from typing import Any

from alembic.autogenerate import renderers
from alembic.operations import MigrateOperation, Operations
from alembic.operations.ops import CreateTableOp, UpgradeOps
from sqlalchemy import MetaData


@Operations.register_operation("guard")
class GuardOperation(MigrateOperation):
    """Execute the statements of the database at hand."""

    def __init__(self, sqlite: Sequence[str], postgresql: Sequence[str]) -> None:
        self.statements = {"sqlite": sqlite, "postgresql": postgresql}

    @classmethod
    def guard(cls, operations: Operations, *, sqlite: Sequence[str], postgresql: Sequence[str]) -> None:
        """Create the triggers given for each database."""
        operations.invoke(cls(sqlite, postgresql))


@Operations.implementation_for(GuardOperation)
def _execute(operations: Operations, operation: GuardOperation) -> None:
    connection = operations.get_bind()
    for statement in operation.statements[connection.dialect.name]:
        connection.exec_driver_sql(
            statement if connection.dialect.name == "sqlite" else statement.replace("%", "%%")
        )


@renderers.dispatch_for(GuardOperation)
def _render(_context: Any, operation: GuardOperation) -> str:
    lines = ["op.guard("]
    for dialect, statements in operation.statements.items():
        lines.append(f"    {dialect}=[")
        lines.extend(f"        {statement!r}," for statement in statements)
        lines.append("    ],")
    return "\n".join([*lines, ")"])


def add_guards(upgrade: UpgradeOps, metadata: MetaData) -> None:
    """Append to generated operations the guards of every table that they create."""
    created = [operation for operation in upgrade.ops if isinstance(operation, CreateTableOp)]
    for operation in created:
        operation.info = {}
        guards = metadata.tables[operation.table_name].info.get("guards")
        if guards:
            upgrade.ops.append(GuardOperation(guards["sqlite"], guards["postgresql"]))
