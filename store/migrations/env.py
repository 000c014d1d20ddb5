"""What Alembic runs: the connection and the metadata come from `store.migrations`, never from a file."""

from typing import Any, Literal

from alembic import context
from alembic.operations.ops import MigrationScript

from store.db import UtcDateTime
from store.migrations.operations import add_guards


def render_item(kind: str, item: Any, autogen_context: Any) -> str | Literal[False]:
    """Write our column type by its name."""
    if kind == "type" and isinstance(item, UtcDateTime):
        autogen_context.imports.add("from store.db import UtcDateTime")
        return "UtcDateTime()"
    return False


def complete(_context: Any, _revision: Any, directives: list[MigrationScript]) -> None:
    """Add the guards of new tables; versions go forward only."""
    for script in directives:
        if script.upgrade_ops is not None:
            add_guards(script.upgrade_ops, context.config.attributes["metadata"])
        if script.downgrade_ops is not None:
            script.downgrade_ops.ops.clear()


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["metadata"],
    transactional_ddl=True,
    render_item=render_item,
    process_revision_directives=complete,
)
with context.begin_transaction():
    context.run_migrations()
